"""Model versions, and what they made: matches, shelves, impressions."""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    Index,
    String,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from library.db import Base, pk
from library.vocabulary import ModelState, RuleAction, RuleTarget


class ModelVersion(Base):
    """One training: its settings, its file, and whether it is in use."""

    __tablename__ = "model_version"
    __table_args__ = (
        Index(
            "uq_model_version_current",
            "state",
            unique=True,
            sqlite_where=text("state = 'current'"),
            postgresql_where=text("state = 'current'"),
        ),
    )

    id: Mapped[pk]
    state: Mapped[ModelState]
    seed: Mapped[int]
    settings: Mapped[dict[str, Any]] = mapped_column(default=dict)
    data_from: Mapped[datetime | None]
    data_to: Mapped[datetime | None]
    split_at: Mapped[datetime | None]
    loans: Mapped[int] = mapped_column(default=0)
    patrons: Mapped[int] = mapped_column(default=0)
    works: Mapped[int] = mapped_column(default=0)
    file: Mapped[str | None]
    sha256: Mapped[str | None] = mapped_column(String(64))
    cause: Mapped[str | None]
    """Why it is not in use: worse than the one before, or what failed."""
    created_at: Mapped[datetime]
    promoted_at: Mapped[datetime | None]


class BlendWeight(Base):
    """The weight a part got in a stratum, beside its own quality there."""

    __tablename__ = "blend_weight"

    model_version_id: Mapped[int] = mapped_column(
        ForeignKey("model_version.id", ondelete="CASCADE"), primary_key=True
    )
    stratum: Mapped[str] = mapped_column(String(40), primary_key=True)
    part: Mapped[str] = mapped_column(String(40), primary_key=True)
    weight: Mapped[float]
    alone: Mapped[float | None]
    """NDCG@10 of this part by itself on the tuning split."""


class Evaluation(Base):
    """One figure of one scorer on one group of patrons."""

    __tablename__ = "evaluation"

    model_version_id: Mapped[int] = mapped_column(
        ForeignKey("model_version.id", ondelete="CASCADE"), primary_key=True
    )
    protocol: Mapped[str] = mapped_column(String(10), primary_key=True)
    scorer: Mapped[str] = mapped_column(String(40), primary_key=True)
    patron_group: Mapped[str] = mapped_column(String(60), primary_key=True)
    metric: Mapped[str] = mapped_column(String(20), primary_key=True)
    value: Mapped[float]
    low: Mapped[float | None]
    high: Mapped[float | None]
    patrons: Mapped[int]


class Match(Base):
    """A work suits a patron, and why."""

    __tablename__ = "match"
    __table_args__ = (
        UniqueConstraint("patron_id", "work_id", "model_version_id"),
        Index(None, "work_id"),
    )

    id: Mapped[pk]
    patron_id: Mapped[int] = mapped_column(ForeignKey("patron.id", ondelete="CASCADE"))
    work_id: Mapped[int] = mapped_column(ForeignKey("work.id", ondelete="CASCADE"))
    model_version_id: Mapped[int] = mapped_column(
        ForeignKey("model_version.id", ondelete="CASCADE"), index=True
    )
    score: Mapped[float]
    rank: Mapped[int]
    reasons: Mapped[list[Any]]
    interest_id: Mapped[int | None] = mapped_column(
        ForeignKey("interest.id", ondelete="SET NULL"), index=True
    )
    rule_id: Mapped[int | None] = mapped_column(
        ForeignKey("rule.id", ondelete="SET NULL"), index=True
    )
    created_at: Mapped[datetime]


class ShelfEntry(Base):
    """A work on a shelf of a patron's page."""

    __tablename__ = "shelf_entry"
    __table_args__ = (UniqueConstraint("patron_id", "shelf", "rank"),)

    id: Mapped[pk]
    patron_id: Mapped[int] = mapped_column(ForeignKey("patron.id", ondelete="CASCADE"))
    shelf: Mapped[str] = mapped_column(String(40))
    rank: Mapped[int]
    work_id: Mapped[int] = mapped_column(
        ForeignKey("work.id", ondelete="CASCADE"), index=True
    )
    score: Mapped[float]
    reasons: Mapped[list[Any]]
    model_version_id: Mapped[int | None] = mapped_column(
        ForeignKey("model_version.id", ondelete="SET NULL"), index=True
    )
    created_at: Mapped[datetime]


class Rule(Base):
    """A librarian's dated pin, boost, bury or exclude."""

    __tablename__ = "rule"
    __table_args__ = (CheckConstraint("starts_at < ends_at", name="dates"),)

    id: Mapped[pk]
    action: Mapped[RuleAction]
    target_kind: Mapped[RuleTarget]
    target: Mapped[str] = mapped_column(String(400))
    """A work's id as text; else the squash of the name."""
    label: Mapped[str]
    branch_id: Mapped[int | None] = mapped_column(ForeignKey("branch.id"))
    category: Mapped[str | None]
    factor: Mapped[float | None]
    """Of a boost or bury: standard deviations added or taken."""
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime] = mapped_column(index=True)
    reason: Mapped[str]
    staff_id: Mapped[int | None] = mapped_column(
        ForeignKey("staff.id", ondelete="SET NULL")
    )
    version: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[datetime]


class Impression(Base):
    """A work was shown to a patron, at a place and rank."""

    __tablename__ = "impression"
    __table_args__ = (
        UniqueConstraint("list_ref", "work_id"),
        Index(None, "patron_id", "work_id"),
    )

    id: Mapped[pk]
    list_ref: Mapped[str] = mapped_column(String(80))
    """What showed it: a delivery's or a page's own key."""
    patron_id: Mapped[int | None] = mapped_column(
        ForeignKey("patron.id", ondelete="SET NULL")
    )
    work_id: Mapped[int] = mapped_column(ForeignKey("work.id", ondelete="CASCADE"))
    alert_id: Mapped[int | None] = mapped_column(
        ForeignKey("alert.id", ondelete="SET NULL"), index=True
    )
    place: Mapped[str] = mapped_column(String(40))
    rank: Mapped[int]
    model_version_id: Mapped[int | None] = mapped_column(
        ForeignKey("model_version.id", ondelete="SET NULL"), index=True
    )
    rule_id: Mapped[int | None] = mapped_column(
        ForeignKey("rule.id", ondelete="SET NULL")
    )
    shown_at: Mapped[datetime]


class Experiment(Base):
    """Two or more set-ups compared by stable hash, with a hold-out group."""

    __tablename__ = "experiment"

    id: Mapped[pk]
    code: Mapped[str] = mapped_column(String(100), unique=True)
    place: Mapped[str] = mapped_column(String(40))
    arms: Mapped[dict[str, Any]]
    """Arm to share; the shares add up to 1."""
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]
