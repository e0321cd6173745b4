"""Patrons with their addresses, again and again the same.

A patron's key is the library system's own number, so card and address may change.
"""

import hashlib
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from harvesters.formats.tabular import Row, is_formula
from harvesters.moments import day_of
from harvesters.records import Rejected, plain
from harvesters.rows import insert_missing
from library.tables import (
    Branch,
    Consent,
    ContactPoint,
    Guardian,
    Patron,
    Preference,
)
from library.vocabulary import Channel, ConsentPurpose

_ADDRESS = re.compile(r"[^\s@<>,;\"'()]{1,64}@[^\s@<>,;\"'()]{1,255}")
_ID_LENGTH = 200
_KEYS = ("ref", "userid", "card")
COVERED = "Imported: the library holds the patron's agreement."


@dataclass(frozen=True, slots=True)
class HarvestedPatron:
    """One patron of a table."""

    ref: str
    card_hash: str | None
    name: str | None
    email: str | None
    branch: str | None
    category: str | None
    language: str
    enrolled_on: date | None
    expires_on: date | None
    guardian: str | None


@dataclass(frozen=True)
class ConsentGiven:
    """The agreement that the library holds of all the patrons of an import."""

    purposes: Collection[ConsentPurpose]
    covers_past: bool


def read_patron(row: Row, *, system: str) -> HarvestedPatron | Rejected:
    """Read a row; say what is wrong with it."""
    values = row.values
    ref = next(filter(None, (values.get(name, "") for name in _KEYS)), "")
    why = _wrong(ref, values)
    if why:
        return Rejected(f"line {row.line}", why, "\x1f".join(row.cells))
    card = values.get("card", "")
    return HarvestedPatron(
        ref=ref,
        card_hash=hashlib.sha256(f"{system}:{card}".encode()).hexdigest()
        if card
        else None,
        name=plain(values.get("name", ""), 200) or None,
        email=values.get("email", "").strip() or None,
        branch=values.get("branch", "") or None,
        category=plain(values.get("category", ""), 100) or None,
        language=_language(values.get("language", "")),
        enrolled_on=day_of(values.get("enrolled", "")),
        expires_on=day_of(values.get("expires", "")),
        guardian=values.get("guardian", "") or None,
    )


def store_patrons(
    session: Session,
    system: str,
    patrons: Sequence[HarvestedPatron],
    *,
    branch_id: int,
    given: ConsentGiven,
    at: datetime,
) -> tuple[int, int]:
    """Insert and update patrons; return added and changed."""
    by_ref = {patron.ref: patron for patron in patrons}
    branches = _branches(session, by_ref.values())
    known = _known(session, system, list(by_ref))
    new = {ref: patron for ref, patron in by_ref.items() if ref not in known}
    facts = {
        ref: _facts(patron, branches.get(patron.branch or "", branch_id))
        for ref, patron in by_ref.items()
    }
    insert_missing(
        session,
        Patron,
        [
            {"system": system, "external_id": ref, "created_at": at, **facts[ref]}
            for ref in sorted(new)
        ],
    )
    changed = {ref for ref, row in known.items() if _facts_of(row) != facts[ref]}
    if changed:
        session.execute(
            update(Patron), [{"id": known[r].id, **facts[r]} for r in sorted(changed)]
        )
    ids = _ids(session, system, list(by_ref))
    changed |= _store_addresses(session, by_ref, ids, at=at) & known.keys()
    _store_preferences(session, [ids[ref] for ref in new])
    _store_consents(session, list(ids.values()), given, at=at)
    _store_guardians(session, system, by_ref, ids)
    return len(new), len(changed)


def _wrong(ref: str, values: Mapping[str, str]) -> str | None:
    if not ref:
        return "patron_id: missing"
    if is_formula(ref):
        return "patron_id: a formula"
    if len(ref) > _ID_LENGTH:
        return f"patron_id: longer than {_ID_LENGTH} characters"
    for name in ("enrolled", "expires"):
        try:
            day_of(values.get(name, ""))
        except (ValueError, OverflowError) as error:
            return f"{name}: impossible date: {error}"
    email = values.get("email", "")
    if email and not _ADDRESS.fullmatch(email.strip()):
        return "email: not an address"
    return None


def _language(text: str) -> str:
    return "fa_IR" if text.lower().startswith(("fa", "per")) else "en"


def _facts(patron: HarvestedPatron, branch_id: int) -> dict[str, Any]:
    return {
        "card_hash": patron.card_hash,
        "name": patron.name,
        "branch_id": branch_id,
        "category": patron.category,
        "language": patron.language,
        "enrolled_on": patron.enrolled_on,
        "expires_on": patron.expires_on,
    }


