"""What becomes of a delivery after an attempt: the retry table.

Pure but for the row it settles.
"""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from random import Random

from library.errors import DeliveryFailed
from library.tables import Delivery
from library.vocabulary import DeliveryState
from notifier.gate import Answer, Ruling
from profiles.causes import Cause
from profiles.contacts import Trouble

AMBIGUOUS_WAIT = timedelta(minutes=10)
"""A server may take that long to answer; hanging up sooner makes copies."""
HELD_FOR = timedelta(minutes=5)
"""How long a channel rests after its server refused us."""

_PAUSES = (
    timedelta(minutes=1),
    timedelta(minutes=5),
    timedelta(minutes=15),
    timedelta(hours=1),
    timedelta(hours=4),
)
_LAST_PAUSE = timedelta(hours=8)
_SPREAD = 0.2
_STATUS = re.compile(r"\b([45])\.(\d{1,3})\.(\d{1,3})\b")
_SOFT = frozenset({("2", "2"), ("4", "4")})


class Outcome(StrEnum):
    """What an attempt came to, as the ledger keeps it."""

    SENT = "sent"
    DEFERRED = "deferred"
    UNKNOWN = "unknown"
    ABANDONED = "abandoned"
    WITHHELD = "withheld"
    HELD = "held"


@dataclass(frozen=True)
class Sent:
    """A channel took the message."""

    answer: str


Result = Sent | DeliveryFailed | Ruling


def settle(
    delivery: Delivery,
    result: Result,
    *,
    at: datetime,
    failures: int = 0,
    was_out_at: datetime | None = None,
) -> Outcome:
    """Write into a claimed row what its attempt came to.

    Args:
        delivery: The row; still ours.
        result: What the channel or, before it, the gate said.
        at: Now.
        failures: Attempts of this delivery that were put off before.
        was_out_at: Since when it may be out by an earlier attempt.
    """
    if isinstance(result, Sent):
        return end(delivery, DeliveryState.SENT, None, at)
    if isinstance(result, Ruling):
        return _settle_ruling(delivery, result, at)
    delivery.cause = str(result)[:500]
    if result.permanent and not result.ours:
        delivery.data_at = was_out_at
        return end(delivery, DeliveryState.ABANDONED, delivery.cause, at)
    if not result.ambiguous:
        delivery.data_at = was_out_at
    next_at = _next_try_at(delivery, result, at, failures)
    if next_at > delivery.not_after and not result.ours:
        return end(delivery, DeliveryState.ABANDONED, delivery.cause, at)
    delivery.state, delivery.due_at = DeliveryState.PENDING, next_at
    delivery.worker = None
    return Outcome.UNKNOWN if result.ambiguous else Outcome.DEFERRED


def pause_after(failures: int, *, seed: str) -> timedelta:
    """Return how long to wait after this many attempts were put off.

    1, 5, 15 minutes, 1 and 4 hours, then every 8 hours, more or less a fifth.
    """
    if failures < len(_PAUSES):
        return _PAUSES[failures]
    spread = Random(seed).uniform(1 - _SPREAD, 1 + _SPREAD)  # noqa: S311 -- only a spread
    return _LAST_PAUSE * spread


def trouble_of(failure: DeliveryFailed) -> Trouble | None:
    """Return what a server's answer says of the address, None where it says nothing.

    X.1.x: there is no such address. X.2.2 and X.4.4: full, or not reached just now.
    """
    if failure.gone:
        return Trouble.GONE
    found = _STATUS.search(str(failure))
    if not found or not failure.permanent:
        return None
    if found[2] == "1":
        return Trouble.HARD
    return Trouble.SOFT if (found[2], found[3]) in _SOFT else None


def _settle_ruling(delivery: Delivery, ruling: Ruling, at: datetime) -> Outcome:
    until = ruling.until
    if ruling.answer is Answer.NEVER or until is None or until > delivery.not_after:
        return end(delivery, DeliveryState.WITHHELD, ruling.cause, at)
    delivery.state, delivery.due_at = DeliveryState.PENDING, until
    delivery.cause, delivery.worker = ruling.cause, None
    return Outcome.HELD


def end(
    delivery: Delivery, state: DeliveryState, cause: Cause | str | None, at: datetime
) -> Outcome:
    """Write into a row that nothing more is done about it; no secret stays in it."""
    delivery.state, delivery.cause = state, cause
    delivery.settled_at, delivery.worker = at, None
    delivery.parameters = {
        key: value for key, value in delivery.parameters.items() if key == AGAIN
    }
    return Outcome(state.value)


AGAIN = "again"
"""In a delivery's parameters: the one it repeats, whose alerts it carries."""


def carrier_of(delivery: Delivery) -> int:
    """Return the delivery whose alerts it carries; sent again, the first one."""
    return int(delivery.parameters.get(AGAIN, delivery.id))


def _next_try_at(
    delivery: Delivery, failure: DeliveryFailed, at: datetime, failures: int
) -> datetime:
    if failure.ours:
        return at + HELD_FOR
    if failure.ambiguous:
        return at + AMBIGUOUS_WAIT
    pause = pause_after(failures, seed=f"{delivery.id}:{delivery.attempts}")
    if failure.retry_after is not None:
        pause = max(pause, timedelta(seconds=failure.retry_after))
    return at + pause
