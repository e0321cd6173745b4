"""Beat and sweeper: one thread in every worker that rings for rows that are due.

Each recurring job is a row of `schedule`; a conditional UPDATE decides which of many
schedulers makes its turn, so none is missed and none made twice. The sweeper rings
again for whatever waits, which is why a lost ring loses nothing.
"""

import logging
import time as clock
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from math import ceil, inf
from threading import Event
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy import func, select, update
from sqlalchemy.exc import DBAPIError, IntegrityError

from api.working.bell import (
    DELIVER_CALL,
    HEARTBEAT,
    Call,
    Ring,
    job_call,
    turn_call,
)
from api.working.claims import ATTEMPTS, has_work, job_open, turn_due
from library.clock import utc_now
from library.db import Sessions, reading
from library.runtime import Runtime
from library.tables import Delivery, Heartbeat, Job, Schedule, ScheduleRun
from library.vocabulary import SlotState
from notifier.outbox import OPEN

TICK: Final = 5.0
SWEEP_EVERY: Final = 15.0
HEARTBEAT_EVERY: Final = 20.0
DEAF_AFTER: Final = 3 * HEARTBEAT_EVERY
BATCH: Final = 100
"""Rings of one sweep, at most: a flood of rows must not flood the broker."""
DELIVERIES_A_RING: Final = 200
A_RING: Final = timedelta(minutes=3)
"""How long one ring may deliver: far below what a worker gives it."""
RINGS_TO_DELIVER: Final = 4

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Recurring:
    """A job that comes round: every so often, or at an hour of the library's clock."""

    name: str
    every: timedelta | None = None
    hour: int = 0
    weekday: int | None = None
    """0 is Monday; None is every night."""


TIMETABLE: Final = (
    Recurring("harvest", every=timedelta(minutes=5)),
    Recurring("match", every=timedelta(minutes=10)),
    Recurring("alert", every=timedelta(minutes=5)),
    Recurring("warn", every=timedelta(minutes=15)),
    Recurring("canary", every=timedelta(minutes=5)),
    Recurring("bounces", every=timedelta(minutes=10)),
    Recurring("erasures", every=timedelta(minutes=5)),
    Recurring("tidy", hour=1),
    Recurring("infer", hour=2),
    Recurring("shelves", hour=3),
    Recurring("train", hour=1, weekday=4),
)


def next_slot(
    job: Recurring, after: datetime, *, slot: datetime, zone: str
) -> datetime:
    """Return when a job comes round again: the first of its slots later than `after`.

    Args:
        job: The job.
        after: The moment; slots missed until then are not made up for one by one.
        slot: One of its slots, from which an interval is counted on.
        zone: The library's, for jobs at an hour.
    """
    if job.every is not None:
        return slot + job.every * max(1, ceil((after - slot) / job.every + 1e-9))
    local = after.astimezone(ZoneInfo(zone))
    day = local.date() if local.hour < job.hour else local.date() + timedelta(days=1)
    if job.weekday is not None:
        day += timedelta(days=(job.weekday - day.weekday()) % 7)
    return datetime.combine(day, time(job.hour), ZoneInfo(zone))


def take_turns(
    sessions: Sessions,
    timetable: Sequence[Recurring],
    *,
    at: datetime,
    zone: str,
) -> list[Call]:
    """Make a turn of each job that is due, and return what to ring for."""
    with reading(sessions) as session:
        known = {row.name: row.next_at for row in session.scalars(select(Schedule))}
    calls = []
    for job in timetable:
        if job.name not in known:
            _enter(sessions, job, at=at, zone=zone)
        elif known[job.name] <= at:
            run_id = _take_turn(sessions, job, known[job.name], at=at, zone=zone)
            calls += [turn_call(run_id, job.name)] if run_id else []
    return calls


def rows_due(sessions: Sessions, *, at: datetime, limit: int = BATCH) -> list[Call]:
    """Return what to ring for again: rows that wait, or whose lease ran out."""
    with reading(sessions) as session:
        turns = session.execute(
            select(ScheduleRun.id, ScheduleRun.name)
            .where(turn_due(at), ScheduleRun.attempts < ATTEMPTS)
            .order_by(ScheduleRun.due_at, ScheduleRun.id)
            .limit(limit)
        ).all()
        jobs = session.execute(
            select(Job.id, Job.kind).where(job_open(at)).order_by(Job.id).limit(limit)
        ).all()
        deliveries = session.scalar(
            select(func.count()).select_from(
                select(Delivery.id)
                .where(
                    Delivery.state.in_(OPEN),
                    Delivery.due_at <= at,
                )
                .limit(DELIVERIES_A_RING * RINGS_TO_DELIVER)
                .subquery()
            )
        )
    rings = ceil((deliveries or 0) / DELIVERIES_A_RING)
    return [
        *[DELIVER_CALL] * rings,
        *(job_call(row.id, row.kind) for row in jobs),
        *(turn_call(row.id, row.name) for row in turns),
    ][:limit]


