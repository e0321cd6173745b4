"""Deliveries and the ledger: what was sent, and with what result."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pydantic import Field
from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from api.auth.keys import KeyCaller
from api.rest.blueprint import part
from api.rest.doors import note_read, reads, writes
from api.rest.fields import GREATEST_ID, Out
from api.rest.lists import listed
from api.rest.patrons import record_change
from api.rest.protocol.paging import PageIn
from library.clock import utc_now
from library.errors import NotFound
from library.tables import Delivery, LedgerEntry, Patron
from library.vocabulary import Channel, DeliveryState, Purpose
from notifier import ledger

bp = part("deliveries")


class DeliveriesIn(PageIn):
    """Which deliveries."""

    patron_id: int | None = Field(default=None, ge=1, le=GREATEST_ID)
    state: DeliveryState | None = None


class DeliveryOut(Out):
    """A message on its way, or what became of it."""

    id: int
    patron_id: int
    purpose: Purpose
    channel: Channel
    state: DeliveryState
    attempts: int
    message_id: str
    cause: str | None
    due_at: datetime
    created_at: datetime
    settled_at: datetime | None


class DeliveriesOut(Out):
    """A page of deliveries."""

    items: list[DeliveryOut]


class LedgerEntryOut(Out):
    """What became of one attempt, and where it went."""

    attempt: int
    outcome: str
    address: str | None
    subject: str | None
    reason: str | None
    at: datetime


class DeliveryDetailOut(DeliveryOut):
    """A delivery with its ledger."""

    ledger: list[LedgerEntryOut]


@bp.get("/deliveries")
@reads("deliveries")
@bp.input(DeliveriesIn, location="query")
@bp.output(DeliveriesOut)
def list_deliveries(
    session: Session, caller: KeyCaller, query_data: DeliveriesIn
) -> tuple[dict[str, Any], int, dict[str, str]]:
    """List deliveries to the caller's patrons, the newest first."""
    if query_data.patron_id:
        caller.needs_patron(session, query_data.patron_id)
    answer = listed(
        session,
        _chosen(caller, query_data),
        Delivery.id,
        query_data,
        DeliveryOut.model_validate,
        newest_first=True,
    )
    for patron_id in sorted({each.patron_id for each in answer[0]["items"]}):
        note_read(patron_id)
    return answer


@bp.get("/deliveries/<int:delivery_id>")
@reads("deliveries")
@bp.output(DeliveryDetailOut)
def get_delivery(
    session: Session, caller: KeyCaller, delivery_id: int
) -> DeliveryDetailOut:
    """Return a delivery with what became of each attempt."""
    delivery = _find(session, caller, delivery_id)
    note_read(delivery.patron_id)
    return DeliveryDetailOut(
        **dict(DeliveryOut.model_validate(delivery)),
        ledger=[
            LedgerEntryOut.model_validate(entry)
            for entry in _entries(session, delivery_id)
        ],
    )


@bp.post("/deliveries/<int:delivery_id>/resend")
@writes("deliveries")
@bp.output(DeliveryOut, status_code=202)
def resend(session: Session, caller: KeyCaller, delivery_id: int) -> Delivery:
    """Send a message again, as a new delivery."""
    delivery = _find(session, caller, delivery_id)
    again = ledger.resend(session, delivery_id, utc_now())
    record_change(session, caller, delivery.patron_id, "delivery.sent_again")
    return again


@bp.post("/deliveries/<int:delivery_id>/cancel")
@writes("deliveries")
@bp.output(DeliveryOut)
def cancel(session: Session, caller: KeyCaller, delivery_id: int) -> Delivery:
    """Never send a message that still waits."""
    delivery = _find(session, caller, delivery_id)
    cancelled = ledger.cancel(session, delivery_id, utc_now())
    record_change(session, caller, delivery.patron_id, "delivery.cancelled")
    return cancelled


def _chosen(caller: KeyCaller, asked: DeliveriesIn) -> Select[Delivery]:
    rows = select(Delivery)
    if caller.branch_id is not None:
        mine = select(Patron.id).where(Patron.branch_id == caller.branch_id)
        rows = rows.where(Delivery.patron_id.in_(mine))
    if asked.patron_id is not None:
        rows = rows.where(Delivery.patron_id == asked.patron_id)
    if asked.state is not None:
        rows = rows.where(Delivery.state == asked.state)
    return rows


def _find(session: Session, caller: KeyCaller, delivery_id: int) -> Delivery:
    delivery = session.get(Delivery, delivery_id)
    if delivery is None:
        raise NotFound(f"no delivery {delivery_id}")
    caller.needs_patron(session, delivery.patron_id)
    return delivery


def _entries(session: Session, delivery_id: int) -> Sequence[LedgerEntry]:
    return session.scalars(
        select(LedgerEntry)
        .where(LedgerEntry.delivery_id == delivery_id)
        .order_by(LedgerEntry.id)
    ).all()
