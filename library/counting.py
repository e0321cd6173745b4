"""Counting what may happen only so often: in the database, so over all workers."""

from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from library.db import insert_into
from library.tables import CallCount


def count_calls(
    session: Session, caller: str, window: datetime, *, more: int = 1
) -> int:
    """Count `more` calls, and return all of this caller in this window.

    Args:
        session: An open transaction; who counts the same waits until it ends.
        caller: Who or what is counted, by a name that tells nobody's secret.
        window: The beginning of the minute or hour.
        more: How many; below 0 takes back.
    """
    counted = insert_into(session, CallCount).values(
        caller=caller, window=window, calls=more
    )
    return session.execute(
        counted.on_conflict_do_update(
            index_elements=[CallCount.caller, CallCount.window],
            set_={"calls": CallCount.calls + counted.excluded.calls},
        ).returning(CallCount.calls)
    ).scalar_one()


def calls_since(session: Session, caller: str, since: datetime) -> int:
    """Return how many calls were counted in the windows that began after a moment."""
    total = session.scalar(
        select(func.sum(CallCount.calls)).where(
            CallCount.caller == caller, CallCount.window > since
        )
    )
    return total or 0
