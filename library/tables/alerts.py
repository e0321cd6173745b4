"""What we decided to tell, what carried it, and what became of it."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from library.db import Base, pk
from library.vocabulary import Channel, DeliveryState, Purpose


class Alert(Base):
    """Our decision to bring one work to one patron: one, ever."""

    __tablename__ = "alert"
    __table_args__ = (UniqueConstraint("patron_id", "work_id"),)

    id: Mapped[pk]
    patron_id: Mapped[int] = mapped_column(ForeignKey("patron.id", ondelete="CASCADE"))
    work_id: Mapped[int] = mapped_column(ForeignKey("work.id"), index=True)
    score: Mapped[float]
    reasons: Mapped[list[Any]]
    interest_id: Mapped[int | None] = mapped_column(
        ForeignKey("interest.id", ondelete="SET NULL"), index=True
    )
    model_version_id: Mapped[int | None] = mapped_column(
        ForeignKey("model_version.id", ondelete="SET NULL"), index=True
    )
    rule_id: Mapped[int | None] = mapped_column(
        ForeignKey("rule.id", ondelete="SET NULL"), index=True
    )
    delivery_id: Mapped[int | None] = mapped_column(
        ForeignKey("delivery.id", ondelete="SET NULL"), index=True
    )
    handled_at: Mapped[datetime | None]
    """When the patron was shown it or answered it, on any channel."""
    withdrawn_at: Mapped[datetime | None]
    created_at: Mapped[datetime]


class Delivery(Base):
    """A message on its way over one channel; the outbox.

    While `sending`, `due_at` is the end of the lease: whoever finds it past may claim.
    """

    __tablename__ = "delivery"
    __table_args__ = (
        Index(None, "state", "due_at"),
        # What a patron waits for is found among any number of digests.
        Index(None, "purpose", "state", "due_at"),
        Index(None, "patron_id"),
    )

    id: Mapped[pk]
    patron_id: Mapped[int] = mapped_column(ForeignKey("patron.id", ondelete="CASCADE"))
    purpose: Mapped[Purpose]
    channel: Mapped[Channel]
    state: Mapped[DeliveryState] = mapped_column(default=DeliveryState.PENDING)
    due_at: Mapped[datetime]
    not_after: Mapped[datetime]
    data_at: Mapped[datetime | None]
    """Committed just before the message leaves: from here on it may be out."""
    worker: Mapped[str | None] = mapped_column(String(80))
    attempts: Mapped[int] = mapped_column(default=0)
    message_id: Mapped[str] = mapped_column(String(200), unique=True)
    parameters: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """What the template needs and no row tells, such as a sign-in's sealed link."""
    cause: Mapped[str | None]
    created_at: Mapped[datetime]
    settled_at: Mapped[datetime | None]


class LedgerEntry(Base):
    """What became of one attempt, and where it went."""

    __tablename__ = "ledger_entry"
    __table_args__ = (UniqueConstraint("delivery_id", "attempt", "outcome"),)

    id: Mapped[pk]
    delivery_id: Mapped[int] = mapped_column(
        ForeignKey("delivery.id", ondelete="CASCADE")
    )
    patron_id: Mapped[int] = mapped_column(
        ForeignKey("patron.id", ondelete="CASCADE"), index=True
    )
    attempt: Mapped[int]
    outcome: Mapped[str] = mapped_column(String(20))
    address: Mapped[str | None] = mapped_column(String(500))
    subject: Mapped[str | None]
    body: Mapped[str | None]
    reason: Mapped[str | None]
    at: Mapped[datetime]


class Bounce(Base):
    """A returned message or a complaint, counted once."""

    __tablename__ = "bounce"

    id: Mapped[pk]
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    message_id: Mapped[str | None] = mapped_column(String(200))
    contact_point_id: Mapped[int | None] = mapped_column(
        ForeignKey("contact_point.id", ondelete="CASCADE"), index=True
    )
    kind: Mapped[str] = mapped_column(String(20))
    at: Mapped[datetime]
