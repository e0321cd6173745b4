"""A message before it goes: to be looked at, or sent to a test address."""

import secrets
from dataclasses import replace
from datetime import datetime

from sqlalchemy import case, select
from sqlalchemy.orm import Session

from library.addresses import is_email
from library.db import Sessions, reading
from library.errors import InvalidInput, NotAllowed, NotFound
from library.settings import Settings
from library.tables import ContactPoint, Delivery
from library.vocabulary import DeliveryState, Purpose
from notifier.carriers import carry_to_staff
from notifier.composing import preview
from notifier.gate import is_listed
from notifier.message import Mailbox, Message


def preview_for(
    session: Session, settings: Settings, patron_id: int, *, at: datetime
) -> Message:
    """Return the patron's digest that waits, else the last one, as it would be now.

    Raises:
        NotFound: There is none, or nothing is left in it to tell.
    """
    waits = case((Delivery.state == DeliveryState.PENDING, 0), else_=1)
    delivery = session.scalar(
        select(Delivery)
        .where(Delivery.patron_id == patron_id, Delivery.purpose == Purpose.DIGEST)
        .order_by(waits, Delivery.id.desc())
        .limit(1)
    )
    message = delivery and preview(session, settings, delivery, at=at)
    if not message:
        raise NotFound("there is no digest to look at; `hamkhan alert` makes them")
    return message


def send_preview(
    sessions: Sessions, settings: Settings, message: Message, address: str
) -> None:
    """Send a preview to a test address.

    Raises:
        InvalidInput: It is no address.
        NotAllowed: Mail to it was stopped, or this installation may not send there.
        DeliveryFailed: It was not taken.
    """
    if not is_email(address):
        raise InvalidInput(f"{address!r} is no e-mail address", field="to")
    stopped = select(ContactPoint.id).where(
        ContactPoint.address == address, ContactPoint.stopped_at.is_not(None)
    )
    with reading(sessions) as session:  # which is over while the server answers
        is_stopped = session.scalar(stopped.limit(1)) is not None
    if is_stopped:
        raise NotAllowed(f"{address}: mail there came back, and was stopped")
    if not is_listed(address, settings.deliver_only_to):
        raise NotAllowed(f"{address} is not in HAMKHAN_DELIVER_ONLY_TO")
    copy = replace(
        message,
        to=Mailbox("", address),
        message_id=f"<preview-{secrets.token_hex(16)}@{settings.mail_domain}>",
        subject=f"[preview] {message.subject}",
        envelope_sender=settings.contact,
    )
    carry_to_staff(settings, [copy])
