"""`hamkhan doctor`."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from shutil import disk_usage
from typing import Final
from urllib.parse import urlsplit

import click
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError

from api.commands.options import json_option, pass_runtime
from api.commands.output import say, table
from api.working import listening
from api.working.bell import HEARTBEAT, Call, bell
from api.working.naming import worker_name
from api.working.scheduler import DEAF_AFTER, heard_at
from api.working.worker import IN_PROCESS, add_tasks, broker_of, make_celery, own_queue
from library.clock import utc_now
from library.db import reading
from library.errors import DeliveryFailed, ServiceError
from library.migrate import pending
from library.runtime import Runtime, told_amiss
from library.settings import Settings
from library.tables import Delivery, Loan, ModelVersion
from library.vocabulary import ModelState
from notifier import canary
from notifier.carriers import mail_channel
from notifier.fence import Fence
from notifier.outbox import OPEN
from notifier.resting import holds
from profiles.untold import waiting as untold_erasures

PATIENCE: Final = 10.0
"""Seconds in which a ring must be answered, and a mail server."""
ROOM: Final = 500_000_000
"""Bytes below which a disk counts as full: models and copies need some, too."""
STUCK_AFTER: Final = timedelta(hours=1)
_HERE: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_SMTP_URL: Final = "HAMKHAN_SMTP_URL"
UNTOLD_AFTER: Final = timedelta(days=1)


@dataclass(frozen=True)
class Finding:
    """How one part is, and what to do when it is not well."""

    part: str
    ok: bool
    found: str
    do: str = ""


@click.command()
@json_option
@pass_runtime
def doctor(runtime: Runtime, *, as_json: bool) -> None:
    """Look whether all is well: each part is ok, or it is said what to do."""
    findings = list(examine(runtime))
    rows = [(f.part, "ok" if f.ok else "NOT OK", f.found) for f in findings]
    todo = [f"{f.part}: {f.do}" for f in findings if f.do]
    words = "\n".join([table(("part", "", "found"), rows), *todo])
    say(findings, words, as_json=as_json)
    if not all(finding.ok for finding in findings):
        raise click.exceptions.Exit(1)


def examine(runtime: Runtime) -> Iterator[Finding]:
    """Look at each part; without a database the rest cannot be looked at."""
    yield examine_settings(told_amiss())
    yield examine_disk(disk_usage(runtime.settings.home).free)
    database = examine_database(runtime)
    yield database
    if not database.ok:
        return
    migrations = examine_migrations(runtime)
    yield migrations
    if not migrations.ok:
        return
    for look in (
        *(examine_queue, examine_mail, examine_channels, examine_fence),
        *(examine_model, examine_deliveries),
    ):
        yield _looked(look, runtime)


def examine_settings(amiss: Mapping[str, str]) -> Finding:
    """Is a variable read by nobody, as its name has a slip?"""
    if amiss:
        return Finding(
            "settings",
            ok=False,
            found="; ".join(f"{name} is no setting" for name in amiss),
            do=f"did you mean {', '.join(amiss.values())}? See docs/settings.md",
        )
    return Finding("settings", ok=True, found="each variable is known")


def examine_disk(free: int) -> Finding:
    """Is there room, of which `free` bytes are left, to store what is done?"""
    found = f"{free / 1e9:.1f} GB free where HAMKHAN_HOME is"
    if free < ROOM:
        do = "make room: without it nothing is stored, and so nothing is sent"
        return Finding("disk", ok=False, found=found, do=do)
    return Finding("disk", ok=True, found=found)


def examine_database(runtime: Runtime) -> Finding:
    """Does the database answer?"""
    kind = runtime.sessions.kw["bind"].dialect.name
    try:
        with reading(runtime.sessions) as session:
            session.execute(text("SELECT 1"))
    except DBAPIError as error:
        cause = str(error.orig).strip().splitlines()[0]
        return Finding(
            "database",
            ok=False,
            found=f"{kind}: {cause}",
            do="start it, or mend HAMKHAN_DATABASE_URL",
        )
    return Finding("database", ok=True, found=f"{kind} answers")


def examine_migrations(runtime: Runtime) -> Finding:
    """Does the database have all migrations?"""
    if pending(runtime.sessions.kw["bind"]):
        return Finding(
            "migrations",
            ok=False,
            found="the tables are not those of this version",
            do="run `hamkhan init` (a new database) or `hamkhan db upgrade`",
        )
    return Finding("migrations", ok=True, found="up to date")


def examine_queue(runtime: Runtime) -> Finding:
    """Is a ring answered? One real task goes through the broker."""
    broker = broker_of(runtime.settings, apart=True)
    scheme = urlsplit(broker).scheme
    if not runtime.settings.broker_url and not _heard_lately(runtime):
        # The queue inside `hamkhan run` cannot be reached from here: try another.
        scheme = urlsplit(IN_PROCESS).scheme
    answered = _ring_in_process(runtime, in_memory=scheme == "memory")
    if not answered:
        return Finding(
            "queue",
            ok=False,
            found=f"{scheme}: a ring was not answered in {PATIENCE:.0f} s",
            do="start the broker, or mend HAMKHAN_BROKER_URL",
        )
    heard = _heard_lately(runtime)
    return Finding(
        "queue",
        ok=True,
        found=f"{scheme}: a ring was answered; "
        + ("a worker is running" if heard else "no worker is running now"),
        do=""
        if heard
        else "start `hamkhan run` (or `hamkhan worker`) when you want it",
    )


def examine_mail(runtime: Runtime) -> Finding:
    """Would mail leave as it is sent: server, name and password, key, or a folder?"""
    settings = runtime.settings
    if not settings.smtp_url:
        folder = settings.mail
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ".doctor").touch()
        (folder / ".doctor").unlink()
        return Finding("mail", ok=True, found=f"files in {folder}")
    channel = mail_channel(settings, patience=PATIENCE)
    try:
        channel.open()
    except DeliveryFailed as failure:
        do = f"mend {_SMTP_URL}" if failure.ours else f"start it, or mend {_SMTP_URL}"
        return Finding("mail", ok=False, found=str(failure), do=do)
    finally:
        channel.close()
    host = urlsplit(settings.smtp_url).hostname
    return _as_it_goes_out(settings, f"{host} takes mail from us")


def _as_it_goes_out(settings: Settings, found: str) -> Finding:
    """Say what stands in mail that no patron could use."""
    site, domain = urlsplit(settings.base_url), settings.contact.rpartition("@")[2]
    if site.hostname in _HERE:
        return Finding(
            "mail",
            ok=False,
            found=f"links in it lead to {settings.base_url}",
            do="set HAMKHAN_BASE_URL to the address that patrons reach",
        )
    if domain in _HERE:
        return Finding(
            "mail",
            ok=False,
            found=f"it comes from {settings.contact}",
            do="set HAMKHAN_CONTACT to an address of the library's",
        )
    https = site.scheme == "https"
    do = "" if https else "mail programs offer one-click leaving by https alone"
    return Finding("mail", ok=True, found=found, do=do)


def examine_fence(runtime: Runtime) -> Finding:
    """Does this machine's record of what went out fit the database?"""
    trouble = Fence(runtime.settings.home).looked_at(runtime.sessions)
    if trouble:
        return Finding(
            "fence",
            ok=False,
            found=trouble.removeprefix("fence: "),
            do="nothing is sent until `hamkhan fence --agree`; see docs/operating.md",
        )
    return Finding("fence", ok=True, found="fits the database")


