"""Taking up a scheduled turn or a job, so that one worker does it and none is lost.

A claim is one conditional UPDATE. It holds for a lease that is renewed while the work
goes on; when a worker dies the lease runs out and another takes the row up.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Event, Thread
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, or_, select, update
from sqlalchemy.exc import DBAPIError

from library.clock import utc_now
from library.db import Sessions, reading
from library.errors import ServiceError
from library.tables import Delivery, Job, ScheduleRun
from library.vocabulary import DeliveryState, JobState, SlotState

LEASE: Final = timedelta(seconds=90)
RENEW_EVERY: Final = 30.0
ATTEMPTS: Final = 5
"""A turn that has killed so many workers is given up."""
LONGEST: Final = timedelta(hours=12)
"""No lease is renewed past this: work that hangs must not hold its row for ever."""


class JobStopped(ServiceError):
    """Somebody asked for the job to stop."""


@dataclass(frozen=True)
class Claim:
    """A row that is ours until the lease ends."""

    table: type[ScheduleRun | Job]
    row_id: int
    name: str
    parameters: Mapping[str, Any]
    worker: str


def claim_turn(
    sessions: Sessions, run_id: int, *, worker: str, at: datetime
) -> Claim | None:
    """Take up one turn of a scheduled job; None when it is done, taken or not due."""
    with sessions.begin() as session:
        name = session.scalar(
            update(ScheduleRun)
            .where(ScheduleRun.id == run_id, _turn_open(at))
            .values(
                state=SlotState.RUNNING,
                worker=worker,
                attempts=ScheduleRun.attempts + 1,
                due_at=at + LEASE,
            )
            .returning(ScheduleRun.name)
        )
    return Claim(ScheduleRun, run_id, name, {}, worker) if name else None


def claim_job(
    sessions: Sessions, job_id: int, *, worker: str, at: datetime
) -> Claim | None:
    """Take up a job; None when it is done, taken or not known."""
    with sessions.begin() as session:
        row = session.execute(
            update(Job)
            .where(Job.id == job_id, job_open(at))
            .values(state=JobState.RUNNING, worker=worker, lease_until=at + LEASE)
            .returning(Job.kind, Job.parameters)
        ).first()
    return Claim(Job, job_id, row.kind, row.parameters, worker) if row else None


def turn_due(at: datetime) -> ColumnElement[bool]:
    """Tell of a turn that it waits, or that who had it is gone."""
    return and_(
        ScheduleRun.state.in_((SlotState.DUE, SlotState.RUNNING)),
        ScheduleRun.due_at <= at,
    )


def job_open(at: datetime) -> ColumnElement[bool]:
    """Tell of a job that it waits, or that who had it is gone."""
    return or_(
        Job.state == JobState.QUEUED,
        and_(Job.state == JobState.RUNNING, Job.lease_until <= at),
    )


def settle(
    sessions: Sessions,
    claim: Claim,
    *,
    error: str | None = None,
    stopped: bool = False,
    result: Mapping[str, Any] | None = None,
    at: datetime,
) -> bool:
    """Write how it ended, if the row is still ours; tell whether it was."""
    if claim.table is Job:
        state = JobState.STOPPED if stopped else _job_end(error)
        values: dict[str, Any] = {"state": state, "result": result}
    else:
        values = {"state": SlotState.FAILED if error else SlotState.DONE}
    return _change(sessions, claim, {**values, "error": error, "ended_at": at})


def renew(sessions: Sessions, claim: Claim, *, at: datetime) -> bool:
    """Prolong the lease, if the row is still ours; tell whether it was."""
    until = "lease_until" if claim.table is Job else "due_at"
    return _change(sessions, claim, {until: at + LEASE})


def hand_back(sessions: Sessions, worker: str, *, at: datetime) -> None:
    """Let go of all that a leaving worker holds, so that another need not wait."""
    with sessions.begin() as session:
        session.execute(
            update(ScheduleRun)
            .where(ScheduleRun.worker == worker, _RUNNING[ScheduleRun])
            .values(state=SlotState.DUE, due_at=at, worker=None)
        )
        session.execute(
            update(Job)
            .where(Job.worker == worker, _RUNNING[Job])
            .values(state=JobState.QUEUED, lease_until=None, worker=None)
        )


def has_work(sessions: Sessions, worker: str, *, at: datetime) -> bool:
    """Tell whether a worker is at a turn, a job or messages; so it heard a ring."""
    held = (
        select(ScheduleRun.id).where(
            ScheduleRun.worker == worker,
            _RUNNING[ScheduleRun],
            ScheduleRun.due_at > at,
        ),
        select(Job.id).where(Job.worker == worker, _RUNNING[Job], Job.lease_until > at),
        select(Delivery.id).where(
            Delivery.worker == worker,
            Delivery.state == DeliveryState.SENDING,
            Delivery.due_at > at,
        ),
    )
    with reading(sessions) as session:
        return any(session.scalar(one.limit(1)) is not None for one in held)


@contextmanager
def kept(sessions: Sessions, claim: Claim) -> Iterator[None]:
    """Renew the lease from a thread of its own while the work goes on."""
    done = Event()
    keeper = Thread(
        target=_keep, args=(sessions, claim, done), name="lease", daemon=True
    )
    keeper.start()
    try:
        yield
    finally:
        done.set()
        keeper.join()


def _keep(sessions: Sessions, claim: Claim, done: Event) -> None:
    last = utc_now() + LONGEST
    while not done.wait(RENEW_EVERY) and (at := utc_now()) < last:
        try:
            if not renew(sessions, claim, at=at):
                return
        except DBAPIError:
            # The database is away: the next renewal may still come in time.
            continue


def _turn_open(at: datetime) -> ColumnElement[bool]:
    return and_(turn_due(at), ScheduleRun.attempts < ATTEMPTS)


def _job_end(error: str | None) -> JobState:
    return JobState.FAILED if error else JobState.DONE


def _change(sessions: Sessions, claim: Claim, values: Mapping[str, Any]) -> bool:
    table = claim.table
    with sessions.begin() as session:
        changed = session.scalar(
            update(table)
            .where(
                table.id == claim.row_id,
                table.worker == claim.worker,
                _RUNNING[table],
            )
            .values(**values)
            .returning(table.id)
        )
    return changed is not None


_RUNNING: Final[Mapping[type, ColumnElement[bool]]] = {
    ScheduleRun: ScheduleRun.state == SlotState.RUNNING,
    Job: Job.state == JobState.RUNNING,
}
