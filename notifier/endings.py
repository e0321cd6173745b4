"""Interests with an end: each is told of once, in the last digest that comes before."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from library.tables import Delivery, Interest, InterestProfile, Patron
from library.vocabulary import Channel
from notifier.clocks import Clocks
from notifier.digest import Ending
from profiles.preferences import calendar_of
from profiles.rhythm import slot_of

WARNED_BEFORE: Final = timedelta(days=7)
SAID_IN: Final = frozenset({Channel.EMAIL, Channel.WEBHOOK})
"""What has room for it; on a device a digest is one line."""
_ENDING: Final = "ending"


def warn(session: Session, clocks: Clocks, at: datetime) -> dict[str, Any]:
    """Note that the patron is now told which interests end; each is noted once.

    Those are meant that end within a week, or before the patron's next digest, and
    those that ended without a word because no digest came.

    Args:
        session: Where to write.
        clocks: The patron's, set to the next digest already.
        at: The moment.

    Returns:
        What the digest's delivery has to carry for `endings`.
    """
    zone = clocks.preference.zone
    today = slot_of(at, zone)
    following = slot_of(clocks.preference.next_digest_at or at, zone)
    due = session.scalars(
        select(Interest)
        .join(InterestProfile, InterestProfile.id == Interest.interest_profile_id)
        .where(
            InterestProfile.patron_id == clocks.preference.patron_id,
            Interest.active,
            Interest.ends_on <= max(today + WARNED_BEFORE, following),
            Interest.warned_on.is_(None),
        )
        .order_by(Interest.ends_on, Interest.id)
    ).all()
    for interest in due:
        interest.warned_on = today
    return {_ENDING: [interest.id for interest in due]} if due else {}


def endings(
    session: Session, deliveries: Sequence[Delivery]
) -> Mapping[int, tuple[Ending, ...]]:
    """Return by delivery what it says of ends; what the patron put off is left out."""
    told = {one.id: one.parameters.get(_ENDING, ()) for one in deliveries}
    ids = {interest_id for of_one in told.values() for interest_id in of_one}
    if not ids:
        return {}
    rows = session.execute(
        select(Interest.id, Interest.label, Interest.ends_on, Patron)
        .join(InterestProfile, InterestProfile.id == Interest.interest_profile_id)
        .join(Patron, Patron.id == InterestProfile.patron_id)
        .where(Interest.id.in_(ids), Interest.active, Interest.warned_on.is_not(None))
    )
    found = {
        interest_id: Ending(label, day, calendar_of(patron))
        for interest_id, label, day, patron in rows
        if day is not None
    }
    return {
        delivery_id: tuple(found[one] for one in of_one if one in found)
        for delivery_id, of_one in told.items()
    }
