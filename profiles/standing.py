"""All the gate needs to know of a patron, read at once."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import BindParameter, bindparam, or_, select
from sqlalchemy.orm import Session

from library.errors import NotFound
from library.tables import Branch, Consent, ContactPoint, Delivery, Patron, Preference
from library.vocabulary import (
    Channel,
    ConsentPurpose,
    DeliveryState,
    Purpose,
    Rhythm,
)
from profiles.contacts import address_of
from profiles.preferences import get, pauses

CAP_WINDOW = timedelta(days=7)
CAPPED = frozenset(
    {Purpose.DIGEST, Purpose.CAMPAIGN, Purpose.SURVEY, Purpose.AVAILABLE}
)
"""What a patron did not ask for at this moment, and may get too much of."""

SHOWN = frozenset({Channel.PAGE, Channel.FEED})
"""Channels a patron comes to; nothing is carried, so nothing can disturb."""


# Asked before every message: made once, so that only the values are new each time.
_PATRON: BindParameter[int] = bindparam("patron_id")
_LIVE = select(Consent.purpose).where(
    Consent.patron_id == _PATRON, Consent.withdrawn_at.is_(None)
)
_OUT = select(Delivery.id, Delivery.settled_at, Delivery.data_at).where(
    Delivery.patron_id == _PATRON,
    Delivery.purpose.in_(CAPPED),
    Delivery.channel.not_in(SHOWN),
    or_(Delivery.state == DeliveryState.SENT, Delivery.data_at.is_not(None)),
)


@dataclass(frozen=True)
class ContactStanding:
    """How a contact point stands."""

    id: int
    address: str
    verified: bool = True
    stopped: bool = False
    retry_at: datetime | None = None
    troubled: bool = False
    """Bounces are counted against it; a success clears them."""


@dataclass(frozen=True)
class Standing:
    """How we stand with one patron on one channel, at one moment."""

    patron_id: int
    active: bool = True
    rhythm: Rhythm = Rhythm.WEEKLY
    zone: str = "UTC"
    quiet_from: int | None = None
    quiet_to: int | None = None
    consents: frozenset[ConsentPurpose] = frozenset()
    pauses: dict[str, datetime] = field(default_factory=dict)
    """Until when each scope is paused; over ones are left out."""
    contact: ContactStanding | None = None
    recent: tuple[datetime, ...] = ()
    """When capped messages went out in the last week, in order."""


def standing(
    session: Session,
    patron_id: int,
    channel: Channel,
    *,
    at: datetime,
    besides: int | None = None,
    contact_point_id: int | None = None,
) -> Standing:
    """Read how we stand with a patron.

    Args:
        session: An open transaction.
        patron_id: The patron.
        channel: By which they would be told.
        at: The moment of telling.
        besides: A delivery not counted as sent: the one asked for.
        contact_point_id: Where exactly, when it is not for us to choose.

    Raises:
        NotFound: There is no such patron any more.
    """
    patron = session.get(Patron, patron_id)
    if patron is None:
        raise NotFound(f"there is no patron {patron_id}")
    preference: Preference = get(session, patron_id)
    return Standing(
        patron_id=patron_id,
        active=_is_active(session, patron, at),
        rhythm=preference.rhythm,
        zone=preference.zone,
        quiet_from=preference.quiet_from,
        quiet_to=preference.quiet_to,
        consents=_consents(session, patron_id),
        pauses=pauses(session, patron_id, at=at),
        contact=_contact(session, patron_id, channel, contact_point_id),
        recent=_recent(session, patron_id, at, besides),
    )


def _is_active(session: Session, patron: Patron, at: datetime) -> bool:
    if patron.expires_on is None:
        return True
    zone = session.get_one(Branch, patron.branch_id).zone
    return patron.expires_on >= at.astimezone(ZoneInfo(zone)).date()


def _consents(session: Session, patron_id: int) -> frozenset[ConsentPurpose]:
    return frozenset(session.scalars(_LIVE, {"patron_id": patron_id}))


def _contact(
    session: Session, patron_id: int, channel: Channel, contact_point_id: int | None
) -> ContactStanding | None:
    if channel in SHOWN:
        return None
    if contact_point_id is None:
        point = address_of(session, patron_id, channel)
    else:
        point = session.get(ContactPoint, contact_point_id)
    if point is None:
        return None
    return ContactStanding(
        point.id,
        point.address,
        verified=point.verified_at is not None,
        stopped=point.stopped_at is not None,
        retry_at=point.retry_at,
        troubled=bool(point.hard or point.soft),
    )


def _recent(
    session: Session, patron_id: int, at: datetime, besides: int | None
) -> tuple[datetime, ...]:
    # One that may be out (data_at) counts as out, or two workers would pass the cap.
    rows = session.execute(_OUT, {"patron_id": patron_id})
    moments = [sent or data for own, sent, data in rows if own != besides]
    return tuple(sorted(m for m in moments if m and m > at - CAP_WINDOW))
