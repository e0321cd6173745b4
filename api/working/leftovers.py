"""What a dead process of this machine held is taken back at once.

A lease would run out by itself, and must where workers are on many machines. Where the
dead worker was here, its process number tells sooner.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from api.working.claims import hand_back
from api.working.naming import is_dead
from library.db import Sessions, reading
from library.runtime import Runtime
from library.settings import Settings
from library.tables import Delivery, Job, ScheduleRun
from library.vocabulary import Channel, DeliveryState, JobState, SlotState
from notifier.fence import Fence, Trace
from notifier.outcomes import AMBIGUOUS_WAIT

# What the fence says of messages that are known to be out, or known not to be.
_CERTAIN: Final = frozenset({Trace.MARKED, Trace.TAKEN})


def take_back(runtime: Runtime, *, at: datetime) -> None:
    """Free turns, jobs and deliveries whose worker died here."""
    for worker in _dead(runtime.sessions):
        take_back_from(runtime, worker, at=at)


def take_back_from(runtime: Runtime, worker: str, *, at: datetime) -> None:
    """Free turns, jobs and deliveries of a worker that is known to be gone."""
    hand_back(runtime.sessions, worker, at=at)
    with runtime.sessions.begin() as session:
        _free_deliveries(session, runtime.settings, worker, at=at)


def _dead(sessions: Sessions) -> Sequence[str]:
    held = (
        select(ScheduleRun.worker).where(ScheduleRun.state == SlotState.RUNNING),
        select(Job.worker).where(Job.state == JobState.RUNNING),
        select(Delivery.worker).where(Delivery.state == DeliveryState.SENDING),
    )
    with reading(sessions) as session:
        holders = {worker for query in held for worker in session.scalars(query)}
    return sorted(worker for worker in holders if worker and is_dead(worker))


def _free_deliveries(
    session: Session, settings: Settings, worker: str, *, at: datetime
) -> None:
    mine = (Delivery.worker == worker, Delivery.state == DeliveryState.SENDING)
    marked = session.scalars(
        select(Delivery).where(
            *mine, Delivery.data_at.is_not(None), Delivery.due_at > at
        )
    ).all()
    for delivery in _in_doubt(marked, settings):
        # A server may have it: the answer can have been lost with the worker.
        delivery.worker, delivery.due_at = None, at + AMBIGUOUS_WAIT
    session.flush()
    session.execute(
        update(Delivery)
        .where(*mine)
        .values(worker=None, due_at=at)
        .execution_options(synchronize_session=False)
    )


def _in_doubt(marked: Sequence[Delivery], settings: Settings) -> list[Delivery]:
    """Return those that may be out or not; most that a dead worker held are neither."""
    if not marked:
        return []
    since = min(one.created_at for one in marked).date()
    asked = {one.message_id for one in marked}
    traces = Fence(settings.home).traces(asked, since=since)
    return [
        one
        for one in marked
        if traces.get(one.message_id) not in _CERTAIN
        # A file is written over, and never comes twice.
        and (settings.smtp_url or one.channel is not Channel.EMAIL)
    ]
