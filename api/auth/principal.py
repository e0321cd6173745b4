"""Who is at the other end of a browser: a patron, a librarian, or nobody yet.

A browser that signed in keeps a random token in a cookie; the table keeps its SHA-256,
so that a copy of the database opens nothing. Leaving deletes the row.
"""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from library.tables import Branch, Patron, Preference, SignedIn, Staff
from library.vocabulary import StaffRole

SHORT_STAY = timedelta(hours=12)
LONG_STAY = timedelta(days=60)
"""On a device the patron calls their own."""


@dataclass(frozen=True)
class PatronCaller:
    """A patron who is signed in."""

    patron_id: int
    name: str | None
    language: str
    calendar: str | None
    digits: str | None
    branch_id: int
    zone: str
    """Of the patron's preference, else of the branch."""


@dataclass(frozen=True)
class StaffCaller:
    """A librarian who is signed in; without a branch, of all branches."""

    staff_id: int
    name: str
    language: str
    role: StaffRole
    branch_id: int | None


def start(
    session: Session,
    *,
    at: datetime,
    lasts: timedelta = SHORT_STAY,
    patron_id: int | None = None,
    staff_id: int | None = None,
) -> str:
    """Sign a browser in; return the token for its cookie, new each time."""
    token = secrets.token_urlsafe(32)
    session.add(
        SignedIn(
            token_hash=hashed(token),
            patron_id=patron_id,
            staff_id=staff_id,
            expires_at=at + lasts,
            created_at=at,
        )
    )
    return token


def end(session: Session, token: str) -> None:
    """Sign a browser out."""
    session.execute(delete(SignedIn).where(SignedIn.token_hash == hashed(token)))


def patron_of(session: Session, token: str, *, at: datetime) -> PatronCaller | None:
    """Return the patron whom a cookie's token signs in, if it still does."""
    found = session.execute(
        select(Patron, func.coalesce(Preference.zone, Branch.zone))
        .join(SignedIn, SignedIn.patron_id == Patron.id)
        .join(Branch, Branch.id == Patron.branch_id)
        .outerjoin(Preference, Preference.patron_id == Patron.id)
        .where(SignedIn.token_hash == hashed(token), SignedIn.expires_at > at)
    ).first()
    if found is None:
        return None
    patron, zone = found
    return PatronCaller(
        patron_id=patron.id,
        name=patron.name,
        language=patron.language,
        calendar=patron.calendar,
        digits=patron.digits,
        branch_id=patron.branch_id,
        zone=zone,
    )


def staff_of(session: Session, token: str, *, at: datetime) -> StaffCaller | None:
    """Return the librarian whom a cookie's token signs in, if active and in time."""
    staff = session.scalar(
        select(Staff)
        .join(SignedIn, SignedIn.staff_id == Staff.id)
        .where(
            SignedIn.token_hash == hashed(token),
            SignedIn.expires_at > at,
            Staff.active,
        )
    )
    if staff is None:
        return None
    return StaffCaller(
        staff_id=staff.id,
        name=staff.name,
        language=staff.language,
        role=staff.role,
        branch_id=staff.branch_id,
    )


def hashed(token: str) -> str:
    """Return what the tables keep of a token."""
    return hashlib.sha256(token.encode()).hexdigest()
