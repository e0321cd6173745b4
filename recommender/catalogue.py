"""What is written about the works, as the content parts read it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from typing import TypeVar

import numpy as np
from sqlalchemy import Row, func, select
from sqlalchemy.orm import Session

from library.tables import (
    Acquisition,
    BibRecord,
    Creator,
    Subject,
    Work,
    WorkCreator,
    WorkSubject,
)
from recommender.arrays import FloatArray, IntArray, WorksText
from recommender.bulk import day_of, read_integers
from recommender.interactions import find_places

CLASS = "class"
"""The scheme of subjects that are class numbers."""

FEWEST_DAYS = 10
"""Works that all became new on fewer days than this were loaded, not acquired."""

_AT_ONCE = 10_000
_T = TypeVar("_T")


def read_work_ids(session: Session) -> IntArray:
    """Return the ids of all works, rising."""
    return np.sort(read_integers(session, select(Work.id))[0])


def read_texts(session: Session, works: IntArray) -> WorksText:
    """Return what is written about these works, in the order of the ids given."""
    blocks = [
        _read_block(session, works[at : at + _AT_ONCE].tolist())
        for at in range(0, max(len(works), 1), _AT_ONCE)
    ]
    return WorksText(
        title=_joined(block.title for block in blocks),
        creators=_joined(block.creators for block in blocks),
        subjects=_joined(block.subjects for block in blocks),
        classification=_joined(block.classification for block in blocks),
        language=_joined(block.language for block in blocks),
        words=_joined(block.words for block in blocks),
        arrived=_arrived(session, works),
    )


def _joined(parts: Iterable[Iterable[_T]]) -> list[_T]:
    return [value for part in parts for value in part]


def _read_block(session: Session, ids: Collection[int]) -> WorksText:
    rows = {
        row.id: row
        for row in session.execute(
            select(Work.id, Work.title, Work.language, Work.series, Work.words).where(
                Work.id.in_(ids)
            )
        )
    }
    creators, subjects, classes = (
        _creators(session, ids),
        _subjects(session, ids, classes=False),
        _subjects(session, ids, classes=True),
    )
    marks = _call_numbers(session, ids)
    return WorksText(
        title=[_title(rows[i].title, rows[i].language, rows[i].words) for i in ids],
        creators=[creators.get(i, ()) for i in ids],
        subjects=[
            subjects.get(i, ()) + ((rows[i].series,) if rows[i].series else ())
            for i in ids
        ],
        classification=[classes.get(i, ()) + marks.get(i, ()) for i in ids],
        language=[rows[i].language or "" for i in ids],
        words=[rows[i].words or {} for i in ids],
    )


def _title(title: str, language: str | None, words: object) -> str:
    # A set that brings words instead of texts has no titles: its ids stand in for them.
    return "" if words and language is None else title


def _creators(session: Session, ids: Collection[int]) -> dict[int, tuple[str, ...]]:
    return _grouped(
        session.execute(
            select(WorkCreator.work_id, Creator.name)
            .join(Creator, Creator.id == WorkCreator.creator_id)
            .where(WorkCreator.work_id.in_(ids))
            .order_by(WorkCreator.work_id, WorkCreator.position, Creator.id)
        )
    )


def _subjects(
    session: Session, ids: Collection[int], *, classes: bool
) -> dict[int, tuple[str, ...]]:
    wanted = Subject.scheme == CLASS if classes else Subject.scheme != CLASS
    return _grouped(
        session.execute(
            select(WorkSubject.work_id, Subject.label)
            .join(Subject, Subject.id == WorkSubject.subject_id)
            .where(WorkSubject.work_id.in_(ids), wanted)
            .order_by(WorkSubject.work_id, Subject.id)
        )
    )


def _call_numbers(session: Session, ids: Collection[int]) -> dict[int, tuple[str, ...]]:
    return _grouped(
        session.execute(
            select(BibRecord.work_id, BibRecord.call_number)
            .where(BibRecord.work_id.in_(ids), BibRecord.call_number.is_not(None))
            .order_by(BibRecord.work_id, BibRecord.call_number)
            .distinct()
        )
    )


def _grouped(
    pairs: Iterable[Row[int, str] | Row[int, str | None]],
) -> dict[int, tuple[str, ...]]:
    found: dict[int, list[str]] = defaultdict(list)
    for work_id, text in pairs:
        found[work_id].append(text or "")
    return {work_id: tuple(texts) for work_id, texts in found.items()}


def _arrived(session: Session, works: IntArray) -> FloatArray | None:
    """Return when each work became new; else its year; None when neither is told."""
    first = func.min(day_of(session, Acquisition.eligible_at))
    days = read_integers(
        session,
        select(Acquisition.work_id, first).group_by(Acquisition.work_id),
    )
    if len(np.unique(days[1])) >= FEWEST_DAYS:
        return _spread(works, *days)
    years = read_integers(
        session,
        select(Work.id, Work.year_greg_to).where(Work.year_greg_to.is_not(None)),
    )
    return _spread(works, *years) if len(years[0]) else None


def _spread(works: IntArray, ids: IntArray, values: IntArray) -> FloatArray:
    arrived = np.full(len(works), np.nan, np.float32)
    place, known = find_places(works, ids)
    arrived[place[known]] = values[known]
    return arrived
