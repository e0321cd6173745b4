"""Clearing away what has served its time and names nobody's reading."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, delete
from sqlalchemy.orm import Session

from library.db import Base, Sessions
from library.jobs import Progress, Work
from library.runtime import Runtime
from library.tables import (
    CallCount,
    Heartbeat,
    IdempotencyKey,
    ScheduleRun,
    SignedIn,
    SignIn,
)

DAY: Final = timedelta(days=1)
RUNS_KEPT: Final = timedelta(days=14)


@dataclass(frozen=True)
class TidyReport:
    """Rows removed, by table."""

    removed: Mapping[str, int]


def tidy(sessions: Sessions, *, at: datetime) -> TidyReport:
    """Remove old heartbeats, turns, call counts, and what expired."""
    old: dict[type[Base], ColumnElement[bool]] = {
        Heartbeat: Heartbeat.at < at - DAY,
        ScheduleRun: ScheduleRun.ended_at < at - RUNS_KEPT,
        CallCount: CallCount.window < at - DAY,
        IdempotencyKey: IdempotencyKey.expires_at < at,
        SignIn: SignIn.expires_at < at - DAY,
        SignedIn: SignedIn.expires_at < at,
    }
    removed = {}
    for table, is_old in old.items():
        with sessions.begin() as session:
            removed[table.__tablename__] = _remove(session, table, is_old)
    return TidyReport(removed)


def _remove(session: Session, table: type[Base], is_old: ColumnElement[bool]) -> int:
    key = table.__mapper__.primary_key[0]
    return len(session.execute(delete(table).where(is_old).returning(key)).all())


def _tidy(
    runtime: Runtime,
    parameters: Mapping[str, Any],  # noqa: ARG001 -- as every work has it
    *,
    at: datetime,
    progress: Progress,  # noqa: ARG001 -- as every work has it
) -> TidyReport:
    return tidy(runtime.sessions, at=at)


WORK: Final[dict[str, Work]] = {"tidy": _tidy}
