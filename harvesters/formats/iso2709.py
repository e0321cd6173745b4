"""ISO 2709 files (.mrc) to MARC records, through garbage and wrong lengths.

A record ends with the byte 1D, so a file is cut there and each piece read from the
last leader that stands in it: one bad record costs itself and no other.
"""

import re
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import BinaryIO
from unicodedata import normalize

from pymarc import marc8

from harvesters.formats.charsets import is_utf8, legacy
from harvesters.formats.marc import USED, Field, Fields, record_of
from harvesters.records import Harvested, Rejected


class _Nowhere:
    """A stream that keeps nothing."""

    def write(self, _: str) -> None:
        """Forget it."""


# pymarc tells of each odd byte on the terminal of whoever runs the harvest.
vars(marc8)["sys"] = SimpleNamespace(stderr=_Nowhere())

_RECORD_END, _FIELD_END, _SUBFIELD = b"\x1d", b"\x1e", b"\x1f"
_LEADER = re.compile(rb"\d{5}[ -~]{7}\d{5}[ -~]{3}[ -~]{4}")
# In MARC-8 these stand before the letter they mark, and a few bytes mean nothing.
_NOT_MARC8 = re.compile(
    rb"[\xe0-\xfe](?![A-Za-z\xe0-\xfe ])|[\x80-\x87\x8a-\x8c\x8f-\xa0]"
)
_BLANK = b"\r\n\x00 \x1a"
_ESCAPE = b"\x1b"
_LONGEST = 4 * 1024 * 1024
_BLOCK = 1024 * 1024
_PLACES = 24


def parse_iso2709(
    stream: BinaryIO, *, encoding: str | None = None
) -> Iterator[Harvested]:
    """Yield what each record says, or where and why one cannot be read.

    Args:
        stream: The file, read in blocks.
        encoding: A Python codec for records that are not UTF-8; None guesses.
    """
    for offset, piece in _pieces(stream):
        start = _start(piece)
        if start is None:
            if piece.strip(_BLANK):
                yield _rejected(offset, "no leader of a MARC record", piece)
            continue
        if piece[:start].strip(_BLANK):
            yield _rejected(offset, "garbage before a record", piece[:start])
        yield _read(offset + start, piece[start:], encoding)


def _pieces(stream: BinaryIO) -> Iterator[tuple[int, bytes]]:
    offset, rest = 0, b""
    while block := stream.read(_BLOCK):
        *whole, rest = (rest + block).split(_RECORD_END)
        for piece in whole:
            yield offset, piece
            offset += len(piece) + 1
        if len(rest) > _LONGEST:
            yield offset, rest[:_LONGEST]
            offset, rest = offset + len(rest), b""
    if rest:
        yield offset, rest


def _start(piece: bytes) -> int | None:
    """Find the leader: at the beginning, or where a directory confirms it."""
    blank = len(piece) - len(piece.lstrip(_BLANK))
    if piece[blank : blank + 5].isdigit() and piece[blank + 12 : blank + 17].isdigit():
        return blank
    leaders = [found.start() for found in _LEADER.finditer(piece)]
    confirmed = (at for at in leaders if _has_directory(piece, at))
    return next(confirmed, leaders[0] if leaders else None)


def _has_directory(piece: bytes, start: int) -> bool:
    base = int(piece[start + 12 : start + 17])
    end = start + base - 1
    return base > _PLACES and piece[end : end + 1] == _FIELD_END


def _rejected(offset: int, why: str, piece: bytes) -> Rejected:
    shown = piece[:200].decode("latin-1").encode("unicode_escape").decode("ascii")
    return Rejected(f"byte {offset}", why, shown)


def _read(offset: int, piece: bytes, encoding: str | None) -> Harvested:
    try:
        fields = _quickly(piece)
        if fields is None:
            fields = tuple(_decode(_split(piece), piece, encoding))
    except (ValueError, IndexError, TypeError, LookupError) as error:
        return _rejected(offset, f"broken record: {error!s:.200}", piece)
    leader = piece[:_PLACES].decode("ascii", "replace")
    return record_of(Fields(leader, fields), place=f"byte {offset}")


def _quickly(piece: bytes) -> tuple[Field, ...] | None:
    """Read a record as nearly all are: UTF-8, its fields in the directory's order.

    None for any other, which has to be read field by field.
    """
    if _ESCAPE in piece:
        return None
    try:
        text = piece[_PLACES:].decode("utf-8")
    except UnicodeDecodeError:
        return None
    directory, _, data = text.partition("\x1e")
    found = data.removesuffix("\x1e").split("\x1e")
    if len(directory) != 12 * len(found) or not directory.isascii():
        return None
    places = range(0, len(directory), 12)
    starts = [directory[at + 7 : at + 12] for at in places]
    if starts != sorted(starts):
        return None
    fields = []
    for at, value in zip(places, found, strict=True):
        tag = directory[at : at + 3]
        if tag not in USED:
            continue
        if tag < "010":
            fields.append(Field(tag, value))
            continue
        indicators, *parts = value.split("\x1f")
        subfields = tuple([(part[:1], part[1:]) for part in parts])
        if not value.isascii():
            subfields = tuple(map(_subfield, parts))
        fields.append(Field(tag, "", indicators.ljust(2)[:2], subfields))
    return tuple(fields)


