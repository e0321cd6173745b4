"""The works up for matching, read for it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, Row, Select, and_, exists, or_, select
from sqlalchemy.orm import Session

from library.search import is_whole
from library.tables import (
    Acquisition,
    BibRecord,
    Branch,
    Creator,
    Subject,
    Work,
    WorkCreator,
    WorkSubject,
)
from library.text import squash, terms
from library.text.languages import language_key
from recommender.candidates import Candidate, Candidates, Name

_AT_ONCE = 5_000


def read_candidates(session: Session, work_ids: Collection[int]) -> Candidates:
    """Read these works, but for those that every source has withdrawn."""
    ids = sorted(work_ids)
    blocks = (ids[at : at + _AT_ONCE] for at in range(0, len(ids), _AT_ONCE))
    return Candidates([work for block in blocks for work in _read(session, block)])


def read_named(session: Session, ids: Collection[int]) -> dict[int, Candidate]:
    """Return title, series and creators of works, by id; no more of them is read."""
    columns = Work.id, Work.title, Work.series, Work.series_squash
    titles = session.execute(select(*columns).where(Work.id.in_(ids)))
    creators = _creators(session, ids)
    return {
        work_id: Candidate(
            work_id,
            title,
            creators.get(work_id, ()),
            series=_series(series, squashed),
        )
        for work_id, title, series, squashed in titles
    }


def pending(session: Session, at: datetime) -> Sequence[Row[int, int]]:
    """Return id and work id of the acquisitions that no run has taken up."""
    return session.execute(
        select(Acquisition.id, Acquisition.work_id)
        .where(Acquisition.matched_at.is_(None), Acquisition.eligible_at <= at)
        .order_by(Acquisition.id)
    ).all()


def recent(
    session: Session, *, since: datetime, until: datetime
) -> Sequence[Row[int, int]]:
    """Return id and work id of what became new in this time, the newest last."""
    return session.execute(
        select(Acquisition.id, Acquisition.work_id)
        .where(Acquisition.eligible_at > since, Acquisition.eligible_at <= until)
        .order_by(Acquisition.eligible_at, Acquisition.id)
    ).all()


def _read(session: Session, ids: Sequence[int]) -> Iterable[Candidate]:
    works = session.scalars(select(Work).where(Work.id.in_(ids), _is_held()))
    creators = _creators(session, ids)
    subjects = _names(
        session,
        select(WorkSubject.work_id, Subject.squash, Subject.label)
        .join(Subject, Subject.id == WorkSubject.subject_id)
        .where(WorkSubject.work_id.in_(ids))
        .order_by(WorkSubject.work_id, Subject.id),
    )
    formats = _values(
        session,
        select(BibRecord.work_id, BibRecord.format).where(
            BibRecord.work_id.in_(ids), BibRecord.format.is_not(None)
        ),
    )
    branches = _values(
        session,
        select(Acquisition.work_id, Branch.code)
        .join(Branch, Branch.id == Acquisition.branch_id)
        .where(Acquisition.work_id.in_(ids)),
    )
    for work in sorted(works, key=lambda work: work.id):
        yield _candidate(
            work,
            creators.get(work.id, ()),
            subjects.get(work.id, ()),
            frozenset(name.casefold() for name in formats.get(work.id, ())),
            frozenset(branches.get(work.id, ())),
        )


def _creators(session: Session, ids: Collection[int]) -> dict[int, tuple[Name, ...]]:
    return _names(
        session,
        select(WorkCreator.work_id, Creator.squash, Creator.name)
        .join(Creator, Creator.id == WorkCreator.creator_id)
        .where(WorkCreator.work_id.in_(ids))
        .order_by(WorkCreator.work_id, WorkCreator.position, Creator.id),
    )


def _is_held() -> ColumnElement[bool]:
    """Is there a record not withdrawn, or none at all, as for a work put in by hand?

    A work that was joined to another has none and is not held.
    """
    records = exists().where(BibRecord.work_id == Work.id)
    here = or_(~records, records.where(BibRecord.withdrawn_at.is_(None)))
    return and_(is_whole(), here)


def _candidate(
    work: Work,
    creators: tuple[Name, ...],
    subjects: tuple[Name, ...],
    formats: frozenset[str],
    branches: frozenset[str],
) -> Candidate:
    named = [label for _, label in (*creators, *subjects)]
    words = terms(" ".join([work.title, work.series or "", *named]))
    return Candidate(
        work_id=work.id,
        title=work.title,
        creators=creators,
        subjects=subjects,
        series=_series(work.series, work.series_squash),
        language=language_key(work.language),
        formats=formats,
        text=f" {' '.join(words)} ",
        year=work.year_greg_to,
        first_seen_at=work.created_at,
        branches=branches,
    )


def _series(series: str | None, squashed: str | None) -> Name | None:
    return (squashed or squash(series), series) if series else None


def _names(
    session: Session, query: Select[int, str, str]
) -> dict[int, tuple[Name, ...]]:
    found: dict[int, list[Name]] = defaultdict(list)
    for work_id, key, label in session.execute(query):
        found[work_id].append((key, label))
    return {work_id: tuple(names) for work_id, names in found.items()}


def _values(
    session: Session, query: Select[int, str] | Select[int, str | None]
) -> dict[int, list[str]]:
    found: dict[int, list[str]] = defaultdict(list)
    for work_id, value in session.execute(query):
        found[work_id].append(value or "")
    return found
