"""Messages that a patron waits for, put into the outbox."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from library.sealing import seal
from library.settings import Settings
from library.tables import ContactPoint, Delivery
from library.vocabulary import Channel, Purpose
from notifier import links

SIGN_IN_LIFE = timedelta(minutes=15)


def queue_sign_in(
    session: Session,
    settings: Settings,
    patron_id: int,
    *,
    link: str,
    code: str,
    at: datetime,
) -> Delivery:
    """Put a sign-in message into the outbox; its link and code are sealed."""
    parameters = {
        "link": seal(settings.secret, link),
        "code": seal(settings.secret, code),
    }
    return _queue(
        session,
        settings,
        patron_id,
        Purpose.SIGN_IN,
        period=at.isoformat(),
        at=at,
        life=SIGN_IN_LIFE,
        parameters=parameters,
    )


def queue_confirm(
    session: Session, settings: Settings, point: ContactPoint, *, at: datetime
) -> Delivery:
    """Put the message that asks whether an address is right into the outbox."""
    link = links.confirm_url(settings, point.id, at=at)
    return _queue(
        session,
        settings,
        point.patron_id,
        Purpose.CONFIRM,
        period=at.isoformat(),
        at=at,
        life=links.CONFIRM_LIFE,
        parameters={
            "link": seal(settings.secret, link),
            "contact_point_id": point.id,
        },
    )


def _queue(  # noqa: PLR0913 -- a delivery's own columns
    session: Session,
    settings: Settings,
    patron_id: int,
    purpose: Purpose,
    *,
    period: str,
    at: datetime,
    life: timedelta,
    parameters: Mapping[str, str | int],
) -> Delivery:
    delivery = Delivery(
        patron_id=patron_id,
        purpose=purpose,
        channel=Channel.EMAIL,
        due_at=at,
        not_after=at + life,
        message_id=links.message_id(
            settings, patron_id, purpose, period, Channel.EMAIL
        ),
        parameters=dict(parameters),
        created_at=at,
    )
    session.add(delivery)
    session.flush()
    return delivery
