"""Experiments: set-ups of matching compared on patrons, one at a time.

Which arm a patron falls into is in no table: it follows from the patron's own key, on
every machine alike (`profiles.trials`).
"""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, select
from sqlalchemy.orm import Session

from library.audit import Actor, record
from library.db import Lock, hold
from library.errors import Conflict, InvalidInput, NotFound
from library.tables import Experiment
from profiles.trials import Arm, Trial

PLACE: Final = "match"
"""What is tried is how matches are scored, and whether they are told."""


def running(session: Session, at: datetime) -> Trial | None:
    """Return the experiment of this moment, if there is one."""
    row = session.scalar(select(Experiment).where(runs(at)))
    return trial_of(row) if row else None


def runs(at: datetime) -> ColumnElement[bool]:
    """Is it the experiment of this moment?"""
    return and_(Experiment.starts_at <= at, Experiment.ends_at > at)


def trial_of(row: Experiment) -> Trial:
    """Understand an experiment as it is stored."""
    return Trial(row.code, {name: Arm(**arm) for name, arm in row.arms.items()})


def find(session: Session, code: str) -> Experiment:
    """Return an experiment.

    Raises:
        NotFound: There is none of this code.
    """
    row = session.scalar(select(Experiment).where(Experiment.code == code))
    if row is None:
        raise NotFound(f"no experiment {code!r}")
    return row


def begin(  # noqa: PLR0913 -- a row's own columns
    session: Session,
    code: str,
    arms: Mapping[str, Arm],
    *,
    starts_at: datetime,
    ends_at: datetime,
    at: datetime,
    by: Actor | None = None,
) -> Experiment:
    """Store an experiment; it runs from one moment to the other.

    Raises:
        InvalidInput: No code, fewer than two arms, shares that do not add up, or no
            time between begin and end.
        Conflict: The code is taken, or another runs at the same time.
    """
    _check(code, arms, starts_at, ends_at)
    hold(session.connection(), Lock.BEGINNING_AN_EXPERIMENT)
    other = session.scalar(
        select(Experiment.code).where(
            (Experiment.code == code)
            | ((Experiment.starts_at < ends_at) & (Experiment.ends_at > starts_at))
        )
    )
    if other is not None:
        raise Conflict(f"experiment {other!r} has this code or runs at the same time")
    row = Experiment(
        code=code,
        place=PLACE,
        arms={name: asdict(arm) for name, arm in arms.items()},
        starts_at=starts_at,
        ends_at=ends_at,
    )
    session.add(row)
    session.flush()
    _write_down(session, "experiment.begun", row, at, by)
    return row


def end(
    session: Session, code: str, *, at: datetime, by: Actor | None = None
) -> Experiment:
    """End an experiment now; what was shown until then is still reported.

    Raises:
        NotFound: There is none of this code.
    """
    row = find(session, code)
    if row.ends_at > at:
        row.ends_at = at
        row.starts_at = min(row.starts_at, at)
        _write_down(session, "experiment.ended", row, at, by)
    return row


def _check(
    code: str, arms: Mapping[str, Arm], starts_at: datetime, ends_at: datetime
) -> None:
    if not code.strip() or len(code) > 100:
        raise InvalidInput("give a code of 1 to 100 letters", field="code")
    if len(arms) < 2:
        raise InvalidInput("give at least two arms to compare", field="arms")
    shares = [arm.share for arm in arms.values()]
    if not all(0 < share < 1 for share in shares) or abs(sum(shares) - 1) > 1e-9:
        raise InvalidInput("the shares of the arms must add up to 100 %", field="arms")
    weights = [weight for arm in arms.values() for weight in arm.parts.values()]
    if not all(0 <= weight <= 100 for weight in weights):
        raise InvalidInput("give weights of parts from 0 to 100", field="arms")
    if starts_at >= ends_at:
        raise InvalidInput("it must begin before it ends", field="ends_at")


def _write_down(
    session: Session, action: str, row: Experiment, at: datetime, by: Actor | None
) -> None:
    after: dict[str, Any] = {
        "code": row.code,
        "arms": row.arms,
        "starts_at": row.starts_at.isoformat(),
        "ends_at": row.ends_at.isoformat(),
    }
    record(
        session, action, at=at, by=by, table="experiment", row_id=row.id, after=after
    )
