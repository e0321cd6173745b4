"""QU8: a migration runs while code that does not know it goes on working."""

import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, inspect, make_url, text

from library.db import Sessions, make_engine
from library.migrate import differences, pending
from library.settings import Settings
from tests import databases
from tests.factories import NOON
from tests.faults.rounds import ROOT, Rounds
from tests.faults.runs import Run
from tests.faults.test_delivering import (
    assert_all_accounted_for,
    copies,
    digests,
    lost,
)
from tests.notifier.mail_server import MailServer

pytestmark = pytest.mark.slow

COUNT = 120
UPGRADE = """
import sys
from library.db import make_engine
from library.migrate import upgrade
upgrade(make_engine(sys.argv[1]))
"""


def test_old_code_goes_on_while_a_release_adds_to_its_tables(
    run: Run, sessions: Sessions, settings: Settings
) -> None:
    """The most a release may do: columns that may be empty, tables and indexes."""
    digests(sessions, settings, COUNT)
    engine: Engine = sessions.kw["bind"]
    try:
        with MailServer(run.heard(unhurried)) as server:
            settings = replace(settings, smtp_url=server.url)
            rounds = Rounds(run, sessions, settings, couriers=2)
            running = [rounds.start(NOON, number) for number in range(2)]
            while len(server.taken) < COUNT // 6:
                time.sleep(0.01)
            add_to_the_tables(engine)
            assert len(server.taken) < COUNT, "it came too late to tell anything"
            ended = [one.wait(120) for one in running]

        assert ended == [0, 0]
        assert copies(server) == 0
        assert lost(sessions, server) == []
        assert_all_accounted_for(sessions)
    finally:
        take_from_the_tables(engine)


def unhurried(verb: str, recipient: str) -> str | None:
    """Take everything, but so slowly that a release can come in the middle."""
    if verb == "DATA":
        time.sleep(0.02)
    return None


def add_to_the_tables(engine: Engine) -> None:
    """Do what the migrations of a next release would."""
    with engine.begin() as connection:
        for statement in (
            "ALTER TABLE delivery ADD COLUMN next_release VARCHAR(20)",
            "ALTER TABLE alert ADD COLUMN next_release INTEGER",
            "CREATE TABLE next_release (id INTEGER PRIMARY KEY)",
            "CREATE INDEX ix_next_release ON delivery (next_release)",
        ):
            connection.execute(text(statement))


def take_from_the_tables(engine: Engine) -> None:
    """Leave the database to the next test as it was."""
    with engine.begin() as connection:
        connection.execute(text("DROP INDEX IF EXISTS ix_next_release"))
        connection.execute(text("DROP TABLE IF EXISTS next_release"))
        for table in ("delivery", "alert"):
            names = {
                column["name"] for column in inspect(connection).get_columns(table)
            }
            if "next_release" in names:
                connection.execute(
                    text(f"ALTER TABLE {table} DROP COLUMN next_release")
                )


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_processes_that_start_at_once_make_the_tables_once(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    url = an_empty_database(kind, request, tmp_path)

    processes = [
        subprocess.Popen([sys.executable, "-c", UPGRADE, url], cwd=ROOT)  # noqa: S603 -- our own
        for _ in range(3)
    ]

    assert [one.wait(120) for one in processes] == [0, 0, 0]
    engine = make_engine(url)
    assert not pending(engine)
    assert differences(engine) == []
    engine.dispose()


def an_empty_database(kind: str, request: pytest.FixtureRequest, home: Path) -> str:
    """Return the address of a database without tables."""
    if kind == "sqlite":
        return f"sqlite:///{home / 'empty.db'}"
    whole = make_url(request.getfixturevalue("postgresql"))
    name = f"{whole.database}_empty"
    server = create_engine(databases.POSTGRESQL, isolation_level="AUTOCOMMIT")

    def drop() -> None:
        with server.connect() as connection:
            connection.execute(text(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))

    drop()
    with server.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    request.addfinalizer(server.dispose)
    request.addfinalizer(drop)
    return whole.set(database=name).render_as_string(hide_password=False)
