"""How fast mail may go: by receiving domain, by the hour, and a brake on all of it.

Counts live in the database, so that they hold over all workers. What may leave is
counted when it is marked; what is tried in vain counts too.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from library.counting import calls_since, count_calls
from library.settings import Settings
from notifier.message import ascii_domain

MINUTE = timedelta(minutes=1)
_ALL = "mail"
_RELEASE = "; if they are right, raise HAMKHAN_DAILY_BRAKE"


@dataclass(frozen=True)
class Room:
    """How many more mails may go now, and what sets that limit."""

    left: int
    alarm: str | None = None
    """What to say where none is left; None where to wait is as it should be."""


def room(session: Session, settings: Settings, *, at: datetime) -> Room | None:
    """Return how many more mails may go now; None where nothing limits them."""
    hourly, brake = settings.hourly_rate, settings.daily_brake
    limits = (
        (hourly, timedelta(hours=1), None),
        (brake, timedelta(days=1), f"brake: {brake} messages in 24 hours{_RELEASE}"),
    )
    rooms = [
        Room(max(limit - calls_since(session, _ALL, at - span), 0), alarm)
        for limit, span, alarm in limits
        if limit > 0
    ]
    return min(rooms, key=lambda one: one.left, default=None)


def waits(
    session: Session, settings: Settings, addresses: Sequence[str], *, at: datetime
) -> list[datetime | None]:
    """Count mails to these addresses; return when to try, if not now.

    Args:
        session: An open transaction; who counts too waits until it ends.
        settings: The limits.
        addresses: Where they go; "" for what goes by no mail, and always may.
        at: Now.

    Returns:
        One for each address, in their order.
    """
    window = at.replace(second=0, microsecond=0)
    later = window + MINUTE
    found = _by_domain(session, settings.domain_rate, addresses, window)
    going = [n for n, one in enumerate(addresses) if one and found[n] is None]
    limited = settings.hourly_rate > 0 or settings.daily_brake > 0
    if not going or not limited:
        return found
    count_calls(session, _ALL, window, more=0)  # from here on nobody else counts
    has_room = room(session, settings, at=at)
    fits = min(has_room.left, len(going)) if has_room else len(going)
    count_calls(session, _ALL, window, more=fits)
    for n in going[fits:]:
        found[n] = later
    return found


def _by_domain(
    session: Session, rate: int, addresses: Sequence[str], window: datetime
) -> list[datetime | None]:
    if rate <= 0:
        return [None] * len(addresses)
    domains = [
        ascii_domain(one).rpartition("@")[2].lower() if one else "" for one in addresses
    ]
    left = {
        domain: rate
        - count_calls(session, f"mail:{domain}"[:120], window, more=calls)
        + calls
        # In one order everywhere, or two workers could wait for each other.
        for domain, calls in sorted(Counter(domains).items())
        if domain
    }
    found: list[datetime | None] = []
    for domain in domains:
        found.append(window + MINUTE if domain and left[domain] <= 0 else None)
        left[domain] = left.get(domain, 0) - 1
    return found
