"""Sources that librarians have to be told of: failing ones, and ones gone silent."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from library.tables import Branch, Harvest, Source

GRACE = 3
"""Failures in a row before anybody is told."""
_LEAST_SILENCE = timedelta(days=7)
_HABITS = 4
_RUNS = 20


@dataclass(frozen=True)
class SourceWarning:
    """A source that needs a librarian, and why."""

    code: str
    failures: int
    why: str


def due_warnings(session: Session, *, at: datetime) -> list[SourceWarning]:
    """Return the sources to be told of now, and note that they were.

    Each is told at its third failure or when it is silent beyond its habit, and then
    once a day, by the calendar of its branch.
    """
    warnings = []
    rows = session.execute(
        select(Source, Branch.zone)
        .outerjoin(Branch, Branch.id == Source.branch_id)
        .where(Source.url != "")
        .order_by(Source.failures.desc(), Source.code)
    ).all()
    for source, zone in rows:
        why = _why(session, source, at=at)
        today = at.astimezone(ZoneInfo(zone or "UTC")).date().isoformat()
        if why is None or source.cursor.get("warned_on") == today:
            continue
        source.cursor = {**source.cursor, "warned_on": today}
        warnings.append(SourceWarning(source.code, source.failures, why))
    return warnings


def silence(brought_at: Sequence[datetime], *, at: datetime) -> timedelta | None:
    """Return for how long a source has been silent, if that is beyond its habit.

    Args:
        brought_at: When it brought something new, oldest first.
        at: Now.
    """
    if len(brought_at) < 3:
        return None  # no habit yet
    gaps = [later - earlier for earlier, later in pairwise(brought_at)]
    habit = timedelta(seconds=median(gap.total_seconds() for gap in gaps))
    now = at - brought_at[-1]
    return now if now > max(habit * _HABITS, _LEAST_SILENCE) else None


def _why(session: Session, source: Source, *, at: datetime) -> str | None:
    if source.failures >= GRACE:
        error = session.scalar(
            select(Harvest.error)
            .where(Harvest.source_id == source.id, Harvest.error.is_not(None))
            .order_by(Harvest.id.desc())
            .limit(1)
        )
        return error or "it fails"
    brought = session.scalars(
        select(Harvest.started_at)
        .where(Harvest.source_id == source.id, Harvest.added > 0)
        .order_by(Harvest.started_at.desc())
        .limit(_RUNS)
    ).all()
    silent = silence(brought[::-1], at=at)
    return f"nothing new for {silent.days} days" if silent else None