def give_up(sessions: Sessions, *, at: datetime) -> None:
    """Fail the turns that were begun too often and never ended."""
    hopeless = (turn_due(at), ScheduleRun.attempts >= ATTEMPTS)
    with reading(sessions) as session:
        if not session.scalar(select(ScheduleRun.id).where(*hopeless).limit(1)):
            return
    with sessions.begin() as session:
        session.execute(
            update(ScheduleRun)
            .where(*hopeless)
            .values(
                state=SlotState.FAILED,
                error=f"given up: begun {ATTEMPTS} times and never ended",
                ended_at=at,
            )
        )


def heard_at(sessions: Sessions, worker: str | None = None) -> datetime | None:
    """Return when this worker, or any, last answered a ring; None: never."""
    query = select(func.max(Heartbeat.at))
    if worker is not None:
        query = query.where(Heartbeat.worker == worker)
    with reading(sessions) as session:
        return session.scalar(query)


def keep_time(beat: "Beat", stop: Event) -> None:
    """Ring for what is due until `stop` is set.

    A database that is away is waited for: nothing here may end the thread.
    """
    while not stop.is_set():
        try:
            beat.tick()
        except DBAPIError:
            logger.warning("the database does not answer; trying again")
        except Exception:
            logger.exception("a tick of the schedule failed")
        stop.wait(TICK)


@dataclass
class Beat:
    """A scheduler, and what it remembers between two ticks."""

    runtime: Runtime
    ring: Ring
    worker: str
    """Whose heartbeat to look for."""
    queue: str
    """The queue that only this worker listens to."""
    deaf: Callable[[], None]
    """Called when no ring has been answered for three periods."""
    timetable: Sequence[Recurring] = TIMETABLE
    listening_since: float = field(default_factory=clock.monotonic)
    _swept: float = -inf
    _beaten: float = -inf

    def tick(self) -> None:
        """Take the turns that are due, sweep, and look for a heartbeat."""
        sessions, settings = self.runtime.sessions, self.runtime.settings
        at = utc_now()
        for call in take_turns(sessions, self.timetable, at=at, zone=settings.zone):
            self.ring(call)
        now = clock.monotonic()
        if now - self._swept >= SWEEP_EVERY:
            self._swept = now
            give_up(sessions, at=at)
            for call in rows_due(sessions, at=at):
                self.ring(call)
        if now - self._beaten >= HEARTBEAT_EVERY:
            self._beaten = now
            self.ring(Call(HEARTBEAT, None, self.queue))
            self._listen(at, now)

    def _listen(self, at: datetime, now: float) -> None:
        heard = heard_at(self.runtime.sessions, self.worker)
        if heard and (at - heard).total_seconds() < DEAF_AFTER:
            return
        if now - self.listening_since <= DEAF_AFTER:
            return
        if has_work(self.runtime.sessions, self.worker, at=at):
            # Busy is not deaf: who does the work cannot answer for the heart.
            self.listening_since = now
        else:
            logger.error("no ring was answered for %d s; starting anew", DEAF_AFTER)
            self.listening_since = now
            self.deaf()


def _enter(sessions: Sessions, job: Recurring, *, at: datetime, zone: str) -> None:
    first = at if job.every else next_slot(job, at, slot=at, zone=zone)
    try:
        with sessions.begin() as session:
            session.add(Schedule(name=job.name, next_at=first))
    except IntegrityError:
        # Another scheduler entered it first.
        return


def _take_turn(
    sessions: Sessions, job: Recurring, slot: datetime, *, at: datetime, zone: str
) -> int | None:
    following = next_slot(job, at, slot=slot, zone=zone)
    with sessions.begin() as session:
        won = session.scalar(
            update(Schedule)
            .where(Schedule.name == job.name, Schedule.next_at == slot)
            .values(next_at=following)
            .returning(Schedule.name)
        )
        if won is None:
            return None
        run = ScheduleRun(name=job.name, slot=slot, due_at=at)
        session.add(run)
        session.flush()
        return run.id