def examine_channels(runtime: Runtime) -> Finding:
    """Does a channel rest, or the app not hear whom it has to forget?"""
    with reading(runtime.sessions) as session:
        resting = holds(session, at=utc_now())
        untold = list(untold_erasures(session))
    if untold and min(one.erased_at for one in untold) < utc_now() - UNTOLD_AFTER:
        return Finding(
            "channels",
            ok=False,
            found=f"webhook: the app was not told of {len(untold)} erasures",
            do="see that the app takes them; see docs/channels.md",
        )
    if resting:
        return Finding(
            "channels",
            ok=False,
            found="; ".join(f"{channel}: {why}" for channel, why in resting.items()),
            do="messages wait, and nothing is lost: it is tried again within 5 minutes",
        )
    return Finding("channels", ok=True, found="none rests")


def examine_model(runtime: Runtime) -> Finding:
    """Is there a model, and its file?"""
    with reading(runtime.sessions) as session:
        current = session.scalar(
            select(ModelVersion).where(ModelVersion.state == ModelState.CURRENT)
        )
        loans = session.scalar(select(Loan.id).limit(1))
    if current is None:
        found = "none yet; matches come from interests and content"
        return Finding(
            "model", ok=True, found=found, do="run `hamkhan train`" if loans else ""
        )
    if current.file and not (runtime.settings.models / current.file).exists():
        return Finding(
            "model",
            ok=False,
            found=f"version {current.id}: its file {current.file} is gone",
            do="run `hamkhan train`",
        )
    return Finding(
        "model", ok=True, found=f"version {current.id} of {current.created_at:%Y-%m-%d}"
    )


def examine_deliveries(runtime: Runtime) -> Finding:
    """Does a message wait longer than it should?"""
    late = (
        Delivery.state.in_(OPEN),
        Delivery.due_at < utc_now() - STUCK_AFTER,
    )
    with reading(runtime.sessions) as session:
        stuck = session.scalar(select(func.count()).select_from(Delivery).where(*late))
        still = canary.standstill(session, at=utc_now())
    if still:
        return Finding(
            "deliveries",
            ok=False,
            found=still.value,
            do="see that `hamkhan run` (or `worker`) runs, and what it logs",
        )
    if stuck:
        return Finding(
            "deliveries",
            ok=False,
            found=f"{stuck} are more than an hour late",
            do="run `hamkhan deliver`, and keep `hamkhan run` running",
        )
    return Finding("deliveries", ok=True, found="none is late")


def _looked(look: Callable[[Runtime], Finding], runtime: Runtime) -> Finding:
    try:
        return look(runtime)
    except (OSError, ServiceError) as error:
        part = look.__name__.removeprefix("examine_")
        return Finding(part, ok=False, found=str(error), do="see docs/operating.md")


def _heard_lately(runtime: Runtime) -> bool:
    heard = heard_at(runtime.sessions)
    return heard is not None and (utc_now() - heard).total_seconds() < DEAF_AFTER


def _ring_in_process(runtime: Runtime, *, in_memory: bool) -> bool:
    """Ring over the broker for a listener of our own; tell whether it answered."""
    name = worker_name()
    celery = make_celery(runtime.settings, apart=not in_memory, listens_to=())
    queue = own_queue(celery, name)
    add_tasks(celery, runtime, worker=name)
    consumer = listening.Consumer(celery, worker=name, threads=1)
    consumer.start()
    try:
        bell(celery)(Call(HEARTBEAT, None, queue))
        return listening.wait_until(
            lambda: heard_at(runtime.sessions, name) is not None, PATIENCE
        )
    finally:
        consumer.stop(within=5.0)
        with suppress(DBAPIError), runtime.sessions.begin() as session:
            listening.forget(session, name)
