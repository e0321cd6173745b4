"""How often a caller may call, counted by the minute in the database."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import delete
from sqlalchemy.orm import Session

from library.counting import count_calls
from library.tables import CallCount

CALLS_PER_MINUTE: Final = 300
_MINUTE: Final = timedelta(minutes=1)


@dataclass(frozen=True)
class Allowance:
    """What is left to a caller in this minute."""

    limit: int
    calls: int
    resets_in: int
    """Seconds until the next minute begins, 1 or more."""

    @property
    def used_up(self) -> bool:
        """Tell whether this call is one too many."""
        return self.calls > self.limit


def take(session: Session, caller: str, *, limit: int, at: datetime) -> Allowance:
    """Count one call, and tell what is left.

    Args:
        session: An open transaction.
        caller: Who, by a name that tells nobody's secret.
        limit: Calls in one minute.
        at: The moment.
    """
    window = at.replace(second=0, microsecond=0)
    calls = count_calls(session, caller, window)
    if calls == 1:  # the minutes before are of no use any more
        before = (CallCount.caller == caller) & (CallCount.window < window)
        session.execute(delete(CallCount).where(before))
    left = (window + _MINUTE - at).total_seconds()
    return Allowance(limit=limit, calls=calls, resets_in=max(1, int(left)))


def headers(allowance: Allowance) -> dict[str, str]:
    """Return the headers that tell a caller of its allowance.

    An IETF draft (draft-ietf-httpapi-ratelimit-headers) that may yet change: only this
    function knows its syntax.
    """
    left = max(0, allowance.limit - allowance.calls)
    told = {
        "RateLimit-Policy": f'"minute";q={allowance.limit};w=60',
        "RateLimit": f'"minute";r={left};t={allowance.resets_in}',
    }
    if allowance.used_up:
        told["Retry-After"] = str(allowance.resets_in)
    return told
