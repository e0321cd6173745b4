"""`hamkhan init` and the secret for the library's own app."""

from dataclasses import dataclass
from pathlib import Path

import click
from sqlalchemy import select

from api.commands.options import json_option, pass_runtime
from api.commands.output import say
from library.db import Lock, hold
from library.migrate import upgrade
from library.runtime import Runtime
from library.tables import Branch
from library.webhooks import Use, secret_of


@dataclass(frozen=True)
class Installation:
    """What `init` made sure of."""

    home: Path
    database: str
    branch: str
    base_url: str


@click.command()
@click.option(
    "--branch", "code", default="main", help="Short code of the first branch."
)
@click.option("--branch-name", help="Its name, as patrons know it.")
@click.option("--branch-name-fa", help="Its name in Persian.")
@json_option
@pass_runtime
def init(
    runtime: Runtime,
    *,
    code: str,
    branch_name: str | None,
    branch_name_fa: str | None,
    as_json: bool,
) -> None:
    """Make the folders, the database and a first branch. Safe to run again."""
    made = prepare(runtime, code=code, name=branch_name, name_fa=branch_name_fa)
    words = (
        f"Ready in {made.home.absolute()}.\n"
        f"Next: `hamkhan import works FILE`, or `hamkhan source add`; "
        f"then `hamkhan run`, and open {made.base_url}."
    )
    say(made, words, as_json=as_json)


@click.command("app-secret")
@pass_runtime
def app_secret(runtime: Runtime) -> None:
    """Print the secret by which the library's own app knows that we call."""
    click.echo(secret_of(runtime.settings, Use.APP))


def prepare(
    runtime: Runtime,
    *,
    code: str = "main",
    name: str | None = None,
    name_fa: str | None = None,
) -> Installation:
    """Make what is missing: folders, tables, a first branch."""
    settings = runtime.settings
    for folder in (settings.home, settings.models, settings.mail):
        folder.mkdir(parents=True, exist_ok=True)
    upgrade(runtime.sessions.kw["bind"])
    with runtime.sessions.begin() as session:
        hold(session.connection(), Lock.MIGRATING)
        first = session.scalar(select(Branch).order_by(Branch.id).limit(1))
        if first is None:
            first = Branch(
                code=code,
                name=name or settings.library_name,
                name_fa=name_fa or settings.library_name_fa,
                zone=settings.zone,
            )
            session.add(first)
        branch = first.code
    kind = runtime.sessions.kw["bind"].dialect.name
    return Installation(settings.home, kind, branch, settings.base_url)
