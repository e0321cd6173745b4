"""A canary: every few minutes it goes the way of an alert, to the mail server's door.

The schedule rings for it, a worker sets it out, and whoever delivers next takes it to
the mail server. Where it does not come out, some part on that way stands still.
"""

from datetime import UTC, datetime, timedelta
from enum import StrEnum

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from library.db import Sessions
from library.remembering import remember
from library.tables import Schedule, ScheduleRun, Setting
from library.vocabulary import SlotState

PATIENCE = timedelta(minutes=15)
JOB = "canary"
_NAME = "canary"


class Standstill(StrEnum):
    """Which part does not go on."""

    SCHEDULE = "no worker, or no schedule, has run for 15 minutes"
    ALERTS = "no digests have been made for 15 minutes"
    MAIL = "nothing could be handed to the mail server for 15 minutes"


def set_out(sessions: Sessions, *, at: datetime) -> None:
    """Let the canary out; one that is out already stays so since it was."""
    with sessions.begin() as session:
        if not is_out(session):
            remember(session, _NAME, {"out_since": at.isoformat()})


def is_out(session: Session) -> bool:
    """Tell whether it is on its way."""
    return _out_since(session) is not None


def came(sessions: Sessions) -> None:
    """Note that it came to the mail server's door."""
    with sessions.begin() as session:
        remember(session, _NAME, {"out_since": None})


def standstill(session: Session, *, at: datetime) -> Standstill | None:
    """Return which part has stood still for too long; None when all go on.

    Where the service was never run, only single commands, nothing is expected.
    """
    next_at = session.scalar(select(Schedule.next_at).where(Schedule.name == JOB))
    if next_at is None:
        return None
    if next_at < at - PATIENCE or _ended(session, JOB) < at - PATIENCE:
        return Standstill.SCHEDULE
    if _ended(session, "alert") < at - PATIENCE:
        return Standstill.ALERTS
    since = _out_since(session)
    return Standstill.MAIL if since and since < at - PATIENCE else None


def _out_since(session: Session) -> datetime | None:
    value = session.scalar(select(Setting.value).where(Setting.name == _NAME))
    since = value["out_since"] if value else None
    return datetime.fromisoformat(since) if since else None


def _ended(session: Session, job: str) -> datetime:
    """Return when a job's last turn was done; where none was, its first slot."""
    done = session.scalar(
        select(func.max(ScheduleRun.ended_at)).where(
            ScheduleRun.name == job, ScheduleRun.state == SlotState.DONE
        )
    )
    first = select(func.min(ScheduleRun.slot)).where(ScheduleRun.name == job)
    moment = done or session.scalar(first)
    if moment is None:
        due = select(Schedule.next_at).where(Schedule.name == job)
        moment = session.scalar(due)
    return moment or datetime.max.replace(tzinfo=UTC)
