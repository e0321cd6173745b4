"""QU6: each kind of work may be done twice, also at once, and leaves the same rows."""

from collections import Counter
from pathlib import Path
from threading import Barrier, Thread
from typing import Any

import pytest
from sqlalchemy import Column, Table, select

from api.demo.announcements import NewWork, rss
from api.working.scheduler import TIMETABLE
from api.working.tasks import _MODULES, _work
from harvesters.sources import add_source
from library.clock import utc_now
from library.db import Sessions
from library.jobs import no_progress
from library.runtime import Runtime
from library.settings import Settings
from library.tables import Base
from library.vocabulary import ConsentPurpose, DeliveryState, SourceKind
from notifier.delivery import deliver_due
from tests.factories import make_interest, make_loan, make_patron, make_work
from tests.notifier.cast import deliveries

pytestmark = pytest.mark.slow

NEW = (
    NewWork("n0", "Comets", ("Vera Rubens",), subjects=("Astronomy",)),
    NewWork("n1", "Rings of Saturn", ("Carla Sagan",), subjects=("Astronomy",)),
    NewWork("n2", "Moons", ("Maria Cunitz",), subjects=("Astronomy",)),
)
ORDER = (
    *("harvest", "infer", "train", "match", "shelves", "alert", "deliver"),
    *("bounces", "canary", "erasures", "warn", "tidy"),
)
TRACES = frozenset({"harvest", "model_version", "blend_weight", "evaluation"})
"""A run leaves its own trace there: two runs leave two."""
MARKS = frozenset({"id", "matched_at", "due_at", "attempts", "worker", "body"})
"""Columns that say when or how often, not what."""


@pytest.fixture
def runtime(settings: Settings, sessions: Sessions, tmp_path: Path) -> Runtime:
    """Two patrons who like one subject, and a feed of new works on it."""
    feed = tmp_path / "feed.xml"
    feed.write_bytes(rss(NEW, site="http://new.test"))
    at = utc_now()
    with sessions.begin() as session:
        read = [make_work(session, f"Old {n}", creator="Vera Rubens") for n in range(3)]
        for name in ("Ada", "Bo"):
            patron = make_patron(session, name, consents=tuple(ConsentPurpose), at=at)
            make_interest(session, patron, "Astronomy")
            for work in read:
                make_loan(session, patron, work, at=at)
        add_source(
            session,
            "new",
            SourceKind.FEED,
            str(feed),
            branch_code="main",
            silent=False,
            allow_files=True,
            at=at,
        )
    return Runtime(settings, sessions)


def test_every_kind_of_work_is_tried() -> None:
    assert {job.name for job in TIMETABLE} | {"deliver"} == set(ORDER)
    assert set(_MODULES) - {"import"} <= set(ORDER)


def test_done_twice_at_once_and_then_again_all_is_as_if_done_once(
    runtime: Runtime,
) -> None:
    for name in ORDER:
        at_once(runtime, name)
        before = rows(runtime.sessions)
        do(runtime, name)
        assert rows(runtime.sessions) == before, name

    kept = rows(runtime.sessions)
    assert sum(kept["acquisition"].values()) == len(NEW)
    assert sum(kept["alert"].values()) == 2 * len(NEW)
    sent = deliveries(runtime.sessions)
    assert [one.state for one in sent] == [DeliveryState.SENT] * 2
    assert [one.attempts for one in sent] == [1, 1]
    assert len(list(runtime.settings.mail.glob("*.eml"))) == 2


def at_once(runtime: Runtime, name: str) -> None:
    """Do one kind of work in two threads that begin together."""
    troubles: list[Exception] = []
    start = Barrier(2)

    def work() -> None:
        start.wait()
        try:
            do(runtime, name)
        except Exception as error:  # noqa: BLE001 -- told by the test
            troubles.append(error)

    threads = [Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert troubles == [], name


def do(runtime: Runtime, name: str) -> None:
    """Do one kind of work without a claim, as if the claim had failed."""
    at = utc_now()
    if name == "deliver":
        sessions, settings = runtime.sessions, runtime.settings
        deliver_due(sessions, settings, at=at, worker=f"w{id(at)}")
    else:
        _work(name)(runtime, {}, at=at, progress=no_progress)


def rows(sessions: Sessions) -> dict[str, Counter[tuple[object, ...]]]:
    """Return what every table says, apart from marks of when and how often."""
    with sessions() as session:
        return {
            table.name: Counter(
                tuple(map(repr, row))
                for row in session.execute(select(*_columns(table)))
            )
            for table in Base.metadata.sorted_tables
            if table.name not in TRACES and _columns(table)
        }


def _columns(table: Table) -> list[Column[Any]]:
    return [
        column
        for column in table.columns
        if column.name not in MARKS
        and not column.name.endswith("_at")
        and column.name != "model_version_id"
    ]
