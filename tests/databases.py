"""Real databases for the tests: SQLite files, and PostgreSQL where one answers."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine, create_engine, make_url, text
from sqlalchemy.exc import OperationalError

from library.db import make_engine
from library.migrate import upgrade
from library.tables import Base

POSTGRESQL = os.environ.get(  # noqa: TID251 -- tests are told by it where servers are
    "HAMKHAN_TEST_POSTGRESQL",
    "postgresql+psycopg://postgres@127.0.0.1:5432/postgres",
)
SERVICES_REQUIRED = (
    os.environ.get("HAMKHAN_REQUIRE_SERVICES") == "1"  # noqa: TID251 -- the same
)


def sqlite_template(folder: Path) -> Path:
    """Make a migrated SQLite file once, to be copied for each test."""
    path = folder / "template.db"
    engine = make_engine(f"sqlite:///{path}")
    upgrade(engine)
    with engine.connect() as connection:
        connection.connection.driver_connection.execute(  # type: ignore[union-attr]
            "PRAGMA wal_checkpoint(TRUNCATE)"
        )
    engine.dispose()
    return path


def sqlite_copy(template: Path, folder: Path) -> str:
    """Copy the template; return the new database's address."""
    path = folder / "hamkhan.db"
    shutil.copyfile(template, path)
    return f"sqlite:///{path}"


def postgresql_answers() -> bool:
    """Tell whether a PostgreSQL server can be used."""
    server = create_engine(POSTGRESQL)
    try:
        server.connect().close()
    except OperationalError:
        return False
    finally:
        server.dispose()
    return True


@contextmanager
def postgresql_database() -> Iterator[str]:
    """Make a migrated database of this run's own, and drop it at the end."""
    server = create_engine(POSTGRESQL, isolation_level="AUTOCOMMIT")
    name = f"hamkhan_test_{os.getpid()}"
    with server.connect() as connection:
        connection.execute(text(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))
        connection.execute(text(f"CREATE DATABASE {name}"))
        # Nothing here needs to outlive a power cut, and tests commit often.
        connection.execute(text(f"ALTER DATABASE {name} SET synchronous_commit = off"))
    url = make_url(POSTGRESQL).set(database=name)
    engine = make_engine(url.render_as_string(hide_password=False))
    upgrade(engine)
    engine.dispose()
    try:
        yield url.render_as_string(hide_password=False)
    finally:
        with server.connect() as connection:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
        server.dispose()


def empty(engine: Engine) -> None:
    """Empty every table; sequences go on, so ids never come again.

    One round trip of DELETEs: TRUNCATE makes new files for every table and its indexes,
    which takes a hundred times as long when most are empty.
    """
    tables = Base.metadata.sorted_tables
    deletes = "".join(
        f'DELETE FROM "{table.name}";'  # noqa: S608 -- our own names
        for table in tables
    )
    with engine.begin() as connection:
        connection.exec_driver_sql(
            f"SET LOCAL session_replication_role = replica; {deletes}"
        )
