"""What the works of a digest say of themselves, read from the tables at once."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import BindParameter, String, bindparam, cast, or_, select, union_all
from sqlalchemy.orm import Session

from library.db import UtcDateTime
from library.tables import (
    Alert,
    BibRecord,
    Creator,
    Feedback,
    Hold,
    Interest,
    Loan,
    Patron,
    Rule,
    Source,
    Subject,
    Suppression,
    Work,
    WorkCreator,
    WorkSubject,
)
from library.vocabulary import RuleAction

Target = tuple[str, str]
"""A kind (work, creator, subject, series) and the id or squash it names."""


# Asked for every patron: made once, so that only the values are new each time.
_PATRON: BindParameter[int] = bindparam("patron_id")
_WORKS: BindParameter[int] = bindparam("work_ids", expanding=True)
_MET = union_all(
    *(
        select(table.work_id).where(
            table.patron_id == _PATRON, table.work_id.in_(_WORKS)
        )
        for table in (Loan, Hold, Feedback)
    )
)
_RECORDS = select(BibRecord.work_id, BibRecord.withdrawn_at).where(
    BibRecord.work_id.in_(_WORKS)
)
_UNWANTED = union_all(
    select(cast(Suppression.kind, String), Suppression.target).where(
        Suppression.patron_id == _PATRON
    ),
    select(cast(Rule.target_kind, String), Rule.target).where(
        Rule.action == RuleAction.EXCLUDE,
        Rule.starts_at <= bindparam("at", type_=UtcDateTime),
        Rule.ends_at > bindparam("at", type_=UtcDateTime),
        or_(Rule.branch_id.is_(None), Rule.branch_id == bindparam("branch_id")),
        or_(Rule.category.is_(None), Rule.category == bindparam("category")),
    ),
)


@dataclass(frozen=True)
class Entry:
    """One alert with all a message says of its work."""

    alert_id: int
    work_id: int
    score: float
    interest_id: int | None
    rule_id: int | None
    model_version_id: int | None
    reasons: tuple[dict[str, Any], ...]
    title: str
    title_dir: str
    language: str | None
    year_raw: str | None
    creators: tuple[str, ...] = ()
    call_number: str | None = None


def entries(
    session: Session, alerts: Sequence[Alert], *, branch_id: int
) -> list[Entry]:
    """Read what a message says of these alerts' works.

    The call number is the branch's own where it has one.
    """
    work_ids = [alert.work_id for alert in alerts]
    works = session.scalars(select(Work).where(Work.id.in_(work_ids)))
    by_id = {work.id: work for work in works}
    creators = _creators(session, work_ids)
    call_numbers = _call_numbers(session, work_ids, branch_id)
    return [
        Entry(
            alert.id,
            alert.work_id,
            alert.score,
            alert.interest_id,
            alert.rule_id,
            alert.model_version_id,
            tuple(alert.reasons),
            work.title,
            work.title_dir,
            work.language,
            work.year_raw,
            tuple(creators[alert.work_id]),
            call_numbers.get(alert.work_id),
        )
        for alert in alerts
        if (work := by_id.get(alert.work_id))
    ]


def interest_labels(
    session: Session, interest_ids: Collection[int | None]
) -> dict[int, str]:
    """Return the names of interests that still stand."""
    wanted = [one for one in interest_ids if one is not None]
    if not wanted:
        return {}
    rows = session.execute(
        select(Interest.id, Interest.label).where(Interest.id.in_(wanted))
    )
    return {one: label for one, label in rows}  # noqa: C416 -- mypy wants the tuple opened


def barred_works(
    session: Session, patron: Patron, work_ids: Collection[int], *, at: datetime
) -> set[int]:
    """Return which of these works the patron must not be told of now.

    Borrowed, held or judged; suppressed, by themselves or by what they are; withdrawn
    from every source; taken out by a librarian's rule.
    """
    if not work_ids:
        return set()
    ids = list(work_ids)
    return (
        _met_before(session, patron.id, ids)
        | _withdrawn(session, ids)
        | _aimed_at(session, ids, _unwanted(session, patron, at))
    )


def _creators(session: Session, work_ids: list[int]) -> dict[int, list[str]]:
    rows = session.execute(
        select(WorkCreator.work_id, Creator.name)
        .join(Creator, Creator.id == WorkCreator.creator_id)
        .where(WorkCreator.work_id.in_(work_ids))
        .order_by(WorkCreator.work_id, WorkCreator.position, Creator.id)
    )
    found: dict[int, list[str]] = defaultdict(list)
    for work_id, name in rows:
        found[work_id].append(name)
    return found


def _call_numbers(
    session: Session, work_ids: list[int], branch_id: int
) -> dict[int, str]:
    rows = session.execute(
        select(BibRecord.work_id, BibRecord.call_number)
        .join(Source, Source.id == BibRecord.source_id)
        .where(
            BibRecord.work_id.in_(work_ids),
            BibRecord.call_number.is_not(None),
            BibRecord.withdrawn_at.is_(None),
            or_(Source.branch_id == branch_id, Source.branch_id.is_(None)),
        )
        .order_by(BibRecord.id.desc())
    )
    return {work_id: number for work_id, number in rows if number}


def _met_before(session: Session, patron_id: int, work_ids: list[int]) -> set[int]:
    given = {"patron_id": patron_id, "work_ids": work_ids}
    return set(session.scalars(_MET, given))


def _withdrawn(session: Session, work_ids: list[int]) -> set[int]:
    rows = session.execute(_RECORDS, {"work_ids": work_ids})
    live: dict[int, bool] = defaultdict(bool)
    for work_id, withdrawn_at in rows:
        live[work_id] |= withdrawn_at is None
    return {work_id for work_id, one_is_left in live.items() if not one_is_left}


def _unwanted(session: Session, patron: Patron, at: datetime) -> set[Target]:
    rows = session.execute(
        _UNWANTED,
        {
            "patron_id": patron.id,
            "at": at,
            "branch_id": patron.branch_id,
            "category": patron.category,
        },
    )
    return {(str(kind), target) for kind, target in rows}


def _aimed_at(session: Session, work_ids: list[int], targets: set[Target]) -> set[int]:
    if not targets:
        return set()
    return {
        work_id for work_id, target in _facts(session, work_ids) if target in targets
    }


def _facts(session: Session, work_ids: list[int]) -> list[tuple[int, Target]]:
    creators = session.execute(
        select(WorkCreator.work_id, Creator.squash)
        .join(Creator, Creator.id == WorkCreator.creator_id)
        .where(WorkCreator.work_id.in_(work_ids))
    )
    subjects = session.execute(
        select(WorkSubject.work_id, Subject.squash)
        .join(Subject, Subject.id == WorkSubject.subject_id)
        .where(WorkSubject.work_id.in_(work_ids))
    )
    series = session.execute(
        select(Work.id, Work.series_squash).where(
            Work.id.in_(work_ids), Work.series_squash.is_not(None)
        )
    )
    return [
        *((one, ("work", str(one))) for one in work_ids),
        *((work_id, ("creator", squash)) for work_id, squash in creators),
        *((work_id, ("subject", squash)) for work_id, squash in subjects),
        *((work_id, ("series", squash or "")) for work_id, squash in series),
    ]
