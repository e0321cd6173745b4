"""Sources that librarians have to be told of: failing ones, and ones gone silent."""

from collections.abc import Iterable, Sequence
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

    source_id: int
    code: str
    branch_id: int | None
    failures: int
    error: str | None
    """Of its last harvest; None where it is silent."""
    silent_days: int | None
    """For how long it has brought nothing; None where it fails."""
    today: str
    """The day of its branch on which it is told of."""

    @property
    def why(self) -> str:
        """Say in English what is the matter."""
        return self.error or f"nothing new for {self.silent_days} days"


def due_warnings(session: Session, way: str, *, at: datetime) -> list[SourceWarning]:
    """Return the sources that are still to be told of today, the worst first.

    Each is told at its third failure or when it is silent beyond its habit, and then
    once a day, by the calendar of its branch.

    Args:
        session: Only read.
        way: By which they are told, such as `email`: each has its own turn.
        at: Now.
    """
    rows = session.execute(
        select(Source, Branch.zone)
        .outerjoin(Branch, Branch.id == Source.branch_id)
        .where(Source.url != "")
        .order_by(Source.failures.desc(), Source.code)
    ).all()
    warnings = []
    for source, zone in rows:
        today = at.astimezone(ZoneInfo(zone or "UTC")).date().isoformat()
        if source.cursor.get("warned", {}).get(way) == today:
            continue
        error = _error(session, source)
        silent = None if error else _silence(session, source, at=at)
        if error is None and silent is None:
            continue
        warnings.append(
            SourceWarning(
                source.id,
                source.code,
                source.branch_id,
                source.failures,
                error,
                silent.days if silent else None,
                today,
            )
        )
    return warnings


def note_warnings(
    session: Session, way: str, warnings: Iterable[SourceWarning]
) -> None:
    """Keep that these were told by this way."""
    for warning in warnings:
        source = session.get(Source, warning.source_id, with_for_update=True)
        if source is not None:
            warned = {**source.cursor.get("warned", {}), way: warning.today}
            source.cursor = {**source.cursor, "warned": warned}


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


def _error(session: Session, source: Source) -> str | None:
    if source.failures < GRACE:
        return None
    error = session.scalar(
        select(Harvest.error)
        .where(Harvest.source_id == source.id, Harvest.error.is_not(None))
        .order_by(Harvest.id.desc())
        .limit(1)
    )
    return error or "it fails"


def _silence(session: Session, source: Source, *, at: datetime) -> timedelta | None:
    brought = session.scalars(
        select(Harvest.started_at)
        .where(Harvest.source_id == source.id, Harvest.added > 0)
        .order_by(Harvest.started_at.desc())
        .limit(_RUNS)
    ).all()
    return silence(brought[::-1], at=at)
