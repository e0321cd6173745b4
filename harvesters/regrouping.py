"""Works split and joined by a librarian, so that it holds through later harvests.

A work that was joined keeps its key, and its key leads to the other work from then on.
What was split off has a key that no record makes by itself, and each of its records
has one that leads there, should its source bring it anew. What a step moved is kept,
so that it can be undone; where a patron has rows for both works, such as two verdicts,
the joined one's stay with it.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Table, UniqueConstraint, and_, delete, exists, select, update
from sqlalchemy.orm import Session

from harvesters.catalogue import describe, work_facts
from harvesters.grouping import split_key
from harvesters.records import HarvestedRecord
from harvesters.rows import insert_missing
from library import audit
from library.db import Base, Lock, hold
from library.errors import Conflict, InvalidInput, NotFound
from library.tables import (
    Alert,
    BibRecord,
    JoinedWork,
    Match,
    Regrouping,
    Rule,
    ShelfEntry,
    Source,
    Suppression,
    Work,
    WorkCreator,
    WorkSubject,
)
from library.vocabulary import RegroupingKind, RuleTarget, SuppressionKind

_WITHDRAWN = "alert withdrawn"
_JOINED = "joined before"
# What describes a work stays with it, and what is made anew each night is dropped.
_LEFT = frozenset(
    table.__tablename__
    for table in (JoinedWork, Match, Regrouping, ShelfEntry, WorkCreator, WorkSubject)
)
Moved = dict[str, list[int]]


def join_works(
    session: Session, work_id: int, other_id: int, *, by: audit.Actor, at: datetime
) -> Regrouping:
    """Make another work part of this one, with all that hangs on it.

    Args:
        session: In a transaction that writes.
        work_id: The work that stays.
        other_id: The work that is shown no more.
        by: The librarian.
        at: Now.

    Raises:
        NotFound: There is no such work.
        InvalidInput: They are one work.
        Conflict: One of them is part of another already.
    """
    if work_id == other_id:
        raise InvalidInput(f"{work_id}: the same work", field="other_id")
    _both_whole(session, work_id, other_id)
    moved = _move_all(session, other_id, work_id, at=at)
    return _keep(session, RegroupingKind.JOIN, work_id, other_id, moved, by=by, at=at)


def split_work(
    session: Session,
    work_id: int,
    record_ids: Sequence[int],
    *,
    by: audit.Actor,
    at: datetime,
) -> Regrouping:
    """Make some of a work's records a work of their own; loans and alerts stay.

    Args:
        session: In a transaction that writes.
        work_id: The work.
        record_ids: Of its bib records, not all.
        by: The librarian.
        at: Now.

    Raises:
        NotFound: There is no such work.
        InvalidInput: No record is named, or all, or one of another work.
    """
    _whole(session, work_id)
    rows = session.execute(
        select(BibRecord, Source.code)
        .join(Source, Source.id == BibRecord.source_id)
        .where(BibRecord.work_id == work_id)
        .order_by(BibRecord.id)
    ).all()
    chosen = [(row, code) for row, code in rows if row.id in set(record_ids)]
    if not chosen or len(chosen) != len(set(record_ids)):
        raise InvalidInput("name records of this work", field="records")
    if len(chosen) == len(rows):
        raise InvalidInput("a work keeps at least one record", field="records")
    made = [_own_work(session, row, code, at=at) for row, code in chosen]
    for part in made[1:]:
        session.add(JoinedWork(work_id=part, into_id=made[0]))
    ids = [row.id for row, _ in chosen]
    session.execute(
        update(BibRecord).where(BibRecord.id.in_(ids)).values(work_id=made[0])
    )
    moved = {BibRecord.__tablename__: ids}
    return _keep(session, RegroupingKind.SPLIT, work_id, made[0], moved, by=by, at=at)


def undo_regrouping(
    session: Session, regrouping_id: int, *, by: audit.Actor, at: datetime
) -> Regrouping:
    """Take a split or join back.

    Raises:
        NotFound: There is none of this number.
        Conflict: It is undone already, or a later one stands on it.
    """
    done = session.get(Regrouping, regrouping_id, with_for_update=True)
    if done is None:
        raise NotFound(f"no regrouping {regrouping_id}")
    if done.undone_at is not None:
        raise Conflict("it is undone already")
    if done.kind == RegroupingKind.JOIN:
        _unjoin(session, done)
    else:
        _both_whole(session, done.work_id, done.other_id)
        _move_all(session, done.other_id, done.work_id, at=at)
    done.undone_at = at
    _record(session, f"work.{done.kind.value}.undone", done, by=by, at=at)
    return done


def recent_regroupings(session: Session, work_id: int) -> list[Regrouping]:
    """Return what was done to a work, the latest first."""
    return list(
        session.scalars(
            select(Regrouping)
            .where((Regrouping.work_id == work_id) | (Regrouping.other_id == work_id))
            .order_by(Regrouping.id.desc())
        )
    )


def _both_whole(session: Session, *work_ids: int) -> None:
    # In one order everywhere, or two librarians could wait for each other.
    for work_id in sorted(work_ids):
        _whole(session, work_id)


def _whole(session: Session, work_id: int) -> Work:
    hold(session.connection(), Lock.CATALOGUING)  # harvests touch the same works
    work = session.get(Work, work_id, with_for_update=True)
    if work is None:
        raise NotFound(f"no work {work_id}")
    into = session.scalar(
        select(JoinedWork.into_id).where(JoinedWork.work_id == work_id)
    )
    if into is not None:
        raise Conflict(f"work {work_id} is part of work {into}")
    return work


def _keep(  # noqa: PLR0913 -- what was done, to what, by whom and when
    session: Session,
    kind: RegroupingKind,
    work_id: int,
    other_id: int,
    moved: Moved,
    *,
    by: audit.Actor,
    at: datetime,
) -> Regrouping:
    done = Regrouping(
        kind=kind,
        work_id=work_id,
        other_id=other_id,
        moved=moved,
        staff_id=by.staff_id,
        created_at=at,
    )
    session.add(done)
    session.flush()
    _record(session, f"work.{kind.value}", done, by=by, at=at)
    return done


def _record(
    session: Session, action: str, done: Regrouping, *, by: audit.Actor, at: datetime
) -> None:
    counts = {name: len(ids) for name, ids in done.moved.items()}
    audit.record(
        session,
        action,
        at=at,
        by=by,
        table=Work.__tablename__,
        row_id=done.work_id,
        after={"other": done.other_id, "regrouping": done.id, "moved": counts},
    )


def _own_work(session: Session, row: BibRecord, code: str, *, at: datetime) -> int:
    """Make the work that a record is by itself, as its source said it."""
    said = row.raw.get("said") or {"title": session.get_one(Work, row.work_id).title}
    record = HarvestedRecord(
        ref=row.source_ref, **{**said, "creators": tuple(said.get("creators", ()))}
    )
    key = split_key(code, row.source_ref)
    # A work that was split off once and joined again since is taken up again.
    found = session.scalar(select(Work.id).where(Work.key == key))
    if found is not None:
        session.execute(delete(JoinedWork).where(JoinedWork.work_id == found))
        return found
    work = Work(key=key, created_at=at, **work_facts(record))
    session.add(work)
    session.flush()
    describe(session, {work.id: record})
    return work.id


def _move_all(session: Session, from_id: int, into_id: int, *, at: datetime) -> Moved:
    moved: Moved = {}
    for table in _hanging_on_works():
        moved[table.name] = _move(session, table, from_id, into_id)
    for target in (Rule, Suppression):
        moved[target.__tablename__] = _retarget(session, target, from_id, into_id)
    moved[WorkSubject.__tablename__] = _share_subjects(session, from_id, into_id)
    moved[_WITHDRAWN] = list(
        session.scalars(
            update(Alert)
            .where(Alert.work_id == from_id, Alert.withdrawn_at.is_(None))
            .values(withdrawn_at=at)
            .returning(Alert.id)
        )
    )
    for daily in (Match, ShelfEntry):
        session.execute(delete(daily).where(daily.work_id == from_id))
    moved[_JOINED] = list(
        session.scalars(
            update(JoinedWork)
            .where(JoinedWork.into_id == from_id)
            .values(into_id=into_id)
            .returning(JoinedWork.work_id)
        )
    )
    session.add(JoinedWork(work_id=from_id, into_id=into_id))
    session.flush()
    return {name: ids for name, ids in moved.items() if ids}


def _unjoin(session: Session, done: Regrouping) -> None:
    """Put back what a join moved, as far as it is still there.

    Raises:
        Conflict: One of the two works has become part of another since.
    """
    _whole(session, done.work_id)
    left = session.execute(
        delete(JoinedWork)
        .where(JoinedWork.work_id == done.other_id, JoinedWork.into_id == done.work_id)
        .returning(JoinedWork.work_id)
    ).first()
    if left is None:
        raise Conflict(f"work {done.other_id} is no part of work {done.work_id} now")
    moved: Mapping[str, list[int]] = done.moved
    for table in _hanging_on_works():
        session.execute(
            update(table)
            .where(table.c.id.in_(moved.get(table.name, ())))
            .where(table.c.work_id == done.work_id)
            .values(work_id=done.other_id)
        )
    for target in (Rule, Suppression):
        ids = moved.get(target.__tablename__, ())
        session.execute(
            update(target)
            .where(target.id.in_(ids), target.target == str(done.work_id))
            .values(target=str(done.other_id))
        )
    session.execute(
        delete(WorkSubject).where(
            WorkSubject.work_id == done.work_id,
            WorkSubject.subject_id.in_(moved.get(WorkSubject.__tablename__, ())),
        )
    )
    session.execute(
        update(Alert)
        .where(Alert.id.in_(moved.get(_WITHDRAWN, ())))
        .values(withdrawn_at=None)
    )
    session.execute(
        update(JoinedWork)
        .where(JoinedWork.work_id.in_(moved.get(_JOINED, ())))
        .values(into_id=done.other_id)
    )


def _hanging_on_works() -> Iterator[Table]:
    for table in Base.metadata.sorted_tables:
        if table.name not in _LEFT and "work_id" in table.c and "id" in table.c:
            yield table


def _move(session: Session, table: Table, from_id: int, into_id: int) -> list[int]:
    """Move the rows for which the other work has none like them."""
    moving = update(table).where(table.c.work_id == from_id)
    there = table.alias("there")
    for rule in table.constraints:
        if isinstance(rule, UniqueConstraint) and "work_id" in rule.columns:
            others = [c.name for c in rule.columns if c.name != "work_id"]
            same = and_(*(there.c[name] == table.c[name] for name in others))
            moving = moving.where(~exists().where(there.c.work_id == into_id, same))
    moved = moving.values(work_id=into_id).returning(table.c.id)
    return list(session.scalars(moved))


def _retarget(session: Session, target: Any, from_id: int, into_id: int) -> list[int]:
    """Let rules and wishes about the one work be about the other."""
    of_works = (
        target.target_kind == RuleTarget.WORK
        if target is Rule
        else target.kind == SuppressionKind.WORK
    )
    changing = update(target).where(of_works, target.target == str(from_id))
    if target is Suppression:
        there = Suppression.__table__.alias("there")
        changing = changing.where(
            ~exists().where(
                there.c.patron_id == Suppression.patron_id,
                there.c.kind == SuppressionKind.WORK,
                there.c.target == str(into_id),
            )
        )
    changed = changing.values(target=str(into_id)).returning(target.id)
    options = {"synchronize_session": False}
    return list(session.scalars(changed, execution_options=options))


def _share_subjects(session: Session, from_id: int, into_id: int) -> list[int]:
    of = select(WorkSubject.subject_id)
    there = set(session.scalars(of.where(WorkSubject.work_id == into_id)))
    new = set(session.scalars(of.where(WorkSubject.work_id == from_id))) - there
    rows = [{"work_id": into_id, "subject_id": subject} for subject in sorted(new)]
    insert_missing(session, WorkSubject, rows)
    return sorted(new)
