"""The database: base class, column types, engines, and the two kinds of transaction.

`sessions.begin()` writes. `reading(sessions)` only reads: the database itself then
refuses a change, which is how "a GET changes nothing" is kept.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from enum import IntEnum, StrEnum
from pathlib import Path
from typing import Annotated, Any

from sqlalchemy import (
    JSON,
    Connection,
    DateTime,
    Dialect,
    Engine,
    Enum,
    MetaData,
    String,
    Table,
    TypeDecorator,
    create_engine,
    event,
    func,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.orm import DeclarativeBase, Session, mapped_column, sessionmaker
from sqlalchemy.pool import ConnectionPoolEntry, StaticPool

Sessions = sessionmaker[Session]

pk = Annotated[int, mapped_column(primary_key=True)]
short = Annotated[str, mapped_column(String(200))]

_NAMES = {
    "ix": "ix_%(column_0_N_label)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class UtcDateTime(TypeDecorator[datetime]):
    """A moment: refuses naive values, always returns UTC."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(
        self, value: datetime | None, dialect: Dialect
    ) -> datetime | None:
        """Turn an aware moment into UTC.

        Raises:
            ValueError: `value` has no time zone.
        """
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"naive moment {value!r}: give it a time zone")
        at = value.astimezone(UTC)
        return at.replace(tzinfo=None) if dialect.name == "sqlite" else at

    def process_result_value(
        self,
        value: datetime | None,
        dialect: Dialect,  # noqa: ARG002 -- SQLAlchemy passes it
    ) -> datetime | None:
        """Return the stored moment as UTC."""
        if value is None:
            return None
        return (
            value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
        )


def _enum_values(enum: type[StrEnum]) -> list[str]:
    return [member.value for member in enum]


class Base(DeclarativeBase):
    """The base of every table. Tables have columns and constraints, no behaviour."""

    metadata = MetaData(naming_convention=_NAMES)
    type_annotation_map = {  # noqa: RUF012 -- SQLAlchemy reads it from the class
        datetime: UtcDateTime,
        dict[str, Any]: JSON,
        list[Any]: JSON,
        # native_enum=False: a new word needs no ALTER TYPE on PostgreSQL.
        StrEnum: Enum(
            StrEnum, native_enum=False, length=40, values_callable=_enum_values
        ),
    }


def make_engine(url: str) -> Engine:
    """Make an engine for SQLite or PostgreSQL, set up as all Hamkhan code expects.

    SQLite gets a write-ahead log, foreign keys, overwritten deletions (an erased patron
    must not stay readable in the file), and full synchronisation, so that a settled
    delivery survives a power cut.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        return create_engine(parsed, pool_pre_ping=True)
    if parsed.database and parsed.database != ":memory:":
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    return _set_up(create_engine(parsed, connect_args={"timeout": 60}))


@contextmanager
def sqlite_copy(engine: Engine) -> Iterator[Engine]:
    """Yield a database on SQLite as it is now, apart: nobody waits, nothing stays.

    A database without a name is a file that SQLite removes as it opens it, so that even
    a kill leaves no patron behind (SQLite, In-Memory Databases, 3).
    """
    with closing(sqlite3.connect("")) as copy:
        with engine.connect() as connection:
            connection.connection.driver_connection.backup(copy)  # type: ignore[union-attr]
        yield _set_up(
            create_engine("sqlite://", creator=lambda: copy, poolclass=StaticPool)
        )


def _set_up(engine: Engine) -> Engine:
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    event.listen(engine, "checkin", _allow_writing_again)
    return engine


def make_sessions(engine: Engine | Connection) -> Sessions:
    """Make the factory of sessions; rows stay readable after a commit."""
    return sessionmaker(engine, expire_on_commit=False)


@contextmanager
def reading(sessions: Sessions) -> Iterator[Session]:
    """Open a transaction in which the database refuses every change."""
    with sessions() as session:
        session.connection(
            execution_options={"hamkhan_reading": True, "postgresql_readonly": True}
        )
        yield session


class Lock(IntEnum):
    """What only one transaction at a time may do."""

    MIGRATING = 0x48414D4B
    AUDITING = 0x48414D4C
    CHOOSING_A_MODEL = 0x48414D4D
    WEIGHING_SIGNALS = 0x48414D4E
    BEGINNING_AN_EXPERIMENT = 0x48414D4F
    CATALOGUING = 0x48414D50


def hold(connection: Connection, lock: Lock) -> None:
    """Wait until nobody else holds a lock, and hold it until this transaction ends.

    SQLite has one writer at a time anyway: a transaction that writes is enough there.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(lock.value)))


def insert_into(
    session: Session, table: type[Base] | Table
) -> postgresql.Insert | sqlite.Insert:
    """Return an insert that can say what to do where a row is there already."""
    if session.get_bind().dialect.name == "postgresql":
        return postgresql.insert(table)
    return sqlite.insert(table)


class Pour:
    """Inserts many rows into a table, past what SQLAlchemy does for each value.

    That is three times as fast, where rows are short and many.
    """

    def __init__(self, table: type[Base], *names: str) -> None:
        columns = table.__table__.columns
        self._columns = [columns[name] for name in names]
        self._table = table

    def rows(
        self,
        session: Session,
        rows: Sequence[tuple[object, ...]],
        *,
        pass_over: bool = False,
    ) -> None:
        """Insert rows whose values stand in the order of the names.

        Args:
            session: An open transaction.
            rows: One after another.
            pass_over: Leave out those that a unique constraint already holds.
        """
        if not rows:
            return
        connection = session.connection()
        values = [*zip(*rows, strict=True)]
        for place, column in enumerate(self._columns):
            dialect = connection.dialect
            bind = column.type.dialect_impl(dialect).bind_processor(dialect)
            if bind is not None:
                # Values recur: a moment, a state.
                bound = {value: bind(value) for value in set(values[place])}
                values[place] = tuple(bound[value] for value in values[place])
        statement = self._statement(connection.dialect)
        if pass_over:
            statement += " ON CONFLICT DO NOTHING"
        connection.exec_driver_sql(statement, [*zip(*values, strict=True)])

    def _statement(self, dialect: Dialect) -> str:
        mark = "?" if dialect.paramstyle == "qmark" else "%s"
        names = ", ".join(column.name for column in self._columns)
        marks = ", ".join(mark for _ in self._columns)
        return f"INSERT INTO {self._table.__tablename__} ({names}) VALUES ({marks})"  # noqa: S608 -- our own names


def _prepare_sqlite(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    # The driver's own BEGIN comes late and is always deferred; see _begin_sqlite.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in (
        "journal_mode = WAL",
        "foreign_keys = ON",
        "secure_delete = ON",
        "synchronous = FULL",
        "temp_store = MEMORY",
        "cache_size = -65536",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    if connection.get_execution_options().get("hamkhan_reading"):
        connection.exec_driver_sql("PRAGMA query_only = ON")
        connection.exec_driver_sql("BEGIN")
    else:
        # A deferred transaction that reads first and writes later fails at once when
        # another has written between; taking the lock at the start waits instead.
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def _allow_writing_again(
    connection: DBAPIConnection | None, _: ConnectionPoolEntry
) -> None:
    if connection is None:  # the pool gave up on it
        return
    cursor = connection.cursor()
    cursor.execute("PRAGMA query_only = OFF")
    cursor.close()
