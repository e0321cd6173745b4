"""Harvests that are killed and go on: the rows are those of one clean harvest."""

import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from harvesters.harvesting import harvest
from harvesters.sources import add_source
from library.db import Sessions, make_engine, make_sessions, reading
from library.settings import Settings
from library.vocabulary import SourceKind
from tests import databases
from tests.factories import NOON
from tests.harvesters.contents import Rows, catalogue
from tests.loopback import Answer, Asked, Site

pytestmark = pytest.mark.slow

PAGES, ON_A_PAGE = 50, 5
PAGE = """<?xml version="1.0"?><OAI-PMH xmlns="http://www.openarchives.org/OAI/2.0/">
<responseDate>2026-03-01T12:00:00Z</responseDate><ListRecords>{}{}</ListRecords>
</OAI-PMH>"""


def record(number: int) -> str:
    header = f"<identifier>oai:x:{number}</identifier>"
    if number % 7 == 3:  # withdrawn since it was seen on an earlier page
        earlier = f"<identifier>oai:x:{number - 3}</identifier>"
        return f'<record><header status="deleted">{earlier}</header></record>'
    return (
        f"<record><header>{header}</header><metadata><dc>"
        f"<title>Report {number} of the survey</title>"
        f"<creator>Author {number % 40}</creator></dc></metadata></record>"
    )


def page(number: int) -> Answer:
    first = number * ON_A_PAGE
    records = "".join(map(record, range(first, first + ON_A_PAGE)))
    more = number + 1 < PAGES
    token = f"<resumptionToken>{number + 1}</resumptionToken>" if more else ""
    return Answer(PAGE.format(records, token).encode())


def page_asked(asked: Asked) -> int:
    query = dict(part.split("=", 1) for part in asked.query.split("&"))
    return int(query.get("resumptionToken", "0"))


def add(sessions: Sessions, url: str) -> None:
    with sessions.begin() as session:
        add_source(session, "oai", SourceKind.OAI_PMH, url, silent=False, at=NOON)


@pytest.fixture
def clean(sqlite_template: Path, tmp_path: Path, site: Site) -> Rows:
    """What one harvest that nobody disturbs leaves."""
    (tmp_path / "clean").mkdir()
    url = databases.sqlite_copy(sqlite_template, tmp_path / "clean")
    engine = make_engine(url)
    sessions = make_sessions(engine)
    add(sessions, site.serve("/clean", lambda asked: page(page_asked(asked))))
    report = harvest(sessions, Settings(), "oai", at=NOON, fetcher=site.fetcher())
    assert report.error is None
    assert report.added > 150
    with reading(sessions) as session:
        rows = catalogue(session)
    engine.dispose()
    return rows


def killed_at(points: set[int], kill: Callable[[], None]) -> Callable[[Asked], Answer]:
    """Answer pages; at each of these the asking process is killed, once."""
    left = set(points)

    def answer(asked: Asked) -> Answer:
        number = page_asked(asked)
        if number in left:
            left.discard(number)
            kill()
        return page(number)

    return answer


@pytest.mark.parametrize("database", ["sqlite", "postgresql"], indirect=True)
def test_a_killed_harvest_goes_on_and_ends_equal(
    sessions: Sessions, database: str, site: Site, clean: Rows
) -> None:
    points = {1, 2, 8, 11, 17, 22, 26, 33, 44, PAGES - 1}
    running: list[subprocess.Popen[str]] = []
    started = threading.Event()

    def kill() -> None:
        started.wait(10)
        running[-1].kill()
        running[-1].wait()

    add(sessions, site.serve("/oai", killed_at(points, kill)))
    output, errors = "", ""
    for _ in range(len(points) + 1):
        started.clear()
        running.append(start(database, site.place))
        started.set()
        output, errors = running[-1].communicate(timeout=60)
        if running[-1].returncode == 0:
            break

    assert running[-1].returncode == 0, errors
    assert output == "done\n"
    assert len(running) == len(points) + 1
    with reading(sessions) as session:
        assert catalogue(session) == clean


def start(database: str, place: str) -> subprocess.Popen[str]:
    return subprocess.Popen(  # noqa: S603 -- our own module
        [sys.executable, "-m", "tests.harvesters.killed", database, place, "oai"],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_repository_that_fails_now_and_then_is_read_whole(
    sessions: Sessions, site: Site, clean: Rows
) -> None:
    count = iter(range(1, 10_000))

    def unsteady(asked: Asked) -> Answer:
        if next(count) % 7 == 0:
            return Answer(status=503)
        return page(page_asked(asked))

    add(sessions, site.serve("/oai", unsteady))
    for _ in range(PAGES):
        report = harvest(sessions, Settings(), "oai", at=NOON, fetcher=site.fetcher())
        if report.error is None:
            break

    with reading(sessions) as session:
        assert catalogue(session) == clean


@pytest.mark.parametrize("dead", [1, PAGES - 1])
def test_a_token_that_dies_leaves_equal_sets(
    sessions: Sessions, site: Site, clean: Rows, dead: int
) -> None:
    gone = Answer(b"<OAI-PMH><error code='badResumptionToken'>no</error></OAI-PMH>")
    left = [dead]

    def forgetful(asked: Asked) -> Answer:
        if page_asked(asked) in left:
            left.clear()
            return gone
        return page(page_asked(asked))

    add(sessions, site.serve("/oai", forgetful))
    report = harvest(sessions, Settings(), "oai", at=NOON, fetcher=site.fetcher())

    assert report.error is None
    with reading(sessions) as session:
        assert catalogue(session) == clean
