"""What was sent, to whom, where, and with what result; send again, or cancel."""

import secrets
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, or_, select
from sqlalchemy.orm import Session

from library.errors import Conflict, NotFound
from library.tables import Alert, Delivery, LedgerEntry, Patron
from library.vocabulary import Channel, DeliveryState
from notifier.outbox import OPEN
from notifier.outcomes import AGAIN, carrier_of, end
from profiles.causes import Cause
from profiles.contacts import address_of

AGAIN_FOR = timedelta(days=6)
"""How long a message that a librarian sends again is worth sending."""


@dataclass(frozen=True)
class LedgerRow:
    """One delivery and how it stands."""

    delivery_id: int
    patron_id: int
    channel: Channel
    address: str | None
    """Where it went, or would go now; None for page and feed."""
    message_id: str
    state: DeliveryState
    attempts: int
    alerts: list[int]
    subject: str | None
    at: datetime
    """When it was settled, else when it was made."""
    cause: str | None
    answer: str | None
    """What the other side said last."""


def ledger(
    session: Session,
    *,
    patron_id: int | None = None,
    branch_id: int | None = None,
    limit: int | None = None,
    state: DeliveryState | None = None,
    before: int | None = None,
) -> list[LedgerRow]:
    """Return deliveries, the newest first.

    Args:
        session: An open transaction.
        patron_id: Of this patron alone.
        branch_id: Of this branch's patrons alone.
        limit: At most so many.
        state: In this state alone, such as abandoned.
        before: Only with an id below this one, to page through.
    """
    wanted = select(Delivery).order_by(Delivery.id.desc()).limit(limit)
    if patron_id is not None:
        wanted = wanted.where(Delivery.patron_id == patron_id)
    if branch_id is not None:
        own = select(Patron.id).where(Patron.branch_id == branch_id)
        wanted = wanted.where(Delivery.patron_id.in_(own))
    if state is not None:
        wanted = wanted.where(Delivery.state == state)
    if before is not None:
        wanted = wanted.where(Delivery.id < before)
    deliveries = session.scalars(wanted).all()
    lines = _last_lines(session, wanted)
    alerts = _alerts(session, wanted, deliveries)
    return [
        _row(session, delivery, lines.get(delivery.id), alerts)
        for delivery in deliveries
    ]


def masked(address: str | None) -> str:
    """Return an address as its owner knows it again and nobody else learns it."""
    local, _, domain = (address or "").rpartition("@")
    return f"{local[:1]}…@{domain}" if local else ""


def resend(session: Session, delivery_id: int, at: datetime) -> Delivery:
    """Send a message again: a new delivery, with a Message-ID of its own.

    Raises:
        NotFound: There is no such delivery.
        Conflict: It is still on its way, by itself or again, or nothing is left of it
            to send.
    """
    first = _delivery(session, delivery_id)
    carrier = carrier_of(first)
    if carrier != first.id:
        _delivery(session, carrier)  # held, so that two who press at once meet here
    of_patron = Delivery.patron_id == first.patron_id
    waiting = session.scalars(
        select(Delivery).where(of_patron, Delivery.state.in_(OPEN))
    )
    if any(carrier_of(one) == carrier for one in waiting):
        raise Conflict(f"delivery {delivery_id} is still on its way")
    carried = select(Alert.id).where(Alert.delivery_id == carrier).limit(1)
    if session.scalar(carried) is None:
        raise Conflict(f"delivery {delivery_id} has nothing that could be sent again")
    domain = first.message_id.strip("<>").partition("@")[2]
    again = Delivery(
        patron_id=first.patron_id,
        purpose=first.purpose,
        channel=first.channel,
        due_at=at,
        not_after=at + AGAIN_FOR,
        message_id=f"<{secrets.token_hex(20)}@{domain}>",
        parameters={AGAIN: carrier},
        created_at=at,
    )
    session.add(again)
    session.flush()
    return again


def cancel(session: Session, delivery_id: int, at: datetime) -> Delivery:
    """Never send what still waits.

    Raises:
        NotFound: There is no such delivery.
        Conflict: It is being sent, or it is settled.
    """
    delivery = _delivery(session, delivery_id)
    if delivery.state is not DeliveryState.PENDING:
        raise Conflict(f"delivery {delivery_id} is {delivery.state.value} already")
    end(delivery, DeliveryState.WITHHELD, Cause.CANCELLED, at)
    return delivery


def _delivery(session: Session, delivery_id: int) -> Delivery:
    found = session.scalar(
        select(Delivery).where(Delivery.id == delivery_id).with_for_update()
    )
    if found is None:
        raise NotFound(f"there is no delivery {delivery_id}")
    return found


def _last_lines(session: Session, wanted: Select[Any]) -> dict[int, LedgerEntry]:
    ids = wanted.with_only_columns(Delivery.id).scalar_subquery()
    lines = session.scalars(
        select(LedgerEntry)
        .where(LedgerEntry.delivery_id.in_(ids))
        .order_by(LedgerEntry.id)
    )
    return {line.delivery_id: line for line in lines}


def _alerts(
    session: Session, wanted: Select[Any], deliveries: Sequence[Delivery]
) -> dict[int, list[int]]:
    ids = wanted.with_only_columns(Delivery.id).scalar_subquery()
    again = {one.parameters[AGAIN] for one in deliveries if AGAIN in one.parameters}
    rows = session.execute(
        select(Alert.delivery_id, Alert.id)
        .where(or_(Alert.delivery_id.in_(ids), Alert.delivery_id.in_(again)))
        .order_by(Alert.id)
    )
    found: dict[int, list[int]] = defaultdict(list)
    for carrier, alert_id in rows:
        if carrier is not None:
            found[carrier].append(alert_id)
    return dict(found)


def _row(
    session: Session,
    delivery: Delivery,
    line: LedgerEntry | None,
    alerts: dict[int, list[int]],
) -> LedgerRow:
    address = line.address if line else None
    if address is None:
        point = address_of(session, delivery.patron_id, delivery.channel)
        address = point.address if point else None
    return LedgerRow(
        delivery_id=delivery.id,
        patron_id=delivery.patron_id,
        channel=delivery.channel,
        address=address,
        message_id=delivery.message_id,
        state=delivery.state,
        attempts=delivery.attempts,
        alerts=alerts.get(carrier_of(delivery), []),
        subject=line.subject if line else None,
        at=delivery.settled_at or delivery.created_at,
        cause=delivery.cause,
        answer=line.reason if line else None,
    )
