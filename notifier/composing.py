"""From a delivery to its message: the facts as they are now, and the gate once more."""

from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from library.settings import Settings
from library.tables import Alert, Branch, Delivery, Patron
from library.vocabulary import Purpose
from notifier.contents import Entry, barred_works, entries, interest_labels
from notifier.digest import Digest, arrange
from notifier.gate import Answer, House, Ruling, may_send
from notifier.message import Message
from notifier.outcomes import AGAIN
from notifier.rendering import (
    Recipient,
    recipient,
    render_confirm,
    render_digest,
    render_sign_in,
)
from notifier.sealing import unseal
from profiles.causes import Cause
from profiles.preferences import get
from profiles.standing import SHOWN, ContactStanding, standing

PRIVATE = frozenset({Purpose.SIGN_IN, Purpose.CONFIRM})
"""Messages that open doors: their words are kept nowhere."""


@dataclass(frozen=True)
class Composed:
    """A message that may go now, and what it shows."""

    message: Message | None
    """None on a channel that a patron comes to."""
    contact: ContactStanding | None = None
    shown: tuple[Entry, ...] = ()


def compose(
    session: Session, settings: Settings, delivery: Delivery, *, at: datetime
) -> Composed | Ruling:
    """Return the message of a delivery, or why it may not go now.

    Consent, pause, address, loans and verdicts are read here and nowhere earlier: what
    changed since the digest was made counts.
    """
    if at > delivery.not_after:
        return Ruling(Answer.NEVER, Cause.EXPIRED)
    # Held until this attempt is under way, so that two workers cannot pass the cap.
    patron = session.scalar(
        select(Patron)
        .where(Patron.id == delivery.patron_id)
        .with_for_update(key_share=True)
    )
    if patron is None:
        return Ruling(Answer.NEVER, Cause.GONE)
    preference = get(session, delivery.patron_id)  # kept, so that it is read once
    stands = standing(
        session,
        delivery.patron_id,
        delivery.channel,
        at=at,
        besides=delivery.id,
        contact_point_id=delivery.parameters.get("contact_point_id"),
    )
    house = House(settings.message_cap, settings.deliver_only_to)
    ruling = may_send(stands, delivery.purpose, delivery.channel, at, house=house)
    if ruling.answer is not Answer.SEND:
        return ruling
    to = recipient(
        settings,
        patron,
        session.get_one(Branch, patron.branch_id),
        stands.contact.address if stands.contact else "",
        rhythm=preference.rhythm,
        discreet=preference.discreet,
    )
    if delivery.purpose is Purpose.DIGEST:
        made = _digest(session, settings, delivery, patron, to, at=at)
    else:
        made = _private(settings, delivery, to, at=at)
    if isinstance(made, Composed):
        return replace(made, contact=stands.contact)
    return made


def alerts_of(session: Session, delivery: Delivery) -> list[Alert]:
    """Return the alerts a delivery carries; one sent again carries the first one's."""
    carrier = delivery.parameters.get(AGAIN, delivery.id)
    return list(
        session.scalars(
            select(Alert)
            .where(Alert.delivery_id == carrier, Alert.withdrawn_at.is_(None))
            .order_by(Alert.id)
        )
    )


def _digest(
    session: Session,
    settings: Settings,
    delivery: Delivery,
    patron: Patron,
    to: Recipient,
    *,
    at: datetime,
) -> Composed | Ruling:
    alerts = alerts_of(session, delivery)
    barred = barred_works(session, patron, [a.work_id for a in alerts], at=at)
    told = [alert for alert in alerts if alert.work_id not in barred]
    if not told:
        return Ruling(Answer.NEVER, Cause.NOTHING_LEFT)
    if delivery.channel in SHOWN:
        return Composed(None)
    digest: Digest[Entry] = arrange(
        entries(session, told, branch_id=patron.branch_id), limit=settings.digest_limit
    )
    labels = interest_labels(session, {entry.interest_id for entry in digest.shown})
    message = render_digest(settings, delivery, to, digest, labels, at=at)
    return Composed(message, shown=tuple(digest.shown))


def _private(
    settings: Settings, delivery: Delivery, to: Recipient, *, at: datetime
) -> Composed | Ruling:
    sealed = delivery.parameters
    if delivery.purpose not in PRIVATE or "link" not in sealed:
        return Ruling(Answer.NEVER, Cause.NOTHING_LEFT)
    link = unseal(settings.secret, sealed["link"])
    if delivery.purpose is Purpose.CONFIRM:
        return Composed(render_confirm(settings, delivery, to, link=link, at=at))
    code = unseal(settings.secret, sealed["code"])
    return Composed(render_sign_in(settings, delivery, to, link=link, code=code, at=at))
