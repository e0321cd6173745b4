"""Signing in without a password: a link and a six-digit code, once, for 15 minutes.

The link is only shown by a GET and used up by a POST: mail scanners open every link.
The code serves who reads the mail on another device. Whether a patron is known or not
cannot be told from any answer.
"""

import hashlib
import hmac
import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import CursorResult, func, or_, select, update
from sqlalchemy.orm import Session

from api.auth.principal import hashed
from library.settings import Settings
from library.tables import ContactPoint, Patron, SignIn
from library.text import fold
from library.vocabulary import Channel
from notifier.asked_for import queue_sign_in

LASTS = timedelta(minutes=15)
CODE_TRIES = 5


@dataclass(frozen=True)
class SignInLink:
    """What lets a patron in, once: either of the two."""

    link: str
    code: str


@dataclass(frozen=True)
class Waiting:
    """Whom an unused link is for."""

    patron_id: int
    name: str | None
    language: str


def make_link(
    session: Session, settings: Settings, patron_id: int, *, at: datetime
) -> SignInLink:
    """Make a link and a code for a patron; the table keeps only their hashes."""
    token = secrets.token_urlsafe(24)
    code = f"{secrets.randbelow(10**6):06d}"
    row = SignIn(
        patron_id=patron_id,
        token_hash=hashed(token),
        code_hash=_hashed_code(settings, hashed(token), code),
        expires_at=at + LASTS,
        created_at=at,
    )
    session.add(row)
    session.flush()
    return SignInLink(f"{settings.base_url}/sign-in/{token}", code)


def ask(session: Session, settings: Settings, identity: str, *, at: datetime) -> None:
    """Queue a sign-in message to each patron whom an e-mail address or card names.

    Says nothing of whether there was one.
    """
    for patron_id in patrons_named(session, identity):
        made = make_link(session, settings, patron_id, at=at)
        queue_sign_in(
            session, settings, patron_id, link=made.link, code=made.code, at=at
        )


def patrons_named(session: Session, identity: str) -> Sequence[int]:
    """Return the patrons with this e-mail address (families share one) or card."""
    identity = identity.strip()
    reached = select(ContactPoint.patron_id).where(
        ContactPoint.channel == Channel.EMAIL,
        func.lower(ContactPoint.address) == identity.lower(),
    )
    number = fold(identity)
    cards = [
        hashlib.sha256(f"{system}:{identity}".encode()).hexdigest()
        for system in session.scalars(select(Patron.system).distinct())
    ]
    return session.scalars(
        select(Patron.id)
        .where(
            or_(
                Patron.id.in_(reached),
                func.lower(Patron.external_id) == number,
                Patron.card_hash.in_(cards),
            )
        )
        .order_by(Patron.id)
        .limit(10)
    ).all()


def waiting(session: Session, token: str, *, at: datetime) -> Waiting | None:
    """Return whom a link is for, while it can be used; nothing is used up."""
    patron = session.scalar(
        select(Patron)
        .join(SignIn, SignIn.patron_id == Patron.id)
        .where(
            SignIn.token_hash == hashed(token),
            SignIn.used_at.is_(None),
            SignIn.expires_at > at,
        )
    )
    if patron is None:
        return None
    return Waiting(patron.id, patron.name, patron.language)


def use_link(session: Session, token: str, *, at: datetime) -> int | None:
    """Use a link up; return its patron, or None if it was used or is too old."""
    return _use(session, hashed(token), at)


def use_code(
    session: Session,
    settings: Settings,
    patron_ids: Collection[int],
    code: str,
    *,
    at: datetime,
) -> int | None:
    """Use a code up; return the patron of these whom it lets in.

    A code that was tried wrongly five times is dead.
    """
    typed = fold(code).replace(" ", "").replace("-", "")
    rows = session.scalars(
        select(SignIn)
        .where(
            SignIn.patron_id.in_(patron_ids),
            SignIn.used_at.is_(None),
            SignIn.expires_at > at,
            SignIn.tries < CODE_TRIES,
        )
        .order_by(SignIn.id)
        .with_for_update()  # or many tries at one moment would count as one
    ).all()
    for row in rows:
        expected = row.code_hash or ""
        if hmac.compare_digest(expected, _hashed_code(settings, row.token_hash, typed)):
            return _use(session, row.token_hash, at)
    for row in rows:
        row.tries += 1
    return None


def _use(session: Session, token_hash: str, at: datetime) -> int | None:
    # Conditional: of two browsers at one moment, one gets in.
    result = session.execute(
        update(SignIn)
        .where(
            SignIn.token_hash == token_hash,
            SignIn.used_at.is_(None),
            SignIn.expires_at > at,
        )
        .values(used_at=at)
    )
    assert isinstance(result, CursorResult)  # noqa: S101 -- tells mypy of rowcount
    if result.rowcount != 1:
        return None
    return session.scalar(
        select(SignIn.patron_id).where(SignIn.token_hash == token_hash)
    )


def _hashed_code(settings: Settings, token_hash: str, code: str) -> str:
    # Six digits are soon guessed from a plain hash: this one needs the secret too.
    key = hashlib.sha256(b"sign-in code" + settings.secret.encode()).digest()
    return hmac.new(key, f"{token_hash}|{code}".encode(), hashlib.sha256).hexdigest()
