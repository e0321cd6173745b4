"""Fixtures every test may ask for; nothing is imported from here."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from library.db import Sessions, make_engine, make_sessions
from library.settings import Settings
from tests import brokers, databases

# How long an example takes says more of the machine than of us. The examples are the
# same in each run: what a new one finds, who looks for it shall find, by
# `make test T=--hypothesis-profile=search`, and not who changed something else.
hypothesis_settings.register_profile(
    "search", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
hypothesis_settings.register_profile(
    "steady", hypothesis_settings.get_profile("search"), derandomize=True
)
hypothesis_settings.load_profile("steady")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with the real loans and files; tests that need it skip without it."""
    folder = Path(__file__).parents[2] / "shared"
    if not (folder / "data").is_dir():
        pytest.skip("the shared data sets are not beside this checkout")
    return folder


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return databases.sqlite_template(tmp_path_factory.mktemp("template"))


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    if not databases.postgresql_answers():
        if databases.SERVICES_REQUIRED:
            pytest.fail("HAMKHAN_REQUIRE_SERVICES=1, and no PostgreSQL server answers")
        pytest.skip("no PostgreSQL server answers")
    with databases.postgresql_database() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty, migrated database; each test runs on both kinds."""
    if request.param == "sqlite":
        template: Path = request.getfixturevalue("sqlite_template")
        return databases.sqlite_copy(template, tmp_path)
    url: str = request.getfixturevalue("postgresql")
    return url


@pytest.fixture
def sessions(database: str) -> Iterator[Sessions]:
    engine = make_engine(database)
    if engine.dialect.name == "postgresql":
        databases.empty(engine)
    yield make_sessions(engine)
    engine.dispose()


@pytest.fixture
def settings(tmp_path: Path, database: str) -> Settings:
    """Settings of an installation of this test's own."""
    return replace(
        Settings(),
        home=tmp_path,
        database_url=database,
        secret="a secret for tests only",
    )


@pytest.fixture(scope="session")
def redis_broker() -> Iterator[str]:
    if not brokers.redis_answers():
        _do_without("Redis")
    with brokers.redis_database() as url:
        yield url


@pytest.fixture(scope="session")
def rabbitmq_broker() -> Iterator[str]:
    if not brokers.rabbitmq_answers():
        _do_without("RabbitMQ")
    with brokers.rabbitmq_vhost() as url:
        yield url


def _do_without(what: str) -> None:
    if brokers.SERVICES_REQUIRED:
        pytest.fail(f"HAMKHAN_REQUIRE_SERVICES=1, and no {what} server answers")
    pytest.skip(f"no {what} server answers")
