"""Patrons: who they are, what they agreed to, their take-out and erasing."""

from datetime import date, datetime
from typing import Any

from apiflask.schemas import FileSchema
from flask import Response
from pydantic import Field
from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from api.auth.keys import KeyCaller
from api.context import sessions, settings
from api.rest.blueprint import part
from api.rest.doors import acts, note_read, reads, writes
from api.rest.fields import Code, In, Long, Out
from api.rest.lists import listed
from api.rest.protocol.paging import PageIn
from library import audit
from library.clock import utc_now
from library.db import reading
from library.errors import InvalidInput, NotFound
from library.tables import Branch, Patron
from library.vocabulary import ConsentPurpose
from profiles import consent, privacy

bp = part("patrons")


class PatronsIn(PageIn):
    """Which patrons."""

    branch: Code | None = Field(default=None, description="A branch's code.")


class PatronOut(Out):
    """A patron, without address or history."""

    id: int
    system: str
    external_id: str
    name: str | None
    branch_id: int
    category: str | None
    language: str
    enrolled_on: date | None
    expires_on: date | None


class PatronsOut(Out):
    """A page of patrons."""

    items: list[PatronOut]


class ConsentOut(Out):
    """What a patron agreed to, when, and in which words."""

    purpose: ConsentPurpose
    wording: str
    source: str
    covers_past: bool
    given_at: datetime
    withdrawn_at: datetime | None


class ConsentsOut(Out):
    """All a patron ever agreed to."""

    items: list[ConsentOut]


class ConsentIn(In):
    """The words a patron agreed to."""

    wording: Long
    covers_past: bool = Field(
        default=False, description="For history: loans from before may come in too."
    )


class ReceiptOut(Out):
    """Proof of an erasure, which names nobody."""

    number: str
    at: datetime
    rows: dict[str, int]
    messages: int
    overwritten: bool


def patron_for(session: Session, caller: KeyCaller, patron_id: int) -> Patron:
    """Return a patron the caller may deal with.

    Raises:
        NotAllowed: The patron is of another branch.
        NotFound: There is no such patron.
    """
    patron = caller.needs_patron(session, patron_id)
    if patron is None:
        raise NotFound(f"no patron {patron_id}")
    return patron


def record_change(
    session: Session, caller: KeyCaller, patron_id: int, action: str
) -> None:
    """Have the audit say what was done to a patron's data, and not the data.

    To be called last: whoever adds to the audit holds it, and must wait for nobody.
    """
    audit.record(
        session,
        action,
        at=utc_now(),
        by=caller.actor,
        patron=audit.patron_hash(settings().secret, patron_id),
    )


@bp.get("/patrons")
@reads("patrons")
@bp.input(PatronsIn, location="query")
@bp.output(PatronsOut)
def list_patrons(
    session: Session, caller: KeyCaller, query_data: PatronsIn
) -> tuple[dict[str, Any], int, dict[str, str]]:
    """List the patrons of the caller's branches."""
    rows = _seen_by(caller, query_data.branch)
    answer = listed(session, rows, Patron.id, query_data, PatronOut.model_validate)
    for patron in answer[0]["items"]:
        note_read(patron.id)
    return answer


@bp.get("/patrons/<int:patron_id>")
@reads("patrons")
@bp.output(PatronOut)
def get_patron(session: Session, caller: KeyCaller, patron_id: int) -> Patron:
    """Return a patron."""
    patron = patron_for(session, caller, patron_id)
    note_read(patron_id)
    return patron


@bp.get("/patrons/<int:patron_id>/take-out")
@reads("patrons")
@bp.output(FileSchema(), content_type="application/zip")
def take_out(session: Session, caller: KeyCaller, patron_id: int) -> Response:
    """Return all that is held of a patron, as a .zip of JSON and CSV."""
    patron_for(session, caller, patron_id)
    note_read(patron_id)
    answer = Response(
        privacy.export_zip(session, patron_id), mimetype="application/zip"
    )
    answer.headers["Content-Disposition"] = (
        f'attachment; filename="patron-{patron_id}.zip"'
    )
    return answer


@bp.delete("/patrons/<int:patron_id>")
@acts("patrons")
@bp.output(ReceiptOut)
def erase_patron(caller: KeyCaller, patron_id: int) -> privacy.Receipt:
    """Erase a patron and all that is held of them; it cannot be undone."""
    with reading(sessions()) as session:
        patron_for(session, caller, patron_id)
    return privacy.erase(sessions(), settings(), patron_id, at=utc_now())


@bp.get("/patrons/<int:patron_id>/consents")
@reads("patrons")
@bp.output(ConsentsOut)
def list_consents(
    session: Session, caller: KeyCaller, patron_id: int
) -> dict[str, object]:
    """List what a patron agreed to, the withdrawn too, newest first."""
    patron_for(session, caller, patron_id)
    note_read(patron_id)
    return {"items": consent.list_consents(session, patron_id)}


@bp.put("/patrons/<int:patron_id>/consents/<purpose>")
@writes("patrons")
@bp.input(ConsentIn)
@bp.output(ConsentOut)
def give_consent(
    session: Session,
    caller: KeyCaller,
    patron_id: int,
    purpose: str,
    json_data: ConsentIn,
) -> object:
    """Store that a patron agreed, on paper or at the desk, to one purpose."""
    patron_for(session, caller, patron_id)
    given = consent.give(
        session,
        patron_id,
        _purpose(purpose),
        wording=json_data.wording,
        source="api",
        covers_past=json_data.covers_past,
        at=utc_now(),
    )
    record_change(session, caller, patron_id, "consent.given")
    return given


@bp.delete("/patrons/<int:patron_id>/consents/<purpose>")
@writes("patrons")
@bp.output({}, status_code=204)
def withdraw_consent(
    session: Session, caller: KeyCaller, patron_id: int, purpose: str
) -> str:
    """End a consent; what was kept or concluded under it is gone at once."""
    patron_for(session, caller, patron_id)
    consent.withdraw(session, patron_id, _purpose(purpose), at=utc_now())
    record_change(session, caller, patron_id, "consent.withdrawn")
    return ""


def _seen_by(caller: KeyCaller, branch: str | None) -> Select[Patron]:
    rows = select(Patron)
    if caller.branch_id is not None:
        rows = rows.where(Patron.branch_id == caller.branch_id)
    if branch is not None:
        of_branch = select(Branch.id).where(Branch.code == branch)
        rows = rows.where(Patron.branch_id.in_(of_branch))
    return rows


def _purpose(name: str) -> ConsentPurpose:
    try:
        return ConsentPurpose(name)
    except ValueError as error:
        raise InvalidInput(f"{name!r} is no purpose", field="purpose") from error
