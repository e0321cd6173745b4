"""What a dead process of this machine held is taken back at once.

A lease would run out by itself, and must where workers are on many machines. Where the
dead worker was here, its process number tells sooner.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from api.working.claims import hand_back
from api.working.naming import is_dead
from library.db import Sessions, reading
from library.runtime import Runtime
from library.tables import Delivery, Job, ScheduleRun
from library.vocabulary import DeliveryState, JobState, SlotState

AMBIGUOUS_FOR: Final = timedelta(minutes=10)
"""A message that may be out rests so long before it is sent again."""


def take_back(runtime: Runtime, *, at: datetime) -> None:
    """Free turns, jobs and deliveries whose worker died here."""
    sessions = runtime.sessions
    for worker in _dead(sessions):
        hand_back(sessions, worker, at=at)
        with sessions.begin() as session:
            _free_deliveries(
                session, worker, at=at, writes_files=not runtime.settings.smtp_url
            )


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
    session: Session, worker: str, *, at: datetime, writes_files: bool
) -> None:
    mine = (Delivery.worker == worker, Delivery.state == DeliveryState.SENDING)
    if not writes_files:
        # A server may have it: the answer can have been lost with the worker.
        session.execute(
            update(Delivery)
            .where(*mine, Delivery.data_at.is_not(None), Delivery.due_at > at)
            .values(worker=None, due_at=at + AMBIGUOUS_FOR)
        )
    session.execute(update(Delivery).where(*mine).values(worker=None, due_at=at))
