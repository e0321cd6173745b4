"""`hamkhan patron` and `hamkhan signin-link`."""

from pathlib import Path

import click

from api.auth.magic_link import make_link
from api.commands.options import json_option, pass_runtime
from api.commands.output import say, say_json
from library.clock import utc_now
from library.db import reading
from library.errors import Conflict
from library.runtime import Runtime
from profiles import patrons, privacy

NAMED = "id, library number, SYSTEM:NUMBER or e-mail address"
"""By what a command knows a patron."""

id_argument = click.argument("patron", metavar="ID")


@click.group()
def patron() -> None:
    """Show, take out or erase what is held of a patron.

    ID is the number here, the number in the library system, SYSTEM:NUMBER, or an
    e-mail address that is nobody else's.
    """


@patron.command()
@id_argument
@json_option
@pass_runtime
def show(runtime: Runtime, patron: str, *, as_json: bool) -> None:
    """Show how a patron stands: consents, addresses, pauses, interests, counts."""
    patron_id = patron_id_of(runtime, patron)
    with reading(runtime.sessions) as session:
        shown = patrons.show(session, patron_id)
    say(
        shown,
        lambda: "\n".join(f"{name}: {_said(value)}" for name, value in shown.items()),
        as_json=as_json,
    )


def _said(value: object) -> str:
    if isinstance(value, list):
        return "; ".join(map(str, value)) or "none"
    return "none" if value is None else str(value)


@patron.command()
@id_argument
@click.option(
    "--zip",
    "zip_path",
    type=click.Path(path_type=Path),
    help="Write a .zip of CSV files here; else JSON is printed.",
)
@pass_runtime
def export(runtime: Runtime, patron: str, *, zip_path: Path | None) -> None:
    """Take out everything that is held of a patron."""
    patron_id = patron_id_of(runtime, patron)
    with reading(runtime.sessions) as session:
        if zip_path is None:
            say_json(privacy.export(session, patron_id))
        else:
            zip_path.write_bytes(privacy.export_zip(session, patron_id))


@patron.command()
@id_argument
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@pass_runtime
def erase(runtime: Runtime, patron: str, *, yes: bool, as_json: bool) -> None:
    """Erase a patron and everything that hangs on them. It cannot be undone."""
    patron_id = patron_id_of(runtime, patron)
    if not yes and not click.confirm(f"Erase patron {patron} for good?", err=True):
        raise Conflict("nothing was erased")
    receipt = privacy.erase(runtime.sessions, runtime.settings, patron_id, at=utc_now())
    say(receipt, f"Patron {patron} is erased.", as_json=as_json)


@click.command("signin-link")
@id_argument
@json_option
@pass_runtime
def signin_link(runtime: Runtime, patron: str, *, as_json: bool) -> None:
    """Make a link by which a patron can sign in, once, within 15 minutes."""
    patron_id = patron_id_of(runtime, patron)
    with runtime.sessions.begin() as session:
        made = make_link(session, runtime.settings, patron_id, at=utc_now())
    say(made, made.link, as_json=as_json)


def patron_id_of(runtime: Runtime, ref: str) -> int:
    """Find a patron by id, library number, system and number, or e-mail address.

    Raises:
        NotFound: There is none.
        Conflict: There is more than one.
    """
    with reading(runtime.sessions) as session:
        return patrons.find(session, ref).id
