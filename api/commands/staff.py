"""`hamkhan staff` and `hamkhan key`."""

from collections.abc import Mapping, Sequence
from typing import Any

import click
from sqlalchemy import select
from sqlalchemy.orm import Session

from api.commands.options import json_option, pass_runtime
from api.commands.output import say, table
from library import audit
from library.clock import utc_now
from library.db import reading
from library.errors import NotFound
from library.runtime import Runtime
from library.staff import (
    KEY_DAYS,
    SCOPES,
    account,
    create_staff,
    issue_key,
    revoke_key,
    set_password,
)
from library.tables import ApiKey, Branch, Staff
from library.vocabulary import StaffRole


@click.group()
def staff() -> None:
    """Librarians' accounts."""


@staff.command("add")
@click.argument("email")
@click.option("--name", default="", help="As colleagues and patrons read it.")
@click.option(
    "--role",
    type=click.Choice([role.value for role in StaffRole]),
    default=StaffRole.LIBRARIAN.value,
    show_default=True,
)
@click.option("--branch", "branch_code", metavar="CODE", help="Default: all branches.")
@click.option(
    "--language", type=click.Choice(["en", "fa_IR"]), default="en", show_default=True
)
@click.password_option(help="Asked for when it is not given.")
@json_option
@pass_runtime
def add(  # noqa: PLR0913 -- one argument for each option
    runtime: Runtime,
    *,
    email: str,
    name: str,
    role: str,
    branch_code: str | None,
    language: str,
    password: str,
    as_json: bool,
) -> None:
    """Add an account that signs in with EMAIL and a password."""
    with runtime.sessions.begin() as session:
        row = create_staff(
            session,
            email,
            name,
            role=StaffRole(role),
            password=password,
            branch_id=_branch_id(session, branch_code),
            language=language,
            at=utc_now(),
        )
        added = {"id": row.id, "email": row.email, "role": row.role}
    say(added, f"{added['email']} can sign in at /console.", as_json=as_json)


@staff.command("list")
@json_option
@pass_runtime
def list_(runtime: Runtime, *, as_json: bool) -> None:
    """List the accounts, and which of them can sign in."""
    with reading(runtime.sessions) as session:
        rows = [
            {
                "email": one.email,
                "name": one.name,
                "role": one.role,
                "branch": code,
                "active": one.active,
            }
            for one, code in session.execute(
                select(Staff, Branch.code)
                .outerjoin(Branch, Branch.id == Staff.branch_id)
                .order_by(Staff.email)
            )
        ]
    say(rows, lambda: _table(rows), as_json=as_json)


@staff.command()
@click.argument("email")
@click.password_option(help="Asked for when it is not given.")
@pass_runtime
def password(runtime: Runtime, *, email: str, password: str) -> None:
    """Give the account EMAIL another password; it is signed out everywhere."""
    with runtime.sessions.begin() as session:
        owner = account(session, email)
        set_password(session, owner, password)
        _write_down(session, "staff.password", owner)
    click.echo(f"{owner.email} has another password.")


@staff.command()
@click.argument("email")
@click.option("--back", is_flag=True, help="Let it in again.")
@pass_runtime
def off(runtime: Runtime, *, email: str, back: bool) -> None:
    """Switch the account EMAIL off, and its keys with it; the audit still names it."""
    with runtime.sessions.begin() as session:
        owner = account(session, email)
        owner.active = back
        _write_down(session, "staff.on" if back else "staff.off", owner)
    click.echo(f"{owner.email} is {'on' if back else 'off'}.")


@click.group()
def key() -> None:
    """Keys for other systems that call the API."""


@key.command()
@click.argument("email")
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    required=True,
    type=click.Choice(sorted(SCOPES)),
    metavar="VERB:FAMILY",
    help="What it may do, such as read:works; repeat for more.",
)
@click.option("--days", type=click.IntRange(1), default=KEY_DAYS, show_default=True)
@json_option
@pass_runtime
def issue(
    runtime: Runtime,
    *,
    email: str,
    name: str,
    scopes: tuple[str, ...],
    days: int,
    as_json: bool,
) -> None:
    """Make a key called NAME for which the account EMAIL answers; it is shown once."""
    with runtime.sessions.begin() as session:
        owner = account(session, email)
        row, shown_once = issue_key(
            session, owner.id, name, scopes, at=utc_now(), days=days
        )
        expires_at = row.expires_at
    made = {"key": shown_once, "name": name, "expires_at": expires_at}
    say(made, shown_once, as_json=as_json)


@key.command("list")
@json_option
@pass_runtime
def list_keys(runtime: Runtime, *, as_json: bool) -> None:
    """List the keys: of whom, for what, until when and when last used."""
    with reading(runtime.sessions) as session:
        rows = [
            {
                "id": one.id,
                "name": one.name,
                "email": email,
                "scopes": " ".join(one.scopes),
                "expires_at": one.expires_at,
                "last_used_at": one.last_used_at,
            }
            for one, email in session.execute(
                select(ApiKey, Staff.email)
                .join(Staff, Staff.id == ApiKey.staff_id)
                .order_by(ApiKey.id)
            )
        ]
    say(rows, lambda: _table(rows), as_json=as_json)


@key.command()
@click.argument("key_id", type=int, metavar="ID")
@pass_runtime
def revoke(runtime: Runtime, *, key_id: int) -> None:
    """Let the key ID end now, as when it got into wrong hands."""
    at = utc_now()
    with runtime.sessions.begin() as session:
        revoke_key(session, key_id, at=at)
        audit.record(session, "key.revoked", at=at, table="api_key", row_id=key_id)
    click.echo(f"key {key_id} opens nothing any more.")


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    head = list(rows[0]) if rows else ["none yet"]
    return table(head, [list(row.values()) for row in rows])


def _write_down(session: Session, action: str, owner: Staff) -> None:
    audit.record(session, action, at=utc_now(), table="staff", row_id=owner.id)


def _branch_id(session: Session, code: str | None) -> int | None:
    if code is None:
        return None
    found = session.scalar(select(Branch.id).where(Branch.code == code))
    if found is None:
        raise NotFound(f"{code}: there is no such branch")
    return found
