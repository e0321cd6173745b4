"""Rows in bulk, the same on SQLite and PostgreSQL."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, TypeVar, cast

from sqlalchemy import Integer, Table, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from library.db import Base, Pour, insert_into

Value = TypeVar("Value")
_AT_ONCE = 1000


def insert_missing(
    session: Session, table: type[Base], rows: Sequence[Mapping[str, Any]]
) -> None:
    """Insert rows; those that a unique constraint already holds are passed over.

    So two harvests that meet the same work at once both find it afterwards.
    """
    if not rows:
        return
    names = list(rows[0])
    into = cast("Table", table.__table__)
    if all(isinstance(into.c[name].type, Integer) for name in names):
        # Whole numbers need nothing of what takes most of the time here.
        values = [tuple(row[name] for name in names) for row in rows]
        Pour(table, *names).rows(session, values, pass_over=True)
    else:
        session.execute(insert_into(session, into).on_conflict_do_nothing(), rows)


def ids_by(
    session: Session,
    column: InstrumentedAttribute[str],
    key: InstrumentedAttribute[int],
    values: Collection[str],
) -> dict[str, int]:
    """Return the ids of the rows whose `column` has one of these values."""
    found: dict[str, int] = {}
    for some in batches(values, _AT_ONCE):
        rows = session.execute(select(column, key).where(column.in_(some)))
        found.update((value, row_id) for value, row_id in rows)
    return found


def batches(values: Iterable[Value], size: int) -> Iterator[list[Value]]:
    """Yield the values in lists of at most `size`, in order."""
    rest = iter(values)
    while batch := list(islice(rest, size)):
        yield batch
