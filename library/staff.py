"""Accounts of librarians, and the keys of other systems that act for them.

A password is kept as an argon2id hash, a key as the SHA-256 of its secret half. Both
are never shown again. Accounts and keys are switched off, never removed: the audit
names them.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from library.db import insert_into
from library.errors import Conflict, InvalidInput, NotFound
from library.tables import ApiKey, SignedIn, Staff
from library.vocabulary import StaffRole

FAMILIES = (
    "works",
    "patrons",
    "interests",
    "alerts",
    "feedback",
    "sources",
    "rules",
    "models",
    "deliveries",
    "bounces",
    "jobs",
)
"""What a key may be let into, each for reading or for writing."""

SCOPES = frozenset(
    f"{verb}:{family}" for verb in ("read", "write") for family in FAMILIES
)
PASSWORD_LENGTH = 12
KEY_DAYS = 365

_HASHER = PasswordHasher()
# Checked when there is no such account, so that the answer takes as long.
_NOBODY = _HASHER.hash(secrets.token_hex())


def create_staff(  # noqa: PLR0913 -- an account has these sides
    session: Session,
    email: str,
    name: str,
    *,
    role: StaffRole = StaffRole.LIBRARIAN,
    password: str | None = None,
    branch_id: int | None = None,
    language: str = "en",
    at: datetime,
) -> Staff:
    """Add an account.

    Args:
        session: An open transaction.
        email: Signs in with it; compared in lower case.
        name: As the audit and the patrons' pages show it.
        role: Systems librarians may also run the installation.
        password: None: the account can own keys, but not sign in.
        branch_id: None: of all branches.
        language: en or fa_IR.
        at: The moment.

    Raises:
        Conflict: The address has an account.
        InvalidInput: No e-mail address, or too short a password.
    """
    address = _address(email)
    row = insert_into(session, Staff).values(
        email=address,
        name=name.strip() or address,
        password_hash=None if password is None else hash_password(password),
        role=role,
        branch_id=branch_id,
        language=language,
        created_at=at,
    )
    staff: Staff | None = session.scalar(row.on_conflict_do_nothing().returning(Staff))
    if staff is None:
        raise Conflict(f"{address} has an account already")
    return staff


def account(session: Session, email: str) -> Staff:
    """Return the account that signs in with this address.

    Raises:
        NotFound: There is none.
    """
    staff = session.scalar(select(Staff).where(Staff.email == email.strip().lower()))
    if staff is None:
        raise NotFound(f"{email}: there is no such account")
    return staff


def set_password(session: Session, staff: Staff, password: str) -> None:
    """Give an account another password, and sign it out wherever it is signed in.

    Raises:
        InvalidInput: It is too short.
    """
    staff.password_hash = hash_password(password)
    session.execute(delete(SignedIn).where(SignedIn.staff_id == staff.id))


def hash_password(password: str) -> str:
    """Return what to keep of a password.

    Raises:
        InvalidInput: It is too short to protect anything.
    """
    if len(password) < PASSWORD_LENGTH:
        raise InvalidInput(
            f"a password needs {PASSWORD_LENGTH} characters or more", field="password"
        )
    return _HASHER.hash(password)


def check_password(session: Session, email: str, password: str) -> Staff | None:
    """Return the active account these belong to; None says no more than "no".

    Takes as long for an unknown address as for a wrong password.
    """
    staff = session.scalar(select(Staff).where(Staff.email == email.strip().lower()))
    kept = staff.password_hash if staff and staff.active else None
    if not _agrees(kept or _NOBODY, password) or kept is None:
        return None
    return staff


def issue_key(  # noqa: PLR0913 -- a key has these sides
    session: Session,
    staff_id: int,
    name: str,
    scopes: Sequence[str],
    *,
    at: datetime,
    days: int = KEY_DAYS,
    branch_id: int | None = None,
) -> tuple[ApiKey, str]:
    """Make a key; the text beside it can never be had again.

    Args:
        session: An open transaction.
        staff_id: Who answers for what is done with it.
        name: What it is for.
        scopes: Such as "read:works"; of `SCOPES`.
        at: The moment.
        days: How long it is good for.
        branch_id: Narrows it further than its owner; an owner of one branch cannot
            have a key for another.

    Raises:
        InvalidInput: A scope that is none, or no scope, or no time.
        NotFound: No such account.
    """
    staff = session.get(Staff, staff_id)
    if staff is None:
        raise NotFound(f"no staff account {staff_id}")
    unknown = sorted(set(scopes) - SCOPES)
    if unknown or not scopes:
        raise InvalidInput(
            f"no such scope: {', '.join(unknown)}" if unknown else "a key needs scopes",
            field="scopes",
        )
    if days < 1:
        raise InvalidInput("a key is good for one day or more", field="days")
    prefix, secret = secrets.token_hex(5), secrets.token_urlsafe(32)
    key = ApiKey(
        prefix=prefix,
        secret_hash=_digest(secret),
        name=name,
        scopes=sorted(set(scopes)),
        staff_id=staff_id,
        branch_id=staff.branch_id or branch_id,
        expires_at=at + timedelta(days=days),
        created_at=at,
    )
    session.add(key)
    session.flush()
    return key, f"hamkhan_{prefix}_{secret}"


def find_key(session: Session, shown: str, *, at: datetime) -> ApiKey | None:
    """Return the key this text is, if it is good at this moment."""
    parts = re.fullmatch(r"hamkhan_([0-9a-f]+)_([\w-]+)", shown, re.ASCII)
    if parts is None:
        return None
    key = session.scalar(
        select(ApiKey)
        .join(Staff, Staff.id == ApiKey.staff_id)
        .where(ApiKey.prefix == parts[1], ApiKey.expires_at > at, Staff.active)
    )
    if key is None or not hmac.compare_digest(key.secret_hash, _digest(parts[2])):
        return None
    return key


def revoke_key(session: Session, key_id: int, *, at: datetime) -> None:
    """Let a key end now.

    Raises:
        NotFound: No such key.
    """
    key = session.get(ApiKey, key_id)
    if key is None:
        raise NotFound(f"no key {key_id}")
    key.expires_at = min(key.expires_at, at)


def _address(email: str) -> str:
    address = email.strip().lower()
    if not re.fullmatch(r"[^\s@]+@[^\s@]+", address):
        raise InvalidInput(f"{email!r} is no e-mail address", field="email")
    return address


def _agrees(kept: str, password: str) -> bool:
    try:
        return _HASHER.verify(kept, password)
    except (VerifyMismatchError, InvalidHashError):
        return False


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
