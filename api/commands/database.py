"""`hamkhan db`."""

import click

from api.commands.options import json_option, pass_runtime
from api.commands.output import say
from library.migrate import new_revision, pending, upgrade
from library.runtime import Runtime


@click.group()
def db() -> None:
    """Bring the database up to date."""


@db.command("upgrade")
@json_option
@pass_runtime
def upgrade_(runtime: Runtime, *, as_json: bool) -> None:
    """Apply the migrations that the database lacks. Safe to run again."""
    engine = runtime.sessions.kw["bind"]
    lacked = pending(engine)
    upgrade(engine)
    words = "The database is now up to date." if lacked else "Nothing was to do."
    say({"changed": lacked}, words, as_json=as_json)


@db.command()
@click.argument("message")
@pass_runtime
def revision(runtime: Runtime, message: str) -> None:
    """Write a migration for what the tables in the code have and this database lacks.

    For developers: MESSAGE becomes its name.
    """
    new_revision(runtime.sessions.kw["bind"], message)
