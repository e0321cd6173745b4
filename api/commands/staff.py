"""`hamkhan staff` and `hamkhan key`."""

import click
from sqlalchemy import select
from sqlalchemy.orm import Session

from api.commands.options import json_option, pass_runtime
from api.commands.output import say
from library.clock import utc_now
from library.errors import NotFound
from library.runtime import Runtime
from library.staff import KEY_DAYS, SCOPES, create_staff, issue_key
from library.tables import Branch, Staff
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
        owner = session.scalar(select(Staff).where(Staff.email == email.lower()))
        if owner is None:
            raise NotFound(f"{email}: there is no such account")
        row, shown_once = issue_key(
            session, owner.id, name, scopes, at=utc_now(), days=days
        )
        expires_at = row.expires_at
    made = {"key": shown_once, "name": name, "expires_at": expires_at}
    say(made, shown_once, as_json=as_json)


def _branch_id(session: Session, code: str | None) -> int | None:
    if code is None:
        return None
    found = session.scalar(select(Branch.id).where(Branch.code == code))
    if found is None:
        raise NotFound(f"{code}: there is no such branch")
    return found
