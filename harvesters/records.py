"""What every harvester yields: harvested records, and what it could not take.

Everything here is plain text of any length and origin made fit to be stored: no NUL,
no control characters, no half surrogates, bounded.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from operator import attrgetter
from typing import Any

TITLE_LENGTH = 1000
SUMMARY_LENGTH = 10_000
REF_LENGTH = 400

_UNFIT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_SPACES = re.compile(r"[\s\u0085\u2028\u2029]+")


@dataclass(frozen=True, slots=True)
class Heading:
    """What a record is about, by a scheme: `local`, `lcsh`, `mesh`, `class`."""

    scheme: str
    label: str


@dataclass(frozen=True, slots=True)
class HarvestedRecord:
    """One source's record of one edition, as the source gave it.

    Attributes:
        ref: The source's own id of it, the same in every harvest.
        creators: Most responsible first.
        year: As written, in any calendar.
        isbn: As 13 digits.
        status: ordered, received or available, where the source tells.
        words: Word to count, where a data set gives no text.
        raw: The values before any mending, for a librarian to look at.
        withdrawn: The source no longer has it; nothing but `ref` counts then.
    """

    ref: str
    title: str
    creators: tuple[str, ...] = ()
    language: str | None = None
    year: str | None = None
    isbn: str | None = None
    issn: str | None = None
    doi: str | None = None
    subjects: tuple[Heading, ...] = ()
    series: str | None = None
    format: str | None = None
    call_number: str | None = None
    url: str | None = None
    summary: str | None = None
    published: str | None = None
    status: str | None = None
    words: Mapping[str, int] | None = None
    raw: Mapping[str, Any] = field(default_factory=dict)
    withdrawn: bool = False


@dataclass(frozen=True, slots=True)
class Rejected:
    """A record that could not be taken, and where in the body it stands."""

    place: str
    why: str
    raw: str | None = None


Harvested = HarvestedRecord | Rejected


def plain(text: str, limit: int = TITLE_LENGTH) -> str:
    """Return text fit to store on one line: no control characters, at most `limit`."""
    if len(text) <= limit and text.isprintable() and "  " not in text:
        return text.strip(" ")  # nearly all text, and the rest costs ten times as much
    return _SPACES.sub(" ", _UNFIT.sub("", text[: limit * 4])).strip()[:limit].rstrip()


def short_ref(ref: str) -> str:
    """Return `ref` itself, or a digest of it where it is too long to be a key."""
    fit = plain(ref, REF_LENGTH * 4)
    if len(fit) <= REF_LENGTH and len(ref) <= REF_LENGTH * 4:
        return fit
    return "sha256:" + hashlib.sha256(ref.encode(errors="replace")).hexdigest()


def content_hash(record: HarvestedRecord) -> str:
    """Return a digest that changes when anything in the record does."""
    facts = _FACTS(record)
    headings = [(one.scheme, one.label) for one in record.subjects]
    return hashlib.sha256(repr((facts, headings)).encode()).hexdigest()


_FACTS = attrgetter(*(f.name for f in fields(HarvestedRecord) if f.name != "subjects"))
