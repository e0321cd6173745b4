"""When a work is new at a branch: as the library chooses per source."""

from collections.abc import Collection, Iterable
from datetime import datetime

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from harvesters.rows import insert_missing
from library.tables import Acquisition, Alert, BibRecord, Delivery, Source
from library.vocabulary import DeliveryState, NewMeans

_STEPS = ("ordered", "received", "available")


def is_due(new_means: NewMeans, status: str | None) -> bool:
    """Tell whether a record that has come this far is new in the library's sense.

    Args:
        new_means: The library's choice.
        status: ordered, received or available; None where the source does not tell,
            which is enough for "ordered" and not for what comes after.
    """
    if new_means == NewMeans.FIRST_SEEN:
        return True
    step = _STEPS.index(status) if status in _STEPS else 0
    return step >= _STEPS.index(new_means.value)


def works_held(session: Session, branch_id: int, work_ids: Collection[int]) -> set[int]:
    """Return those of the works of which the branch has had a record before."""
    return set(
        session.scalars(
            select(BibRecord.work_id)
            .join(Source, Source.id == BibRecord.source_id)
            .where(Source.branch_id == branch_id, BibRecord.work_id.in_(work_ids))
        )
    )


def record_acquisitions(
    session: Session,
    work_ids: Iterable[int],
    *,
    branch_id: int,
    cause: NewMeans,
    at: datetime,
) -> int:
    """Make these works new at the branch; return how many were not so before."""
    wanted = sorted(set(work_ids))
    there = set(
        session.scalars(
            select(Acquisition.work_id).where(
                Acquisition.branch_id == branch_id, Acquisition.work_id.in_(wanted)
            )
        )
    )
    rows = [
        {"work_id": w, "branch_id": branch_id, "eligible_at": at, "cause": cause}
        for w in wanted
        if w not in there
    ]
    insert_missing(session, Acquisition, rows)
    return len(rows)


def withdraw(session: Session, work_ids: Collection[int], *, at: datetime) -> None:
    """Take back what was to be told of works of which no record is left."""
    live = set(
        session.scalars(
            select(BibRecord.work_id).where(
                BibRecord.work_id.in_(work_ids), BibRecord.withdrawn_at.is_(None)
            )
        )
    )
    gone = set(work_ids) - live
    session.execute(
        delete(Acquisition).where(
            Acquisition.work_id.in_(gone), Acquisition.matched_at.is_(None)
        )
    )
    sent = select(Delivery.id).where(Delivery.state == DeliveryState.SENT)
    session.execute(
        update(Alert)
        .where(
            Alert.work_id.in_(gone),
            Alert.withdrawn_at.is_(None),
            Alert.delivery_id.is_(None) | Alert.delivery_id.not_in(sent),
        )
        .values(withdrawn_at=at)
    )
