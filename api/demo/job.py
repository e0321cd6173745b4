"""The whole job on a demo library: import, harvest, train, match, alert, deliver."""

import csv
import shutil
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Final, TypeVar

from sqlalchemy import func, select

from api.commands.setup import prepare
from api.demo.libraries import DemoLibrary, Reader
from api.demo.site import Announced
from api.working.naming import worker_name
from harvesters.harvesting import harvest
from harvesters.imports.lending import import_loans
from harvesters.imports.people import import_patrons
from harvesters.imports.works import import_works
from harvesters.sources import add_source
from library.clock import utc_now
from library.db import reading
from library.errors import Conflict, ServiceError
from library.runtime import Runtime, start
from library.settings import Settings
from library.tables import Loan, Patron, Work
from library.vocabulary import ConsentPurpose, InterestKind, InterestOrigin, SourceKind
from notifier.alerting import make_alerts
from notifier.delivery import deliver_due
from profiles import branches
from profiles.interests import add_interest
from profiles.patrons import find
from recommender.matching import match
from recommender.training import train

SYSTEM: Final = "library"
BRANCH: Final = "main"
POSTAL_ADDRESS: Final = "12 Library Street, Shiraz"
MARK: Final = "this-is-the-demo"
KEY_FILE: Final = "secret"
"""In a home from the moment its settings are read."""
SOURCES: Final = (
    ("new-feed", SourceKind.FEED, "/feed.xml"),
    ("new-oai", SourceKind.OAI_PMH, "/oai"),
    ("new-marc", SourceKind.MARC, "/new.mrc"),
)
AGREED: Final[dict[str, Collection[ConsentPurpose]]] = {
    "all": (ConsentPurpose.HISTORY, ConsentPurpose.MODEL, ConsentPurpose.ALERTS),
    "alerts": (ConsentPurpose.ALERTS,),
    "nothing": (),
}

T = TypeVar("T")
Tell = Callable[[str], None]


@dataclass
class DemoReport:
    """What the demo did; seconds by stage."""

    home: Path
    mail: Path
    harvested: int = 0
    works: int = 0
    patrons: int = 0
    loans: int = 0
    matched: int = 0
    alerted: int = 0
    delivered: int = 0
    seconds: dict[str, float] = field(default_factory=dict)


def demo_settings(settings: Settings, *, port: int) -> Settings:
    """Return the settings of a demo installation, apart from the reader's own.

    It lives in a folder `demo` of the home; a home that is new and named by hand, or
    that holds a demo, is used itself. Mail is written as files, whatever is set.
    """
    home = settings.home
    new = home != Settings().home and not _holds(home) - {KEY_FILE}
    if not new and not (home / MARK).exists():
        home = home / "demo"
    return replace(
        Settings(),
        home=home,
        base_url=f"http://127.0.0.1:{port}",
        zone="Asia/Tehran",
        contact="library@demo.test",
    )


def make_room(settings: Settings) -> Runtime:
    """Make an empty demo installation, in place of the one before.

    Raises:
        Conflict: The folder holds something that is no demo.
    """
    home = settings.home
    if (home / MARK).exists():
        shutil.rmtree(home)
    elif _holds(home) - {KEY_FILE}:
        raise Conflict(f"{home} holds something that is not a demo; move it away")
    home.mkdir(parents=True, exist_ok=True)
    (home / MARK).touch()
    runtime = start(settings)
    prepare(runtime, code=BRANCH)
    with runtime.sessions.begin() as session:
        branches.change(session, BRANCH, at=utc_now(), postal_address=POSTAL_ADDRESS)
    return runtime


def do_the_job(
    runtime: Runtime,
    demo: DemoLibrary,
    *,
    site: str,
    at: datetime,
    tell: Tell,
) -> DemoReport:
    """Take a library in, harvest what is new from `site`, and tell its patrons."""
    sessions, settings = runtime.sessions, runtime.settings
    report = DemoReport(settings.home, settings.mail)
    clock = _Clock(report.seconds, tell)
    with clock.stage("import"):
        _import(runtime, demo, at=at)
    with clock.stage("harvest"):
        report.harvested = _harvest(runtime, site, at=at)
    with clock.stage("train"):
        train(sessions, settings, at=at)
    with clock.stage("match"):
        report.matched = match(sessions, settings, at=at).matched
    with clock.stage("alert"):
        report.alerted = make_alerts(sessions, settings, at=at).alerts
    with clock.stage("deliver"):
        sent = deliver_due(sessions, settings, at=at, worker=worker_name())
        report.delivered = sent.sent
    with reading(sessions) as session:
        for name, table in (("works", Work), ("patrons", Patron), ("loans", Loan)):
            count = session.scalar(select(func.count()).select_from(table))
            setattr(report, name, count)
    return report


