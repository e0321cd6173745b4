"""A work as a page shows it: what it is, where it stands, and why it is here."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from api.context import Reader
from library.i18n.messages import PERSIAN
from library.i18n.reasons import reason_text
from library.tables import (
    Acquisition,
    BibRecord,
    Branch,
    Creator,
    Feedback,
    Patron,
    Source,
    Work,
    WorkCreator,
)
from library.vocabulary import Verdict
from profiles.lessening import ref_of

SPINES = 6
"""Colours of the strip at a card's start; a work keeps its own."""


@dataclass(frozen=True)
class Why:
    """One reason; `handle` is what "less of this" posts, where it can be lessened."""

    text: str
    label: str
    handle: str | None


@dataclass(frozen=True)
class Card:
    """One work on a page."""

    work_id: int
    title: str
    title_dir: str
    lang: str | None
    creators: tuple[str, ...]
    year: str | None
    branch: str | None
    call_number: str | None
    url: str | None
    why: tuple[Why, ...]
    verdict: Verdict | None

    @property
    def spine(self) -> int:
        """Which of the colours this work keeps."""
        return self.work_id % SPINES


def make_cards(
    session: Session,
    reader: Reader,
    patron_id: int,
    works: Sequence[tuple[int, Sequence[Mapping[str, Any]]]],
) -> list[Card]:
    """Make the cards of works given with their reasons, in the order given."""
    ids = [work_id for work_id, _ in works]
    rows = {w.id: w for w in session.scalars(select(Work).where(Work.id.in_(ids)))}
    creators = _creators(session, ids)
    places = _places(session, reader, patron_id, ids)
    records = _records(session, ids)
    verdicts = _verdicts(session, patron_id, ids)
    return [
        Card(
            work_id=work_id,
            title=rows[work_id].title,
            title_dir=rows[work_id].title_dir,
            lang=_lang(rows[work_id].language),
            creators=tuple(creators.get(work_id, ())),
            year=_year(reader, rows[work_id]),
            branch=places.get(work_id),
            call_number=records[work_id].call_number if work_id in records else None,
            url=_link(records.get(work_id)),
            why=explain(reader, reasons),
            verdict=verdicts.get(work_id),
        )
        for work_id, reasons in works
        if work_id in rows
    ]


def explain(reader: Reader, reasons: Sequence[Mapping[str, Any]]) -> tuple[Why, ...]:
    """Say why a work is here, in the reader's language."""
    return tuple(_why(reader, reason) for reason in reasons)


def branch_name(branch: Branch, locale: str) -> str:
    """Return a branch's name in the reader's language."""
    return (branch.name_fa if locale == PERSIAN else None) or branch.name


def _why(reader: Reader, reason: Mapping[str, Any]) -> Why:
    named = ref_of(reason)
    return Why(
        text=reason_text(dict(reason), reader.locale),
        label=str(reason.get("label") or ""),
        handle=":".join(named) if named else None,
    )


def _creators(session: Session, ids: Iterable[int]) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for work_id, name in session.execute(
        select(WorkCreator.work_id, Creator.name)
        .join(Creator)
        .where(WorkCreator.work_id.in_(list(ids)))
        .order_by(WorkCreator.work_id, WorkCreator.position)
    ):
        found.setdefault(work_id, []).append(name)
    return found


def _places(
    session: Session, reader: Reader, patron_id: int, ids: Iterable[int]
) -> dict[int, str]:
    """Return the branch where each is new: the patron's own, if it is one of them."""
    own = session.scalar(select(Patron.branch_id).where(Patron.id == patron_id))
    found: dict[int, str] = {}
    for work_id, branch in session.execute(
        select(Acquisition.work_id, Branch)
        .join(Branch)
        .where(Acquisition.work_id.in_(list(ids)))
        .order_by(Branch.id != own, Branch.id)
    ):
        found.setdefault(work_id, branch_name(branch, reader.locale))
    return found


def _records(session: Session, ids: Iterable[int]) -> dict[int, BibRecord]:
    """Return an edition of each, one with a call number first."""
    found: dict[int, BibRecord] = {}
    for record in session.scalars(
        select(BibRecord)
        .join(Source)
        .where(BibRecord.work_id.in_(list(ids)), BibRecord.withdrawn_at.is_(None))
        .order_by(BibRecord.call_number.is_(None), BibRecord.id)
    ):
        found.setdefault(record.work_id, record)
    return found


def _verdicts(
    session: Session, patron_id: int, ids: Iterable[int]
) -> dict[int, Verdict]:
    rows = session.execute(
        select(Feedback.work_id, Feedback.verdict).where(
            Feedback.patron_id == patron_id, Feedback.work_id.in_(list(ids))
        )
    )
    return dict(rows.all())


def _year(reader: Reader, work: Work) -> str | None:
    return reader.year(work.year_raw, work.language) if work.year_raw else None


def _link(record: BibRecord | None) -> str | None:
    url = record.url if record else None
    return url if url and url.startswith(("http://", "https://")) else None


_TWO_LETTERS = {"per": "fa", "fas": "fa", "eng": "en", "fre": "fr", "fra": "fr"}
_TWO_LETTERS |= {"ger": "de", "deu": "de", "ara": "ar", "spa": "es", "rus": "ru"}


def _lang(language: str | None) -> str | None:
    """Return a language code as HTML wants it: the two letters where there are two."""
    return _TWO_LETTERS.get(language or "", language)
