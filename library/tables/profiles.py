"""What each patron wants, agreed to and answered."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from library.db import Base, pk
from library.vocabulary import (
    Channel,
    ConsentPurpose,
    InterestKind,
    InterestOrigin,
    Rhythm,
    SuppressionKind,
    Verdict,
)


class Consent(Base):
    """A patron's leave for one purpose, with the wording agreed to."""

    __tablename__ = "consent"
    __table_args__ = (UniqueConstraint("patron_id", "purpose", "given_at"),)

    id: Mapped[pk]
    patron_id: Mapped[int] = mapped_column(ForeignKey("patron.id", ondelete="CASCADE"))
    purpose: Mapped[ConsentPurpose]
    wording: Mapped[str]
    source: Mapped[str]
    covers_past: Mapped[bool] = mapped_column(default=False)
    """For history: loans from before `given_at` may come in too."""
    given_at: Mapped[datetime]
    withdrawn_at: Mapped[datetime | None]


class Preference(Base):
    """How a patron wants to be told. Times are wall times in `zone`."""

    __tablename__ = "preference"

    patron_id: Mapped[int] = mapped_column(
        ForeignKey("patron.id", ondelete="CASCADE"), primary_key=True
    )
    rhythm: Mapped[Rhythm] = mapped_column(default=Rhythm.WEEKLY)
    weekday: Mapped[int] = mapped_column(default=5)
    """0 is Monday, as in `datetime.weekday`; 5 is Saturday."""
    hour: Mapped[int] = mapped_column(default=8)
    zone: Mapped[str]
    channel: Mapped[Channel] = mapped_column(default=Channel.EMAIL)
    quiet_from: Mapped[int | None]
    """Minutes after local midnight; the quiet time may cross it."""
    quiet_to: Mapped[int | None]
    at_least: Mapped[int] = mapped_column(default=1)
    discreet: Mapped[bool] = mapped_column(default=False)
    """Messages say how many works are new, and not which."""
    next_digest_at: Mapped[datetime | None] = mapped_column(index=True)
    layout: Mapped[dict[str, Any]] = mapped_column(default=dict)
    feed_token: Mapped[str | None] = mapped_column(String(64), unique=True)
    """SHA-256 of the secret in the private feed's address."""


class Pause(Base):
    """Nothing of `scope` until a day; scope is `all` or a message purpose."""

    __tablename__ = "pause"
    __table_args__ = (UniqueConstraint("patron_id", "scope"),)

    id: Mapped[pk]
    patron_id: Mapped[int] = mapped_column(ForeignKey("patron.id", ondelete="CASCADE"))
    scope: Mapped[str] = mapped_column(String(20))
    until: Mapped[datetime | None]
    """Null: until the patron says otherwise."""


class InterestProfile(Base):
    """A named set of interests, narrowed by language, format and branch."""

    __tablename__ = "interest_profile"
    __table_args__ = (UniqueConstraint("patron_id", "name"),)

    id: Mapped[pk]
    patron_id: Mapped[int] = mapped_column(ForeignKey("patron.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(200))
    languages: Mapped[list[Any]] = mapped_column(default=list)
    formats: Mapped[list[Any]] = mapped_column(default=list)
    branches: Mapped[list[Any]] = mapped_column(default=list)
    version: Mapped[int] = mapped_column(default=1)


class Interest(Base):
    """One weighted term of an interest profile."""

    __tablename__ = "interest"
    __table_args__ = (
        UniqueConstraint("interest_profile_id", "kind", "squash"),
        Index(None, "kind", "squash"),
    )

    id: Mapped[pk]
    interest_profile_id: Mapped[int] = mapped_column(
        ForeignKey("interest_profile.id", ondelete="CASCADE")
    )
    kind: Mapped[InterestKind]
    squash: Mapped[str] = mapped_column(String(400))
    label: Mapped[str]
    weight: Mapped[float] = mapped_column(default=1.0)
    """0 to 3; 1 is plain interest."""
    origin: Mapped[InterestOrigin] = mapped_column(default=InterestOrigin.STATED)
    active: Mapped[bool] = mapped_column(default=True)
    alerts: Mapped[bool] = mapped_column(default=True)
    """Off: it shapes the page but brings no message."""
    follow: Mapped[bool] = mapped_column(default=False)
    """Every new work of this creator or series, from `created_at` on."""
    new_works_only: Mapped[bool] = mapped_column(default=True)
    ends_on: Mapped[date | None]
    warned_on: Mapped[date | None]
    rhythm: Mapped[Rhythm | None]
    """Null: as the patron's preference says. Off: its alerts are on the page alone."""
    next_digest_at: Mapped[datetime | None] = mapped_column(index=True)
    """When its alerts may ride next; null: with the patron's own rhythm."""
    created_at: Mapped[datetime]


class Suppression(Base):
    """A patron's wish never to be shown a work, creator, subject or series."""

    __tablename__ = "suppression"
    __table_args__ = (UniqueConstraint("patron_id", "kind", "target"),)

    id: Mapped[pk]
    patron_id: Mapped[int] = mapped_column(ForeignKey("patron.id", ondelete="CASCADE"))
    kind: Mapped[SuppressionKind]
    target: Mapped[str] = mapped_column(String(400))
    """A work's id as text; else the squash of the name."""
    label: Mapped[str]
    created_at: Mapped[datetime]


class Feedback(Base):
    """The latest verdict of a patron on a work."""

    __tablename__ = "feedback"
    __table_args__ = (UniqueConstraint("patron_id", "work_id"),)

    id: Mapped[pk]
    patron_id: Mapped[int] = mapped_column(ForeignKey("patron.id", ondelete="CASCADE"))
    work_id: Mapped[int] = mapped_column(ForeignKey("work.id"), index=True)
    verdict: Mapped[Verdict]
    given_at: Mapped[datetime]
    via: Mapped[Channel]


class SignIn(Base):
    """A link and a code by which a patron may sign in, once, for a short time."""

    __tablename__ = "sign_in"

    id: Mapped[pk]
    patron_id: Mapped[int] = mapped_column(
        ForeignKey("patron.id", ondelete="CASCADE"), index=True
    )
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    code_hash: Mapped[str | None] = mapped_column(String(64))
    tries: Mapped[int] = mapped_column(default=0)
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
    created_at: Mapped[datetime]


class SignedIn(Base):
    """A browser that is signed in, until it leaves or the time is up."""

    __tablename__ = "signed_in"

    id: Mapped[pk]
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    patron_id: Mapped[int | None] = mapped_column(
        ForeignKey("patron.id", ondelete="CASCADE"), index=True
    )
    staff_id: Mapped[int | None] = mapped_column(
        ForeignKey("staff.id", ondelete="CASCADE"), index=True
    )
    expires_at: Mapped[datetime]
    created_at: Mapped[datetime]
