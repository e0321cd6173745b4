"""Jobs, the schedule, and what keeps calls honest."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from library.db import Base, pk
from library.vocabulary import JobState, SlotState


class Job(Base):
    """A long piece of work with its progress; it outlives the page that asked."""

    __tablename__ = "job"

    id: Mapped[pk]
    kind: Mapped[str] = mapped_column(String(40))
    state: Mapped[JobState] = mapped_column(default=JobState.QUEUED, index=True)
    parameters: Mapped[dict[str, Any]] = mapped_column(default=dict)
    done: Mapped[int] = mapped_column(default=0)
    total: Mapped[int | None]
    error: Mapped[str | None]
    result: Mapped[dict[str, Any] | None]
    stop_asked: Mapped[bool] = mapped_column(default=False)
    staff_id: Mapped[int | None] = mapped_column(
        ForeignKey("staff.id", ondelete="SET NULL")
    )
    worker: Mapped[str | None] = mapped_column(String(80))
    lease_until: Mapped[datetime | None]
    created_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]


class Schedule(Base):
    """A job that comes round, and when it is next due."""

    __tablename__ = "schedule"

    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    next_at: Mapped[datetime]


class ScheduleRun(Base):
    """One turn of a scheduled job; the slot is unique, so it runs once."""

    __tablename__ = "schedule_run"
    __table_args__ = (UniqueConstraint("name", "slot"), Index(None, "state", "due_at"))

    id: Mapped[pk]
    name: Mapped[str] = mapped_column(String(40))
    slot: Mapped[datetime]
    state: Mapped[SlotState] = mapped_column(default=SlotState.DUE)
    due_at: Mapped[datetime]
    """While running: the end of the lease."""
    worker: Mapped[str | None] = mapped_column(String(80))
    attempts: Mapped[int] = mapped_column(default=0)
    error: Mapped[str | None]
    ended_at: Mapped[datetime | None]


class Heartbeat(Base):
    """A worker answered a ring through the broker at this moment."""

    __tablename__ = "heartbeat"

    worker: Mapped[str] = mapped_column(String(80), primary_key=True)
    at: Mapped[datetime]


class HostTurn(Base):
    """When a host we harvest may be asked again, by whichever worker comes first.

    While one asks, `free_at` lies far enough ahead for its longest exchange.
    """

    __tablename__ = "host_turn"

    host: Mapped[str] = mapped_column(String(300), primary_key=True)
    free_at: Mapped[datetime]
    holder: Mapped[str | None] = mapped_column(String(80))


class IdempotencyKey(Base):
    """An answer kept so that the same POST twice makes one change."""

    __tablename__ = "idempotency_key"
    __table_args__ = (UniqueConstraint("caller", "key"),)

    id: Mapped[pk]
    caller: Mapped[str] = mapped_column(String(80))
    key: Mapped[str] = mapped_column(String(200))
    route: Mapped[str] = mapped_column(String(200))
    body_hash: Mapped[str] = mapped_column(String(64))
    answer: Mapped[dict[str, Any] | None]
    expires_at: Mapped[datetime] = mapped_column(index=True)


class CallCount(Base):
    """How often a caller called in one minute or hour."""

    __tablename__ = "call_count"

    caller: Mapped[str] = mapped_column(String(120), primary_key=True)
    window: Mapped[datetime] = mapped_column(primary_key=True)
    calls: Mapped[int] = mapped_column(default=0)


class Setting(Base):
    """A choice of the installation that a page or command may change."""

    __tablename__ = "setting"

    name: Mapped[str] = mapped_column(String(60), primary_key=True)
    value: Mapped[dict[str, Any]]
