"""Who works with the service, and what they did."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from library.db import Base, pk
from library.vocabulary import StaffRole


class Staff(Base):
    """A librarian's account; of one branch, or of all."""

    __tablename__ = "staff"

    id: Mapped[pk]
    email: Mapped[str] = mapped_column(String(300), unique=True)
    name: Mapped[str]
    password_hash: Mapped[str | None]
    role: Mapped[StaffRole]
    branch_id: Mapped[int | None] = mapped_column(ForeignKey("branch.id"))
    language: Mapped[str] = mapped_column(String(10), default="en")
    active: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime]


class ApiKey(Base):
    """A key of another system: shown once, kept as a hash."""

    __tablename__ = "api_key"

    id: Mapped[pk]
    prefix: Mapped[str] = mapped_column(String(20), unique=True)
    secret_hash: Mapped[str] = mapped_column(String(64))
    name: Mapped[str]
    scopes: Mapped[list[Any]]
    staff_id: Mapped[int] = mapped_column(ForeignKey("staff.id", ondelete="CASCADE"))
    branch_id: Mapped[int | None] = mapped_column(ForeignKey("branch.id"))
    expires_at: Mapped[datetime]
    last_used_at: Mapped[datetime | None]
    created_at: Mapped[datetime]


class AuditEntry(Base):
    """Who read or changed what; each line carries the hash of the one before."""

    __tablename__ = "audit_entry"
    __table_args__ = (Index(None, "subject_table", "row_id"),)

    id: Mapped[pk]
    at: Mapped[datetime]
    staff_id: Mapped[int | None] = mapped_column(
        ForeignKey("staff.id", ondelete="SET NULL")
    )
    api_key_id: Mapped[int | None] = mapped_column(
        ForeignKey("api_key.id", ondelete="SET NULL")
    )
    action: Mapped[str] = mapped_column(String(60))
    subject_table: Mapped[str | None] = mapped_column(String(40))
    row_id: Mapped[int | None]
    before: Mapped[dict[str, Any] | None]
    after: Mapped[dict[str, Any] | None]
    patron_hash: Mapped[str | None] = mapped_column(String(64))
    chain: Mapped[str] = mapped_column(String(64))
