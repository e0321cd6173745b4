"""MARC fields to harvested records: MARC 21, and UNIMARC with its Iranian kin."""

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import NamedTuple

from harvesters.formats.safe_html import summary_text, web_link
from harvesters.records import (
    Harvested,
    HarvestedRecord,
    Heading,
    Rejected,
    plain,
    short_ref,
)
from library.text import doi, isbn13, issn

_ISBD_TAIL = " \t\n/:;,=.،؛"
_ABBREVIATION = re.compile(r"(?:^|[\s.])(?:\w|Jr|Sr|Dr|St|etc|ed|vol|no)\.$")
# Marks around words that do not sort ("The ", "Der "), in MARC and in UNIMARC.
_NON_SORTING = re.compile("[\x88\x89\x98\x9c]|<<|>>")
_SCHEMES = {"0": "lcsh", "1": "lcshac", "2": "mesh", "3": "nal", "5": "csh", "6": "rvm"}
_FORMS = {
    "a": "book",
    "c": "score",
    "d": "score",
    "e": "map",
    "g": "video",
    "i": "audiobook",
    "j": "music",
    "k": "picture",
    "m": "file",
    "o": "kit",
    "p": "mixed",
    "r": "object",
    "t": "manuscript",
}

USED = frozenset(
    re.findall(
        r"\d{3}",
        "001 008 010 011 017 020 022 024 041 050 080 082 090 099 100 101 110 111 200"
        " 210 214 225 245 260 264 330 440 490 520 600 601 602 605 606 607 610 611 630"
        " 650 651 653 655 675 676 680 686 700 701 702 710 711 712 720 800 830 856 952"
        " 999",
    )
)
"""Fields that anything here reads; a carrier need not decode the others."""


class Field(NamedTuple):
    """One field: a control field has `data`, a data field has subfields."""

    tag: str
    data: str
    indicators: str = "  "
    subfields: tuple[tuple[str, str], ...] = ()

    def first(self, codes: str) -> str:
        """Return the first subfield with one of these codes, or nothing."""
        return next((v for code, v in self.subfields if code in codes and v), "")

    def joined(self, codes: str, mark: str = " ") -> str:
        """Return these subfields, in the order they stand."""
        return mark.join(v.strip() for c, v in self.subfields if c in codes and v)


@dataclass(frozen=True)
class Fields:
    """A MARC record, whatever it was carried in."""

    leader: str
    fields: tuple[Field, ...]

    def all(self, *tags: str) -> list[Field]:
        """Return the fields of these tags, tag by tag, in the order they stand."""
        by_tag = self._by_tag
        return [field for tag in tags if tag in by_tag for field in by_tag[tag]]

    @cached_property
    def _by_tag(self) -> dict[str, list[Field]]:
        by_tag: dict[str, list[Field]] = {}
        for field in self.fields:
            by_tag.setdefault(field.tag, []).append(field)
        return by_tag

    def control(self, tag: str) -> str:
        """Return a control field's data, or nothing."""
        found = self._by_tag.get(tag)
        return found[0].data if found else ""

    def values(self, codes: str, *tags: str) -> list[str]:
        """Return every subfield with one of these codes in fields of these tags."""
        return [
            value
            for field in self.all(*tags)
            for code, value in field.subfields
            if code in codes and value
        ]

    def value(self, codes: str, *tags: str) -> str:
        """Return the first of `values`, or nothing."""
        return next(iter(self.values(codes, *tags)), "")


def record_of(record: Fields, *, place: str, ref: str = "") -> Harvested:
    """Return what a MARC record says, or why it cannot be taken.

    Args:
        record: MARC 21 or UNIMARC; the field of the title tells which.
        place: Where it stands, for the rejection.
        ref: The id to use where the carrier has one of its own.
    """
    unimarc = bool(record.all("200")) and not record.all("245")
    title = _title(record, unimarc=unimarc)
    given = ref or _own_ref(record)
    if len(record.leader) > 5 and record.leader[5] == "d":
        if not given:
            return Rejected(place, "withdrawn, and no id to know it by")
        return HarvestedRecord(ref=given, title=title, withdrawn=True)
    if not title:
        return Rejected(place, f"no title ({'200' if unimarc else '245'} $a)")
    build = _unimarc if unimarc else _marc21
    return build(record, given or _content_ref(record, title), title)


def _title(record: Fields, *, unimarc: bool) -> str:
    fields = record.all("200" if unimarc else "245")
    if not fields:
        return ""
    return tidy(fields[0].joined("aehi" if unimarc else "abnpkfgs"))


def tidy(text: str) -> str:
    """Return text without ISBD punctuation at its end and non-sorting marks."""
    marked = not text.isascii() or "<<" in text
    shown = plain(_NON_SORTING.sub("", text) if marked else text)
    if shown[-1:].isalnum():
        return shown
    bare = shown.rstrip(_ISBD_TAIL)
    if shown[len(bare) :] == "." and _ABBREVIATION.search(shown):
        return shown
    return bare


def _own_ref(record: Fields) -> str:
    koha = record.value("c", "999")
    number = record.control("001").strip() or koha.strip()
    return short_ref(number) if number else ""


