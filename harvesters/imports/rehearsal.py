"""A dry run: the same code on the same rows, and nothing of it stays."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.orm import sessionmaker

from library.db import Sessions


@contextmanager
def rehearsal(sessions: Sessions, *, dry_run: bool) -> Iterator[Sessions]:
    """Yield sessions that store, or in a dry run ones whose work is taken back."""
    if not dry_run:
        yield sessions
        return
    with sessions.kw["bind"].connect() as connection:
        transaction = connection.begin()
        try:
            yield sessionmaker(
                connection,
                join_transaction_mode="create_savepoint",
                expire_on_commit=False,
            )
        finally:
            transaction.rollback()
