"""Alerts into the one digest of a local day, or onto the page."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from sqlalchemy import and_, or_, select
from sqlalchemy.orm import Session

from library.settings import Settings
from library.tables import Alert, Delivery, Interest, Patron, Preference
from library.vocabulary import Channel, DeliveryState, Purpose, Rhythm
from notifier import links
from notifier.clocks import Clocks, may_ride
from notifier.contents import barred_works
from notifier.gate import Answer, Ruling
from notifier.selection import Selection

USEFUL_FOR = {
    Rhythm.DAILY: timedelta(hours=36),
    Rhythm.WEEKLY: timedelta(days=6),
    Rhythm.MONTHLY: timedelta(days=14),
}
"""How long a digest is worth sending; afterwards its alerts ride in the next."""

Told = Sequence[tuple[Alert, Rhythm]]
"""Alerts, each with the rhythm in which it is told."""

IS_OPEN = (
    Alert.delivery_id.is_(None),
    Alert.withdrawn_at.is_(None),
    Alert.handled_at.is_(None),
)
"""Of an alert that nothing has carried yet, and that may still be told."""


def useful_for(rhythms: Iterable[Rhythm]) -> timedelta:
    """Return how long a digest is worth sending that tells in these rhythms."""
    lives = [USEFUL_FOR[one] for one in rhythms if one in USEFUL_FOR]
    return max(lives, default=USEFUL_FOR[Rhythm.DAILY])


def open_alerts(
    session: Session,
    patron: Patron,
    selection: Selection,
    rhythm: Rhythm,
    at: datetime,
) -> Told:
    """Return the alerts that may be told now; what became barred is withdrawn."""
    rows = session.execute(
        select(Alert, Interest.rhythm)
        .join(Preference, Preference.patron_id == Alert.patron_id)
        .outerjoin(Interest, Interest.id == Alert.interest_id)
        .where(Alert.patron_id == patron.id, *IS_OPEN, may_ride(at))
        .order_by(Alert.id)
    ).all()
    looked_at = {candidate.work_id for candidate in selection.chosen}
    older = {alert.work_id for alert, _ in rows} - looked_at
    barred = barred_works(session, patron, older, at=at)
    for alert, _ in rows:
        if alert.work_id in barred:
            alert.withdrawn_at = at
    return [
        (alert, own or rhythm) for alert, own in rows if alert.work_id not in barred
    ]


def lay_aside(
    session: Session, settings: Settings, clocks: Clocks, told: Told, at: datetime
) -> Told:
    """Put on the page what is wanted nowhere else; return the rest."""
    aside = [(alert, rhythm) for alert, rhythm in told if rhythm is Rhythm.OFF]
    if aside:
        life = useful_for(())
        page = Ruling(Answer.SEND)  # consent and pause, all it asks for, were looked at
        carry(session, settings, clocks, Channel.PAGE, page, aside, life=life, at=at)
    return [(alert, rhythm) for alert, rhythm in told if rhythm is not Rhythm.OFF]


def carry(  # noqa: PLR0913 -- a delivery's own columns
    session: Session,
    settings: Settings,
    clocks: Clocks,
    channel: Channel,
    ruling: Ruling,
    told: Told,
    *,
    life: timedelta,
    at: datetime,
) -> Delivery | None:
    """Add the digest of these alerts; None when there is one of this day already."""
    patron_id, slot = clocks.preference.patron_id, clocks.slot(at)
    message_id = links.message_id(
        settings, patron_id, Purpose.DIGEST, slot.isoformat(), channel
    )
    of_today = and_(
        Delivery.patron_id == patron_id,
        Delivery.purpose == Purpose.DIGEST,
        Delivery.channel == channel,
        Delivery.created_at > clocks.yesterday(at),
    )
    taken = select(Delivery.id).where(or_(Delivery.message_id == message_id, of_today))
    if session.scalar(taken.limit(1)) is not None:
        return None
    never = ruling.answer is Answer.NEVER
    delivery = Delivery(
        patron_id=patron_id,
        purpose=Purpose.DIGEST,
        channel=channel,
        state=DeliveryState.WITHHELD if never else DeliveryState.PENDING,
        due_at=ruling.until or at,
        not_after=(ruling.until or at) + life,
        message_id=message_id,
        cause=ruling.cause,
        created_at=at,
        settled_at=at if never else None,
    )
    session.add(delivery)
    session.flush()
    for alert, _ in told:
        alert.delivery_id = delivery.id
    return delivery
