"""`hamkhan demo`."""

import secrets
import socket
import sys
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path
from urllib.parse import urlsplit

import click
from sqlalchemy import select

from api.auth.magic_link import make_link
from api.commands.options import json_option, pass_runtime
from api.commands.output import say_json, table
from api.commands.setup import prepare
from api.demo.job import (
    DemoReport,
    announced,
    demo_settings,
    do_the_job,
    first_to_show,
    make_room,
    patron_id_of,
)
from api.demo.kept import Asked, find_kept, keep
from api.demo.libraries import DemoLibrary, real_library, sample_library
from api.demo.site import served
from api.working import serving
from library.clock import utc_now
from library.runtime import Runtime, start
from library.staff import create_staff, hash_password
from library.tables import Staff
from library.vocabulary import StaffRole

HOST = "127.0.0.1"
LIBRARIAN = "librarian@demo.test"
_AGAIN = "\n(as it was made before; --fresh makes it anew)"


@dataclass(frozen=True)
class Doors:
    """The three ways in that are shown."""

    persian: str
    english: str
    librarian: str
    password: str


@click.command()
@click.option(
    "--data",
    "folder",
    type=click.Path(path_type=Path),
    help="Take real loans: a folder with works.csv, patrons.csv and loans.csv. "
    "Works first borrowed from 1938-01-01 on come as new ones; days are moved so "
    "that the cut is today.",
)
@click.option("--no-serve", is_flag=True, help="End when the mails are written.")
@click.option(
    "--port", type=int, help="Port of the pages. Default: 8000, or a free one."
)
@click.option("--fresh", is_flag=True, help="Make it anew, even if one stands.")
@click.option("--seed", default=0, show_default=True, help="Draws another sample.")
@json_option
@pass_runtime
def demo(  # noqa: PLR0913 -- one argument for each option
    runtime: Runtime,
    *,
    folder: Path | None,
    no_serve: bool,
    port: int | None,
    fresh: bool,
    seed: int,
    as_json: bool,
) -> None:
    """Do the whole job on a sample library, then serve its pages.

    Works are imported, new ones harvested over HTTP from a small site on this machine,
    a model is trained, patrons are matched, and digests are written as mail files.
    It lives in a folder of its own; your database is not touched. A demo of the same
    day is shown again as it stands.
    """
    chosen = port or _free_port(urlsplit(runtime.settings.base_url).port or 8000)
    settings = demo_settings(runtime.settings, port=chosen)
    at = utc_now()
    library = _library(folder, today=at.date(), seed=seed)
    asked = Asked(str(folder.absolute()) if folder else "", seed, settings.base_url)
    kept = None
    if not (fresh or no_serve):
        kept = find_kept(settings.home, asked, at=at)
    with served(announced(library), port=kept.site_port if kept else 0) as site:
        settings = replace(settings, fetch_allow=(urlsplit(site).netloc,))
        if kept:
            room, report = start(settings), kept.report
            prepare(room)
        else:
            room = make_room(settings)
            report = do_the_job(room, library, site=site, at=at, tell=_tell)
            keep(report, asked, site_port=urlsplit(site).port or 0, at=at)
        if as_json:
            say_json(report)
        else:
            click.echo(_words(report, again=kept is not None))
        if not no_serve:
            doors = _open_doors(room, library, at=utc_now())
            click.echo(_invitation(doors), err=as_json)
            serving.run(room, host=HOST, port=chosen)


def _library(folder: Path | None, *, today: date, seed: int) -> DemoLibrary:
    if folder is None:
        return sample_library(today=today, seed=seed)
    return real_library(folder, today=today)


def _open_doors(runtime: Runtime, library: DemoLibrary, *, at: datetime) -> Doors:
    password = secrets.token_urlsafe(12)
    refs = {tongue: first_to_show(library, tongue).ref for tongue in ("fa", "en")}
    ids = {tongue: patron_id_of(runtime, ref) for tongue, ref in refs.items()}
    with runtime.sessions.begin() as session:
        links = {
            tongue: make_link(session, runtime.settings, patron_id, at=at).link
            for tongue, patron_id in ids.items()
        }
        librarian = session.scalar(select(Staff).where(Staff.email == LIBRARIAN))
        if librarian is None:
            librarian = create_staff(
                session, LIBRARIAN, "Demo Librarian", role=StaffRole.SYSTEMS, at=at
            )
        librarian.password_hash = hash_password(password)
    console = f"{runtime.settings.base_url}/console"
    return Doors(links["fa"], links["en"], console, password)


def _words(report: DemoReport, *, again: bool) -> str:
    stages = [(name, f"{seconds:.2f} s") for name, seconds in report.seconds.items()]
    names = (
        "harvested", "works", "patrons", "loans", "matched", "alerted", "delivered",
    )  # fmt: skip
    counts = [(name, getattr(report, name)) for name in names]
    return (
        f"{table(('what', 'how many'), counts)}\n\n{table(('stage', 'took'), stages)}"
        f"{_AGAIN if again else ''}\n\nThe mails are in {report.mail}."
        f"\nTo go on by hand: export HAMKHAN_HOME={report.home}"
    )


def _invitation(doors: Doors) -> str:
    return (
        "\nLook at it (the links are good for 15 minutes; Ctrl-C ends):\n"
        f"  a patron who reads Persian   {doors.persian}\n"
        f"  a patron who reads English   {doors.english}\n"
        f"  a librarian                  {doors.librarian}\n"
        f"                               {LIBRARIAN}, password {doors.password}\n"
    )


def _tell(stage: str) -> None:
    if sys.stderr.isatty():
        click.echo(f"{stage} …", err=True)


def _free_port(wanted: int) -> int:
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    return wanted