def _content_ref(record: Fields, title: str) -> str:
    isbn = next(filter(None, map(isbn13, record.values("a", "020", "010"))), "")
    who = record.value("a", "100", "700", "710")
    year = record.value("cd", "260", "264", "210")
    text = f"{title}\0{isbn}\0{who}\0{year}"
    return "content:" + hashlib.sha256(text.encode(errors="replace")).hexdigest()[:40]


def _marc21(record: Fields, ref: str, title: str) -> HarvestedRecord:
    fixed = record.control("008")
    language = fixed[35:38].strip() or record.value("a", "041")[:3]
    published = record.value("c", "260", "264") or fixed[7:11]
    return HarvestedRecord(
        ref=ref,
        title=title,
        creators=_names(record.all("100", "110", "111", "700", "710", "711"), "abc"),
        language=_language(language),
        year=tidy(published) or None,
        isbn=next(filter(None, map(isbn13, record.values("a", "020"))), None),
        issn=next(filter(None, map(issn, record.values("a", "022"))), None),
        doi=next(filter(None, map(doi, record.values("a", "024"))), None),
        subjects=tuple(dict.fromkeys(chain(_subjects21(record), _classes21(record)))),
        series=next(map(tidy, record.values("a", "490", "800", "830", "440")), None),
        format=_FORMS.get(record.leader[6:7]),
        call_number=_call_number(record, ("090", "050", "082", "099")),
        url=next(filter(None, map(web_link, record.values("u", "856"))), None),
        summary=summary_text(" ".join(record.values("a", "520"))),
        status=_status(record),
        raw=_raw(record, "020", "100", "245", "260", "264", "700"),
    )


def _unimarc(record: Fields, ref: str, title: str) -> HarvestedRecord:
    published = tidy(record.value("d", "210", "214"))
    fixed = record.value("a", "100")
    return HarvestedRecord(
        ref=ref,
        title=title,
        creators=_unimarc_names(record),
        language=_language(record.value("a", "101")),
        year=published or fixed[9:13].strip() or None,
        isbn=next(filter(None, map(isbn13, record.values("a", "010"))), None),
        issn=next(filter(None, map(issn, record.values("a", "011"))), None),
        doi=next(filter(None, map(doi, record.values("a", "017"))), None),
        subjects=tuple(
            dict.fromkeys(
                Heading("local", _heading(field, "axyz"))
                for field in record.all("600", "601", "602", "605", "606", "607", "610")
                if _heading(field, "axyz")
            )
        ),
        series=next(map(tidy, record.values("a", "225")), None),
        format=_FORMS.get(record.leader[6:7]),
        call_number=_call_number(record, ("680", "676", "675", "686")),
        url=next(filter(None, map(web_link, record.values("u", "856"))), None),
        summary=summary_text(" ".join(record.values("a", "330"))),
        status=_status(record),
        raw=_raw(record, "010", "200", "210", "700", "701", "702"),
    )


def _names(fields: Iterable[Field], codes: str) -> tuple[str, ...]:
    names = (tidy(field.joined(codes)) for field in fields if not field.first("t"))
    return tuple(dict.fromkeys(filter(None, names)))


def _unimarc_names(record: Fields) -> tuple[str, ...]:
    fields = record.all("700", "701", "702", "710", "711", "712", "720")
    names = (tidy(field.joined("ab", ", ")) for field in fields)
    stated = tuple(dict.fromkeys(filter(None, names)))
    return stated or tuple(filter(None, map(tidy, record.values("f", "200"))))


def _language(code: str) -> str | None:
    found = re.match("[a-z]{2,3}", code.strip().lower())
    return found[0] if found and found[0] not in {"und", "zxx"} else None


def _subjects21(record: Fields) -> Iterator[Heading]:
    for field in record.all("600", "610", "611", "630", "650", "651", "653", "655"):
        label = _heading(field, "abcdqtvxyz")
        if label:
            yield Heading(_scheme(field), label)


def _scheme(field: Field) -> str:
    if field.indicators[1:] == "7" and field.first("2"):
        return plain(field.first("2"), 40)
    return _SCHEMES.get(field.indicators[1:], "local")


def _classes21(record: Fields) -> Iterator[Heading]:
    for field in record.all("082", "080"):
        label = plain(field.first("a").replace("/", ""), 60)
        if label:
            yield Heading("class", label)


def _heading(field: Field, codes: str) -> str:
    main = field.joined("".join(c for c in codes if c not in "vxyz"))
    parts = [main, *(v for c, v in field.subfields if c in "vxyz" and c in codes)]
    return " -- ".join(filter(None, map(tidy, parts)))[:300]


def _call_number(record: Fields, tags: tuple[str, ...]) -> str | None:
    koha = record.value("o", "952")
    found = (field.joined("ab") for tag in tags for field in record.all(tag))
    return plain(koha or next(filter(None, found), ""), 200) or None


def _status(record: Fields) -> str | None:
    """Say how far Koha's copies have come; None where the record has none."""
    copies = record.all("952")
    if not copies:
        return None
    ordered = all(copy.first("7").strip() == "-1" for copy in copies)
    return "ordered" if ordered else "available"


def _raw(record: Fields, *tags: str) -> dict[str, list[str]]:
    raw: dict[str, list[str]] = {}
    for field in record.all(*tags):
        text = "".join(f"${code}{value}" for code, value in field.subfields)
        raw.setdefault(field.tag, []).append(plain(text, 500))
    return raw
