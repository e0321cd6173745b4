"""Dumps of a database, and their restoring, on either kind."""

from typing import Any

from sqlalchemy import insert, select

from library.db import Sessions, reading
from library.tables import Base

Dump = dict[str, list[dict[str, Any]]]


def dump(sessions: Sessions) -> Dump:
    """Return every row of every table."""
    with reading(sessions) as session:
        return {
            table.name: [dict(row) for row in session.execute(select(table)).mappings()]
            for table in Base.metadata.sorted_tables
        }


def restore(sessions: Sessions, kept: Dump) -> None:
    """Make the database what it was."""
    with sessions.begin() as session:
        for table in reversed(Base.metadata.sorted_tables):
            session.execute(table.delete())
        for table in Base.metadata.sorted_tables:
            if kept[table.name]:
                session.execute(insert(table), kept[table.name])
