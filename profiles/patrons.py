"""Patrons: found by any of their numbers, and shown as they stand."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from library.errors import Conflict, NotFound
from library.tables import (
    Alert,
    Branch,
    Consent,
    ContactPoint,
    Delivery,
    Feedback,
    Interest,
    InterestProfile,
    Loan,
    Match,
    Patron,
    Pause,
    Preference,
    Suppression,
)
from library.vocabulary import Channel

_GREATEST_ID = 2**31 - 1


def find(session: Session, ref: str) -> Patron:
    """Return the patron this names.

    Args:
        session: Where to look.
        ref: Our id, `system:number`, the number alone, or an e-mail address.

    Raises:
        NotFound: Nobody.
        Conflict: Several systems know the number; name the system too. Or several
            patrons share the address.
    """
    ref = ref.strip()
    number = int(ref) if ref.isascii() and ref.isdecimal() else _GREATEST_ID + 1
    if number <= _GREATEST_ID and (patron := session.get(Patron, number)):
        return patron
    system, _, external_id = ref.partition(":")
    named = _where(session, Patron.system == system, Patron.external_id == external_id)
    found = named or _where(session, Patron.external_id == ref)
    if not found and "@" in ref:
        return _at_address(session, ref)
    if not found:
        raise NotFound(f"no patron {ref}")
    if len(found) > 1:
        systems = ", ".join(sorted(patron.system for patron in found))
        raise Conflict(f"patron {ref} is known to several systems: {systems}")
    return found[0]


def show(session: Session, patron_id: int) -> dict[str, Any]:
    """Return how a patron stands, as values JSON can hold.

    Raises:
        NotFound: No such patron.
    """
    patron = session.get(Patron, patron_id)
    if patron is None:
        raise NotFound(f"no patron {patron_id}")
    told = session.get(Preference, patron_id)
    due = told and told.next_digest_at
    return {
        "id": patron.id,
        "system": patron.system,
        "external_id": patron.external_id,
        "name": patron.name,
        "branch": session.get_one(Branch, patron.branch_id).code,
        "category": patron.category,
        "language": patron.language,
        "expires_on": patron.expires_on and patron.expires_on.isoformat(),
        "addresses": _addresses(session, patron_id),
        "consents": _consents(session, patron_id),
        "rhythm": told and told.rhythm.value,
        "channel": told and told.channel.value,
        "next_digest_at": due and due.isoformat(),
        "pauses": _pauses(session, patron_id),
        "interests": _interests(session, patron_id),
        "loans": _count(session, Loan.patron_id, patron_id),
        "verdicts": _count(session, Feedback.patron_id, patron_id),
        "suppressions": _count(session, Suppression.patron_id, patron_id),
        "matches": _count(session, Match.patron_id, patron_id),
        "alerts": _count(session, Alert.patron_id, patron_id),
        "deliveries": _count(session, Delivery.patron_id, patron_id),
    }


def hold_still(session: Session, patron_id: int) -> Patron:
    """Return the patron, whose rows nobody else changes until the transaction ends.

    Raises:
        NotFound: No such patron.
    """
    patron = session.get(Patron, patron_id, with_for_update={"key_share": True})
    if patron is None:
        raise NotFound(f"no patron {patron_id}")
    return patron


def _at_address(session: Session, address: str) -> Patron:
    found = session.scalars(
        select(Patron)
        .where(
            Patron.id.in_(
                select(ContactPoint.patron_id).where(
                    ContactPoint.channel == Channel.EMAIL,
                    # Anybody can ask for an address; it is theirs once confirmed.
                    ContactPoint.verified_at.is_not(None),
                    func.lower(ContactPoint.address) == address.lower(),
                )
            )
        )
        .order_by(Patron.id)
    ).all()
    if not found:
        raise NotFound(f"no patron has the address {address}")
    if len(found) > 1:
        names = ", ".join(f"{one.system}:{one.external_id}" for one in found)
        raise Conflict(f"{address} is the address of several patrons: {names}")
    return found[0]


def _where(session: Session, *conditions: ColumnElement[bool]) -> Sequence[Patron]:
    return session.scalars(
        select(Patron).where(*conditions).order_by(Patron.id).limit(10)
    ).all()


def _addresses(session: Session, patron_id: int) -> list[str]:
    points = select(ContactPoint).where(ContactPoint.patron_id == patron_id)
    return [
        f"{point.channel.value}:{point.address}{_trouble(point)}"
        for point in session.scalars(points.order_by(ContactPoint.id))
    ]


def _trouble(point: ContactPoint) -> str:
    if point.stopped_at:
        return " (stopped)"
    return "" if point.verified_at else " (not confirmed)"


def _consents(session: Session, patron_id: int) -> list[str]:
    live = select(Consent.purpose).where(
        Consent.patron_id == patron_id, Consent.withdrawn_at.is_(None)
    )
    return sorted(purpose.value for purpose in session.scalars(live))


def _pauses(session: Session, patron_id: int) -> list[str]:
    rows = session.execute(
        select(Pause.scope, Pause.until).where(Pause.patron_id == patron_id)
    )
    return sorted(
        f"{scope} until {until.isoformat() if until else 'the patron says otherwise'}"
        for scope, until in rows
    )


def _interests(session: Session, patron_id: int) -> list[str]:
    mine = (
        select(Interest)
        .join(InterestProfile, InterestProfile.id == Interest.interest_profile_id)
        .where(InterestProfile.patron_id == patron_id)
        .order_by(Interest.weight.desc(), Interest.id)
    )
    return [
        f"{interest.kind.value}:{interest.label}" for interest in session.scalars(mine)
    ]


def _count(session: Session, column: InstrumentedAttribute[int], patron_id: int) -> int:
    return session.scalar(select(func.count()).where(column == patron_id)) or 0