def announced(demo: DemoLibrary) -> Announced:
    """Share the new works out between the three ways of announcing."""
    return Announced(feed=demo.new[0::3], oai_pmh=demo.new[1::3], marc=demo.new[2::3])


def patron_id_of(runtime: Runtime, ref: str) -> int:
    """Return the id of a demo patron."""
    with reading(runtime.sessions) as session:
        return find(session, f"{SYSTEM}:{ref}").id


def first_to_show(demo: DemoLibrary, language: str) -> Reader:
    """Return the reader of a language with the most loans, of those who agreed."""
    counts: dict[str, int] = {}
    for loan in demo.loans:
        counts[loan.patron] = counts.get(loan.patron, 0) + 1
    agreed = [r for r in demo.readers if r.language == language and r.agrees == "all"]
    return max(agreed, key=lambda reader: (counts.get(reader.ref, 0), reader.ref))


@dataclass
class _Clock:
    seconds: dict[str, float]
    tell: Tell

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        self.tell(name)
        begun = time.perf_counter()
        yield
        self.seconds[name] = round(time.perf_counter() - begun, 2)


def _import(runtime: Runtime, demo: DemoLibrary, *, at: datetime) -> None:
    folder = runtime.settings.home / "files"
    sessions = runtime.sessions
    works = _write(
        folder / "works.csv",
        list(demo.works[0]),
        (row.values() for row in demo.works),
    )
    import_works(sessions, works, system=SYSTEM, branch_code=BRANCH, at=at)
    for agreement, purposes in AGREED.items():
        patrons = _write(
            folder / f"patrons-{agreement}.csv",
            ("patron_id", "name", "email", "language"),
            (_patron_row(r) for r in demo.readers if r.agrees == agreement),
        )
        import_patrons(
            sessions,
            patrons,
            system=SYSTEM,
            branch_code=BRANCH,
            at=at,
            consents=purposes,
            covers_past=True,
        )
    loans = _write(
        folder / "loans.csv",
        ("patron_id", "work_id", "borrowed_on", "returned_on"),
        (
            (loan.patron, loan.work, loan.borrowed_on, loan.returned_on or "")
            for loan in demo.loans
        ),
    )
    import_loans(sessions, loans, system=SYSTEM, branch_code=BRANCH, at=at)
    _state_interests(runtime, demo.readers, at=at)


def _patron_row(reader: Reader) -> tuple[str, str, str, str]:
    return (
        reader.ref,
        reader.name,
        f"{reader.ref.lower()}@patrons.demo.test",
        reader.language,
    )


def _state_interests(
    runtime: Runtime, readers: Sequence[Reader], *, at: datetime
) -> None:
    with runtime.sessions.begin() as session:
        for reader in readers:
            if not reader.interests:
                continue
            patron_id = find(session, f"{SYSTEM}:{reader.ref}").id
            for label in reader.interests:
                add_interest(
                    session,
                    patron_id,
                    kind=InterestKind.SUBJECT,
                    label=label,
                    origin=InterestOrigin.STATED,
                    at=at,
                )


def _harvest(runtime: Runtime, site: str, *, at: datetime) -> int:
    with runtime.sessions.begin() as session:
        for code, kind, path in SOURCES:
            add_source(
                session,
                code,
                kind,
                site + path,
                branch_code=BRANCH,
                silent=False,
                at=at,
            )
    harvested = 0
    for code, _, _ in SOURCES:
        report = harvest(runtime.sessions, runtime.settings, code, at=at)
        if report.error:
            raise ServiceError(f"{code}: {report.error}")
        harvested += report.added
    return harvested


def _holds(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} if folder.exists() else set()


def _write(path: Path, head: Sequence[str], rows: Iterable[Iterable[object]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(head)
        writer.writerows(list(row) for row in rows)
    return path
