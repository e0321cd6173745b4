"""Branches, patrons and what they borrow."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from library.db import Base, pk, short
from library.vocabulary import Channel


class Branch(Base):
    """One library of several; a single library is one branch."""

    __tablename__ = "branch"

    id: Mapped[pk]
    code: Mapped[short] = mapped_column(unique=True)
    name: Mapped[str]
    name_fa: Mapped[str | None]
    zone: Mapped[str] = mapped_column(default="UTC")
    weekend: Mapped[str | None]
    """Days off, as "thu,fri"; null: by custom."""
    sender: Mapped[str | None]
    reply_to: Mapped[str | None]
    postal_address: Mapped[str | None]
    floor: Mapped[float | None]
    """The least score worth telling, in standard deviations; null: the default."""
    allowance: Mapped[int | None]
    """Alerts per patron and week; null leaves the default."""
    functions: Mapped[dict[str, Any]] = mapped_column(default=dict)


class Patron(Base):
    """A registered reader, known by a key of its own apart from card and address."""

    __tablename__ = "patron"
    __table_args__ = (UniqueConstraint("system", "external_id"),)

    id: Mapped[pk]
    system: Mapped[short]
    external_id: Mapped[short]
    card_hash: Mapped[str | None] = mapped_column(String(64), index=True)
    name: Mapped[str | None]
    branch_id: Mapped[int] = mapped_column(ForeignKey("branch.id"), index=True)
    category: Mapped[str | None]
    language: Mapped[str] = mapped_column(String(10), default="en")
    calendar: Mapped[str | None] = mapped_column(String(10))
    digits: Mapped[str | None] = mapped_column(String(10))
    enrolled_on: Mapped[date | None]
    expires_on: Mapped[date | None]
    created_at: Mapped[datetime]

    @property
    def key(self) -> str:
        """What never changes of the patron."""
        return f"{self.system}:{self.external_id}"


class ContactPoint(Base):
    """Where a patron can be reached; families share an address."""

    __tablename__ = "contact_point"
    __table_args__ = (
        UniqueConstraint("patron_id", "channel", "address"),
        Index(None, "address"),
    )

    id: Mapped[pk]
    patron_id: Mapped[int] = mapped_column(ForeignKey("patron.id", ondelete="CASCADE"))
    channel: Mapped[Channel]
    address: Mapped[str] = mapped_column(String(1000))
    label: Mapped[str | None] = mapped_column(String(100))
    """What the patron knows it by, where the address tells them nothing."""
    verified_at: Mapped[datetime | None]
    hard: Mapped[int] = mapped_column(default=0)
    soft: Mapped[int] = mapped_column(default=0)
    retry_at: Mapped[datetime | None]
    """After a soft bounce: nothing before this moment."""
    stopped_at: Mapped[datetime | None]
    created_at: Mapped[datetime]


class Guardian(Base):
    """Who reads for a child: messages to the patron go to the guardian's address."""

    __tablename__ = "guardian"

    patron_id: Mapped[int] = mapped_column(
        ForeignKey("patron.id", ondelete="CASCADE"), primary_key=True
    )
    guardian_id: Mapped[int] = mapped_column(
        ForeignKey("patron.id", ondelete="CASCADE"), primary_key=True, index=True
    )


class Loan(Base):
    """One borrowing of one work by one patron, kept only under the patron's consent."""

    __tablename__ = "loan"
    __table_args__ = (
        UniqueConstraint("system", "ref"),
        Index(None, "patron_id", "borrowed_at"),
    )

    id: Mapped[pk]
    system: Mapped[short]
    ref: Mapped[str] = mapped_column(String(400))
    patron_id: Mapped[int] = mapped_column(ForeignKey("patron.id", ondelete="CASCADE"))
    work_id: Mapped[int] = mapped_column(ForeignKey("work.id"), index=True)
    branch_id: Mapped[int | None] = mapped_column(ForeignKey("branch.id"))
    consent_id: Mapped[int | None] = mapped_column(
        ForeignKey("consent.id", ondelete="SET NULL"), index=True
    )
    borrowed_at: Mapped[datetime | None]
    """Null where the source does not tell."""
    returned_at: Mapped[datetime | None]
    ignored: Mapped[bool] = mapped_column(default=False)
    """The patron keeps it in the history but not as a signal."""


class Hold(Base):
    """A reservation of a work by a patron."""

    __tablename__ = "hold"
    __table_args__ = (UniqueConstraint("system", "ref"),)

    id: Mapped[pk]
    system: Mapped[short]
    ref: Mapped[str] = mapped_column(String(400))
    patron_id: Mapped[int] = mapped_column(
        ForeignKey("patron.id", ondelete="CASCADE"), index=True
    )
    work_id: Mapped[int] = mapped_column(ForeignKey("work.id"), index=True)
    placed_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