def _facts_of(row: Patron) -> dict[str, Any]:
    return {
        "card_hash": row.card_hash,
        "name": row.name,
        "branch_id": row.branch_id,
        "category": row.category,
        "language": row.language,
        "enrolled_on": row.enrolled_on,
        "expires_on": row.expires_on,
    }


def _branches(session: Session, patrons: Collection[HarvestedPatron]) -> dict[str, int]:
    named = sorted({patron.branch for patron in patrons if patron.branch})
    insert_missing(session, Branch, [{"code": code, "name": code} for code in named])
    return dict(session.execute(select(Branch.code, Branch.id)).all())


def _known(session: Session, system: str, refs: Sequence[str]) -> dict[str, Patron]:
    # Held in one order everywhere, or two writers could wait for each other.
    rows = session.scalars(
        select(Patron)
        .where(Patron.system == system, Patron.external_id.in_(refs))
        .order_by(Patron.id)
        .with_for_update(key_share=True)
    )
    return {row.external_id: row for row in rows}


def _ids(session: Session, system: str, refs: Sequence[str]) -> dict[str, int]:
    rows = session.execute(
        select(Patron.external_id, Patron.id).where(
            Patron.system == system, Patron.external_id.in_(refs)
        )
    )
    return dict(rows.all())


def _store_addresses(
    session: Session,
    patrons: Mapping[str, HarvestedPatron],
    ids: Mapping[str, int],
    *,
    at: datetime,
) -> set[str]:
    """Store the e-mail addresses; return whose changed.

    The library vouches for the addresses it has, so they count as verified. A changed
    one takes the old one's place, and waiting messages go there.
    """
    points: dict[int, ContactPoint] = {}
    for point in session.scalars(
        select(ContactPoint)
        .where(
            ContactPoint.patron_id.in_(ids.values()),
            ContactPoint.channel == Channel.EMAIL,
        )
        .order_by(ContactPoint.id)
    ):
        points[point.patron_id] = point
    changed: set[str] = set()
    new = []
    for ref, patron in patrons.items():
        point_or_none = points.get(ids[ref])
        if patron.email is None or (
            point_or_none is not None and point_or_none.address == patron.email
        ):
            continue
        changed.add(ref)
        if point_or_none is None:
            new.append(_address_row(ids[ref], patron.email, at))
        else:
            _move(point_or_none, patron.email, at)
    insert_missing(session, ContactPoint, new)
    return changed


def _address_row(patron_id: int, address: str, at: datetime) -> dict[str, Any]:
    return {
        "patron_id": patron_id,
        "channel": Channel.EMAIL,
        "address": address,
        "verified_at": at,
        "created_at": at,
    }


def _move(point: ContactPoint, address: str, at: datetime) -> None:
    point.address = address
    point.verified_at = at
    point.hard = point.soft = 0
    point.retry_at = point.stopped_at = None


def _store_preferences(session: Session, patron_ids: Sequence[int]) -> None:
    rows = session.execute(
        select(Patron.id, Branch.zone)
        .join(Branch, Branch.id == Patron.branch_id)
        .where(Patron.id.in_(patron_ids))
    )
    insert_missing(
        session, Preference, [{"patron_id": p, "zone": zone} for p, zone in rows]
    )


def _store_consents(
    session: Session, patron_ids: Sequence[int], given: ConsentGiven, *, at: datetime
) -> None:
    """Add the consents that patrons have never answered; a refusal stays one."""
    answered = set(
        session.execute(
            select(Consent.patron_id, Consent.purpose).where(
                Consent.patron_id.in_(patron_ids)
            )
        ).all()
    )
    rows = [
        {
            "patron_id": patron_id,
            "purpose": purpose,
            "wording": COVERED,
            "source": "import",
            "covers_past": given.covers_past,
            "given_at": at,
        }
        for patron_id in patron_ids
        for purpose in given.purposes
        if (patron_id, purpose) not in answered
    ]
    if rows:
        session.execute(insert(Consent), rows)


def _store_guardians(
    session: Session,
    system: str,
    patrons: Mapping[str, HarvestedPatron],
    ids: Mapping[str, int],
) -> None:
    named = {ref: p.guardian for ref, p in patrons.items() if p.guardian}
    guardians = _ids(session, system, [g for g in named.values() if g])
    insert_missing(
        session,
        Guardian,
        [
            {"patron_id": ids[ref], "guardian_id": guardians[guardian]}
            for ref, guardian in named.items()
            if guardian in guardians and guardians[guardian] != ids[ref]
        ],
    )
