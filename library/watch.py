"""Tells for next to nothing whether anybody else committed anything."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import closing, contextmanager
from threading import Lock

from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from library.db import Sessions, make_sessions


class Watch(ABC):
    """A watch on what others commit. What we write by `writing` does not count.

    It has a connection of its own, which must be let go of. One thread may write while
    another looks.
    """

    @abstractmethod
    @contextmanager
    def writing(self) -> Iterator[Session]:
        """Open a transaction that writes, and is known as our own."""

    @abstractmethod
    def look(self) -> str:
        """Return what there is to compare with later."""

    @abstractmethod
    def has_changed(self, since: str) -> bool:
        """Tell whether anybody else committed anything since a look."""

    @abstractmethod
    def close(self) -> None:
        """Let go of the connection."""


def watch(sessions: Sessions) -> Watch:
    """Return a watch on the database of these sessions."""
    engine: Engine = sessions.kw["bind"]
    if engine.dialect.name == "sqlite":
        return _SqliteWatch(engine)
    return _PostgresqlWatch(engine, sessions)


class _SqliteWatch(Watch):
    """Asks SQLite what the connections besides ours did (`PRAGMA data_version`).

    So the connection that asks must also be the one that writes, and no two threads may
    use it at once. While we write nobody else can, and nobody needs to ask.
    """

    def __init__(self, engine: Engine) -> None:
        self._connection = engine.connect()
        self._sessions = make_sessions(self._connection)
        self._turn = Lock()
        """Held by who uses the connection, but for the midst of a transaction."""
        self._held: str | None = None
        """In the midst of one: what there is to see until it ends."""

    @contextmanager
    def writing(self) -> Iterator[Session]:
        with self._sessions() as session:
            with self._turn:
                session.connection()  # it begins, or waits until others end
                self._held = self._ask()
            try:
                yield session
                session.flush()
                with self._turn:
                    session.commit()
                    self._held = None
            except BaseException:
                with self._turn:
                    session.rollback()
                    self._held = None
                raise

    def look(self) -> str:
        with self._turn:
            return self._held or self._ask()

    def has_changed(self, since: str) -> bool:
        return self.look() != since

    def close(self) -> None:
        self._connection.close()

    def _ask(self) -> str:
        with closing(self._connection.connection.cursor()) as cursor:
            cursor.execute("PRAGMA data_version")
            return str(cursor.fetchone())


class _PostgresqlWatch(Watch):
    """Asks PostgreSQL which transactions are over, of its whole server."""

    def __init__(self, engine: Engine, sessions: Sessions) -> None:
        self._sessions = sessions
        self._connection = engine.connect().execution_options(
            isolation_level="AUTOCOMMIT"
        )
        self._own: set[int] = set()
        """Transactions of ours."""

    @contextmanager
    def writing(self) -> Iterator[Session]:
        with self._sessions.begin() as session:
            yield session
            own = session.scalar(text("SELECT pg_current_xact_id()::text"))
            self._own.add(int(own))

    def look(self) -> str:
        with closing(self._connection.connection.cursor()) as cursor:
            cursor.execute("SELECT pg_current_snapshot()::text")
            found = cursor.fetchone()
        return str(found[0] if found else found)

    def has_changed(self, since: str) -> bool:
        now = self.look()
        return now != since and not ended_between(since, now) <= self._own

    def close(self) -> None:
        self._connection.close()


def ended_between(since: str, now: str) -> set[int]:
    """Return the transactions that ended between two snapshots of PostgreSQL.

    Each is `xmin:xmax:xip`: the oldest that runs, the next one to be, all that run.
    """
    (_, first, ran), (_, last, run) = (one.split(":") for one in (since, now))
    running = {int(one) for one in run.split(",") if one}
    seen = {int(one) for one in ran.split(",") if one}
    return (seen | set(range(int(first), int(last)))) - running
