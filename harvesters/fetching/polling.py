"""When is a source due next? Arithmetic on what its answers and records tell."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

SHORTEST = timedelta(minutes=15)
LONGEST = timedelta(hours=24)
LONGEST_PAUSE = timedelta(days=3)
_MOVES, _MOVING = 10, timedelta(days=3)
_SEEN_OVER = timedelta(days=30)


def next_check(
    at: datetime,
    *,
    published: Iterable[str] = (),
    headers: Mapping[str, str] | None = None,
    jitter: float = 0.5,
) -> datetime:
    """Return when to ask a source again that answered.

    Twice as often as it brings something, but not before its own answer is old.

    Args:
        at: Now.
        published: ISO days of its records.
        headers: Of the answer, by lower-case name.
        jitter: 0 to 1, spreads sources that began together over a tenth.
    """
    wait = max(_rhythm(at, published), _freshness(at, headers or {}))
    wait = min(wait, LONGEST)
    spread = wait * (0.1 * (jitter - 0.5))
    return at + min(max(wait + spread, SHORTEST), LONGEST)


def after_failure(
    at: datetime, failures: int, *, retry_after: int | None = None, jitter: float = 0.5
) -> datetime:
    """Return when to ask a source again that failed: later each time, and for ever.

    Args:
        at: Now.
        failures: In a row, this one counted.
        retry_after: Seconds the server asked for; never sooner than that.
        jitter: 0 to 1, spreads the pause over a half.
    """
    pause = min(SHORTEST * (1 << min(failures - 1, 12)), LONGEST_PAUSE)
    pause = min(pause * (0.75 + 0.5 * jitter), LONGEST_PAUSE)
    return at + max(pause, timedelta(seconds=retry_after or 0))


def next_move(
    before: Mapping[str, Any] | None, target: str | None, *, at: datetime
) -> dict[str, Any] | None:
    """Return what is known of a source's new address after one more answer.

    Args:
        before: What was known.
        target: Where permanent redirects alone led now; None if they did not.
        at: Now.
    """
    if target is None:
        return None
    if before and before["to"] == target:
        return {**before, "count": before["count"] + 1}
    return {"to": target, "count": 1, "since": at.isoformat()}


def is_settled(move: Mapping[str, Any], *, at: datetime) -> bool:
    """Tell whether a new address has been told often and long enough to be adopted."""
    since = datetime.fromisoformat(move["since"])
    return move["count"] >= _MOVES and at - since >= _MOVING


def _rhythm(at: datetime, published: Iterable[str]) -> timedelta:
    since = (at - _SEEN_OVER).date().isoformat()
    recent = sum(since <= day <= at.date().isoformat() for day in published)
    return _SEEN_OVER / (2 * recent) if recent else LONGEST


def _freshness(at: datetime, headers: Mapping[str, str]) -> timedelta:
    for directive in headers.get("cache-control", "").split(","):
        name, _, value = directive.strip().partition("=")
        if name.lower() == "max-age" and value.isascii() and value.isdigit():
            return timedelta(seconds=min(int(value[:9]), 10**8))
    try:
        expires = parsedate_to_datetime(headers.get("expires", ""))
    except (TypeError, ValueError, IndexError, OverflowError):
        return timedelta()
    return expires - at if expires.tzinfo else timedelta()
