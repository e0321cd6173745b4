"""MARC as text: MARC in JSON, and the lines that MarcEdit writes (.mrk, .mrk8)."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO
from unicodedata import normalize

from harvesters.formats.charsets import is_utf8
from harvesters.formats.marc import Field, Fields, record_of
from harvesters.formats.streams import whole
from harvesters.records import Harvested, Rejected
from library.errors import MalformedRecord

_BLANKS = re.compile(r"[\s,\[\]]*")
_LINE = re.compile(r"=(LDR|\w{3})  ?(.*)")
_MNEMONIC = re.compile(r"\{(\w{2,8})\}(.?)", re.DOTALL)
_SIGNS = {"dollar": "$", "lcub": "{", "rcub": "}", "bsol": "\\", "verbar": "|"}
# Written before the letter they mark, as in MARC-8.
_MARKS = {
    "acute": "\u0301", "grave": "\u0300", "circ": "\u0302", "uml": "\u0308",
    "tilde": "\u0303", "cedil": "\u0327", "macr": "\u0304", "caron": "\u030c",
    "breve": "\u0306", "ring": "\u030a", "ogon": "\u0328", "dotb": "\u0323",
}  # fmt: skip


def parse_marc_json(stream: BinaryIO) -> Iterator[Harvested]:
    """Yield one record per MARC-in-JSON object: one, a list, or one after another.

    Raises:
        MalformedRecord: The first of them is no JSON, or too much is.
    """
    text = whole(stream).decode("utf-8-sig", "replace")
    # Control characters stand in some records, and harm nothing here.
    decoder = json.JSONDecoder(strict=False)
    at, number = _after_blanks(text, 0), 0
    while at < len(text):
        number += 1
        try:
            found, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError) as error:
            if number == 1:
                raise MalformedRecord(f"not JSON: {error}") from error
            yield Rejected(f"record {number}", f"not JSON: {error}"[:300])
            return
        yield _of_json(found, f"record {number}")
        at = _after_blanks(text, at)


def parse_mrk(stream: BinaryIO) -> Iterator[Harvested]:
    """Yield one record per block of MarcEdit's lines.

    Raises:
        MalformedRecord: It is too large.
    """
    body = whole(stream)
    text = body.decode("utf-8" if is_utf8(body) else "cp1252", "replace")
    blocks = re.split(r"(?m)^(?==LDR)", text.replace("\r\n", "\n"))
    for number, block in enumerate(filter(str.strip, blocks), 1):
        yield _of_lines(block, f"record {number}")


def _after_blanks(text: str, at: int) -> int:
    found = _BLANKS.match(text, at)
    return found.end() if found else at


def _of_json(found: object, place: str) -> Harvested:
    fields = found.get("fields") if isinstance(found, dict) else None
    if not isinstance(found, dict) or not isinstance(fields, list):
        return Rejected(place, "no MARC in JSON: an object with fields is wanted")
    read = [
        _json_field(str(tag), value)
        for one in fields
        if isinstance(one, dict)
        for tag, value in one.items()
    ]
    return record_of(Fields(str(found.get("leader", "")), tuple(read)), place=place)


def _json_field(tag: str, value: object) -> Field:
    if not isinstance(value, dict):
        return Field(tag, value if isinstance(value, str) else "")
    indicators = f"{value.get('ind1') or ' '}{value.get('ind2') or ' '}"
    return Field(tag, "", indicators[:2], tuple(_json_subfields(value)))


def _json_subfields(field: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    subfields = field.get("subfields")
    for one in subfields if isinstance(subfields, list) else ():
        for code, value in one.items() if isinstance(one, dict) else ():
            yield str(code), value if isinstance(value, str) else ""


def _of_lines(block: str, place: str) -> Harvested:
    leader, fields = "", []
    for line in block.splitlines():
        found = _LINE.match(line)
        if found is None:
            continue
        tag, value = found[1], found[2]
        if tag == "LDR":
            leader = value.replace("\\", " ")
        elif tag < "010":
            fields.append(Field(tag, value.replace("\\", " ")))
        else:
            indicators, *parts = value.split("$")
            subfields = tuple((part[:1], _plain(part[1:])) for part in parts)
            blank = indicators.replace("\\", " ").ljust(2)[:2]
            fields.append(Field(tag, "", blank, subfields))
    return record_of(Fields(leader, tuple(fields)), place=place)


def _plain(text: str) -> str:
    return normalize("NFC", _MNEMONIC.sub(_meant, text)) if "{" in text else text


def _meant(found: re.Match[str]) -> str:
    name, following = found[1], found[2]
    if name in _SIGNS:
        return _SIGNS[name] + following
    return following + _MARKS[name] if name in _MARKS else found[0]
