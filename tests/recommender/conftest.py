"""A trained library, made once and copied for each test."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from threadpoolctl import threadpool_limits

from library.db import make_engine, make_sessions
from library.settings import Settings
from recommender.training import train
from tests import databases
from tests.factories import NOON
from tests.recommender.library_of_two_tastes import Library, make_two_tastes


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Threads that wait for each other cost more than they give on small matrices."""
    with threadpool_limits(1):
        yield


@pytest.fixture(scope="session")
def trained_template(
    sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    home = tmp_path_factory.mktemp("trained")
    url = databases.sqlite_copy(sqlite_template, home)
    engine = make_engine(url)
    sessions = make_sessions(engine)
    with sessions.begin() as session:
        make_two_tastes(session)
    train(sessions, Settings(home=home, database_url=url), at=NOON)
    engine.dispose()
    with closing(sqlite3.connect(home / "hamkhan.db")) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return home


@pytest.fixture
def library(trained_template: Path, tmp_path: Path) -> Iterator[Library]:
    """A library of two tastes with a model in use; on SQLite."""
    home = tmp_path / "home"
    shutil.copytree(trained_template, home)
    settings = replace(
        Settings(),
        home=home,
        database_url=f"sqlite:///{home / 'hamkhan.db'}",
        secret="a secret for tests only",
    )
    engine = make_engine(settings.database)
    yield Library(make_sessions(engine), settings)
    engine.dispose()
