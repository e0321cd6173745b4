"""Loans and holds of those who agreed, again and again the same.

A loan is known by its id in the library system, else by patron, work and day; so the
same file twice changes nothing. Loans of patrons without a live consent are counted and
not stored, nor are those from before it, unless the consent covers them.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import bindparam, select, update
from sqlalchemy.orm import Session

from harvesters.formats.tabular import Row, is_formula
from harvesters.moments import moment_of
from harvesters.records import REF_LENGTH, Rejected, short_ref
from harvesters.rows import batches, insert_missing
from library.tables import BibRecord, Branch, Consent, Hold, Loan, Patron, Source
from library.vocabulary import ConsentPurpose

_AT_ONCE = 5000


@dataclass(frozen=True, slots=True)
class Leave:
    """A patron's live consent to keep the history."""

    consent_id: int
    given_at: datetime
    covers_past: bool


@dataclass(frozen=True, slots=True)
class Reader:
    """A patron as loans need to know them."""

    id: int
    branch_id: int
    leave: Leave | None


@dataclass(frozen=True, slots=True)
class HarvestedLoan:
    """One loan (or hold) of a table, its patron and work found."""

    ref: str
    reader: Reader
    work_id: int
    branch_id: int
    begins_at: datetime | None
    ends_at: datetime | None


@dataclass(frozen=True)
class Register:
    """All that rows refer to: patrons, works and branches of one system."""

    patrons: Mapping[str, Reader]
    works: Mapping[str, int]
    branches: Mapping[str, int]
    zone: ZoneInfo


def open_register(session: Session, system: str, branch_id: int) -> Register:
    """Read what loans of a system refer to."""
    leaves = {
        patron_id: Leave(consent_id, given_at, covers_past)
        for patron_id, consent_id, given_at, covers_past in session.execute(
            select(Consent.patron_id, Consent.id, Consent.given_at, Consent.covers_past)
            .where(
                Consent.purpose == ConsentPurpose.HISTORY,
                Consent.withdrawn_at.is_(None),
            )
            .order_by(Consent.given_at)
        )
    }
    patrons = session.execute(
        select(Patron.external_id, Patron.id, Patron.branch_id).where(
            Patron.system == system
        )
    )
    works = session.execute(
        select(BibRecord.source_ref, BibRecord.work_id)
        .join(Source, Source.id == BibRecord.source_id)
        .where(Source.code == system)
    )
    zone = session.scalar(select(Branch.zone).where(Branch.id == branch_id))
    return Register(
        {ref: Reader(p, branch, leaves.get(p)) for ref, p, branch in patrons},
        dict(works.all()),
        dict(session.execute(select(Branch.code, Branch.id)).all()),
        ZoneInfo(zone or "UTC"),
    )


def read_loan(
    row: Row, register: Register, branch_id: int, *, at: datetime
) -> HarvestedLoan | Rejected:
    """Find a row's patron and work and read its days; say what is wrong with it."""
    values = row.values
    try:
        reader = _reader(values.get("patron", ""), register)
        work_ref, work_id = _work(values, register)
        begins = _moment("borrowed_on", values.get("from", ""), register, at)
        ends = _end(values.get("to", ""), begins, register, at)
        branch = _branch(values.get("branch", ""), register, branch_id)
        own = _own_ref(values.get("ref", ""))
    except _Bad as bad:
        return Rejected(f"line {row.line}", str(bad), "\x1f".join(row.cells))
    key = own or f"{values['patron']}|{work_ref}|{values.get('from', '')}"
    return HarvestedLoan(
        key if len(key) <= REF_LENGTH else short_ref(key),
        reader,
        work_id,
        branch,
        begins,
        ends,
    )


def covered(session: Session, loans: Iterable[HarvestedLoan]) -> list[HarvestedLoan]:
    """Return the loans that their patrons' consents cover.

    A long file is read under what was agreed at its beginning, so each batch asks which
    of these consents still live; they cannot be withdrawn until the transaction ends.
    """
    agreed = [
        (leave.consent_id, loan)
        for loan in loans
        if (leave := loan.reader.leave) and _covers(leave, loan)
    ]
    # Who erases a patron holds them first, and then all that is theirs: so must we.
    for some in batches(sorted({loan.reader.id for _, loan in agreed}), _AT_ONCE):
        there = select(Patron.id).where(Patron.id.in_(some)).order_by(Patron.id)
        session.scalars(there.with_for_update(read=True, key_share=True)).all()
    live: set[int] = set()
    for some in batches(sorted({consent_id for consent_id, _ in agreed}), _AT_ONCE):
        given = (
            select(Consent.id)
            .where(Consent.id.in_(some), Consent.withdrawn_at.is_(None))
            .order_by(Consent.id)
        )
        live.update(session.scalars(given.with_for_update(read=True)))
    return [loan for consent_id, loan in agreed if consent_id in live]


def _covers(leave: Leave, loan: HarvestedLoan) -> bool:
    begins_at = loan.begins_at
    return leave.covers_past or (begins_at is not None and begins_at >= leave.given_at)


