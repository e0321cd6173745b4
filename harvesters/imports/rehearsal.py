"""A dry run: the same code on the same rows, and nothing of it stays."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from sqlalchemy import Engine
from sqlalchemy.orm import sessionmaker

from library.db import Sessions, sqlite_copy


@contextmanager
def rehearsal(sessions: Sessions, *, dry_run: bool) -> Iterator[Sessions]:
    """Yield sessions that store, or in a dry run ones whose work is taken back.

    SQLite has one lock for all who write, and a large file takes minutes: there it is
    tried on a copy.
    """
    if not dry_run:
        yield sessions
        return
    engine: Engine = sessions.kw["bind"]
    on_sqlite = engine.dialect.name == "sqlite"
    with (
        sqlite_copy(engine) if on_sqlite else nullcontext(engine) as stage,
        stage.connect() as connection,
    ):
        transaction = connection.begin()
        try:
            yield sessionmaker(
                connection,
                join_transaction_mode="create_savepoint",
                expire_on_commit=False,
            )
        finally:
            transaction.rollback()