def _split(piece: bytes) -> list[tuple[str, bytes]]:
    """Return tags and raw fields.

    The field marks are counted, not the lengths, where both do not agree: a length
    given in characters, or of five digits, spoils every offset behind it.
    """
    base = int(piece[12:17])
    directory, mark, data = piece[_PLACES:].partition(_FIELD_END)
    if not mark:
        raise ValueError("the directory does not end")
    found = data.removesuffix(_FIELD_END).split(_FIELD_END)
    if len(directory) % 12 == 11:  # a leader that lost a character takes one of these
        directory = b"0" + directory
    if len(directory) % 12:
        return list(zip(_overlong_tags(directory, found), found, strict=True))
    entries = [directory[at : at + 12] for at in range(0, len(directory), 12)]
    if not entries:
        raise ValueError("the directory is empty")
    tags = [entry[:3].decode("ascii") for entry in entries]
    by_offset = _by_offset(entries, piece[base:])
    if by_offset is not None:
        return list(zip(tags, by_offset, strict=True))
    if len(found) != len(tags):
        raise ValueError(f"{len(tags)} fields announced, {len(found)} there")
    return list(zip(tags, found, strict=True))


def _overlong_tags(directory: bytes, fields: list[bytes]) -> list[str]:
    """Read a directory with numbers too long for their places, by the fields' sizes.

    Raises:
        ValueError: It does not agree with the fields.
    """
    tags, at, start = [], 0, 0
    for field in fields:
        numbers = b"%04d%05d" % (len(field) + 1, start)
        if directory[at + 3 : at + 3 + len(numbers)] != numbers:
            raise ValueError("the directory is no multiple of 12 bytes")
        tags.append(directory[at : at + 3].decode("ascii"))
        at += 3 + len(numbers)
        start += len(field) + 1
    return tags


def _by_offset(entries: list[bytes], data: bytes) -> list[bytes] | None:
    fields = []
    for entry in entries:
        if not entry[3:].isdigit():
            return None
        length, start = int(entry[3:7]), int(entry[7:12])
        field = data[start : start + length]
        if len(field) != length or field.find(_FIELD_END) != length - 1:
            return None
        fields.append(field[:-1])
    return fields


def _decode(
    raw: list[tuple[str, bytes]], piece: bytes, encoding: str | None
) -> Iterator[Field]:
    read = _reader(piece, encoding)
    for tag, data in raw:
        if tag not in USED:
            continue
        if tag < "010" and tag.isdigit():
            yield Field(tag, read(data))
            continue
        indicators, *subfields = data.split(_SUBFIELD)
        yield Field(
            tag,
            "",
            indicators.decode("latin-1").ljust(2)[:2],
            tuple(_subfield(read(part)) for part in subfields),
        )


def _subfield(text: str) -> tuple[str, str]:
    """Part a subfield from its code; a letter with an accent stands for itself."""
    code = text[:1]
    if not code.isascii():
        bare = normalize("NFD", code)[0]
        return (bare, text[1:]) if bare.isascii() else (text[1:2], text[2:])
    return code, text[1:]


def _reader(piece: bytes, encoding: str | None) -> Callable[[bytes], str]:
    """Choose how the text of one record is read, from what all its bytes look like."""
    if piece.isascii() and b"\x1b" not in piece:
        return lambda data: data.decode("ascii")
    if b"\x1b" not in piece and is_utf8(piece):
        return lambda data: data.decode("utf-8")
    guessed = encoding or legacy(piece)
    if piece[9:10] == b"a":
        return lambda data: _mixed(data, guessed)
    if guessed:
        return lambda data: data.decode(guessed)
    return _marc8


def _mixed(data: bytes, guessed: str | None) -> str:
    """Read a field of a record that says UTF-8 and is not all so."""
    if is_utf8(data):
        return data.decode("utf-8")
    return data.decode(guessed) if guessed else _marc8(data)


def _marc8(data: bytes) -> str:
    if data.isascii() and b"\x1b" not in data:
        return data.decode("ascii")
    if b"\x1b" not in data and _NOT_MARC8.search(data):
        return data.decode("cp1252")
    return normalize("NFC", str(marc8.marc8_to_unicode(data, hide_utf8_warnings=True)))