def store_loans(
    session: Session, system: str, loans: Iterable[HarvestedLoan]
) -> tuple[int, int]:
    """Insert new loans and note returns; return added and changed."""
    by_ref = _ordered(loans)
    known = _known(session, Loan, Loan.returned_at, system, list(by_ref))
    new = [_loan_row(system, one) for ref, one in by_ref.items() if ref not in known]
    changed = [
        {"b_id": known[ref][0], "b_ends": one.ends_at}
        for ref, one in by_ref.items()
        if ref in known and one.ends_at is not None and one.ends_at != known[ref][1]
    ]
    insert_missing(session, Loan, new)
    if changed:
        table = Loan.__table__
        session.connection().execute(
            update(Loan)
            .where(table.c.id == bindparam("b_id"))
            .values(returned_at=bindparam("b_ends")),
            changed,
        )
    return len(new), len(changed)


def store_holds(
    session: Session, system: str, holds: Iterable[HarvestedLoan], *, at: datetime
) -> tuple[int, int]:
    """Insert new holds and note their ends; return added and changed."""
    by_ref = _ordered(holds)
    known = _known(session, Hold, Hold.ended_at, system, list(by_ref))
    new = [_hold_row(system, one, at) for r, one in by_ref.items() if r not in known]
    changed = [
        {"id": known[ref][0], "ended_at": one.ends_at}
        for ref, one in by_ref.items()
        if ref in known and one.ends_at is not None and one.ends_at != known[ref][1]
    ]
    insert_missing(session, Hold, new)
    if changed:
        session.execute(update(Hold), changed)
    return len(new), len(changed)


def _ordered(found: Iterable[HarvestedLoan]) -> dict[str, HarvestedLoan]:
    """Return the last of each id, in one order: two imports may have the same file."""
    last = {one.ref: one for one in found}
    return {ref: last[ref] for ref in sorted(last)}


class _Bad(Exception):
    """A field of a row cannot be taken."""

    def __init__(self, field: str, why: str) -> None:
        super().__init__(f"{field}: {why}")


def _reader(ref: str, register: Register) -> Reader:
    reader = register.patrons.get(ref)
    if reader is not None:
        return reader
    if not ref:
        raise _Bad("patron_id", "missing")
    if is_formula(ref):
        raise _Bad("patron_id", "a formula")
    raise _Bad("patron_id", f"no patron {ref[:80]!r} here")


def _work(values: Mapping[str, str], register: Register) -> tuple[str, int]:
    refs = [values.get(name, "") for name in ("work", "copy")]
    for ref in refs:
        if ref in register.works:
            return ref, register.works[ref]
    given = next(filter(None, refs), "")
    if not given:
        raise _Bad("work_id", "missing")
    if is_formula(given):
        raise _Bad("work_id", "a formula")
    raise _Bad("work_id", f"no work {given[:80]!r} here")


def _moment(field: str, text: str, register: Register, at: datetime) -> datetime | None:
    try:
        return moment_of(text, register.zone, at=at)
    except (ValueError, OverflowError) as error:
        raise _Bad(field, f"impossible date: {error}") from error


def _end(
    text: str, begins: datetime | None, register: Register, at: datetime
) -> datetime | None:
    ends = _moment("returned_on", text, register, at)
    if begins and ends and ends < begins:
        raise _Bad("returned_on", "before it was borrowed")
    return ends


def _own_ref(ref: str) -> str:
    if is_formula(ref):
        raise _Bad("loan_id", "a formula")
    return ref


def _branch(code: str, register: Register, default: int) -> int:
    if not code:
        return default
    found = register.branches.get(code)
    if found is None:
        raise _Bad("branch", f"no branch {code[:80]!r} here")
    return found


def _known(
    session: Session, table: Any, ends: Any, system: str, refs: Sequence[str]
) -> dict[str, tuple[int, datetime | None]]:
    known: dict[str, tuple[int, datetime | None]] = {}
    for some in batches(refs, _AT_ONCE):
        rows = session.execute(
            select(table.ref, table.id, ends).where(
                table.system == system, table.ref.in_(some)
            )
        )
        known.update((ref, (row_id, ended)) for ref, row_id, ended in rows)
    return known


def _loan_row(system: str, loan: HarvestedLoan) -> dict[str, Any]:
    return {
        "system": system,
        "ref": loan.ref,
        "patron_id": loan.reader.id,
        "work_id": loan.work_id,
        "branch_id": loan.branch_id,
        "consent_id": loan.reader.leave.consent_id if loan.reader.leave else None,
        "borrowed_at": loan.begins_at,
        "returned_at": loan.ends_at,
    }


def _hold_row(system: str, hold: HarvestedLoan, at: datetime) -> dict[str, Any]:
    return {
        "system": system,
        "ref": hold.ref,
        "patron_id": hold.reader.id,
        "work_id": hold.work_id,
        "placed_at": hold.begins_at or at,
        "ended_at": hold.ends_at,
    }
