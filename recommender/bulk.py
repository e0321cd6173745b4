"""Whole-number columns out of the database, fast and lean.

An ORM row costs a microsecond and a kilobyte; ten million loans can afford neither.
SQLite's rows go from the driver straight into arrays. PostgreSQL packs thousands of
rows into one value that is an array already, which halves the time of a plain cursor.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain
from types import MappingProxyType
from typing import Any

import numpy as np
from sqlalchemy import CompoundSelect, Date, Integer, Select, cast, func, literal_column
from sqlalchemy.orm import InstrumentedAttribute, Session
from sqlalchemy.sql.elements import ColumnElement

from recommender.arrays import IntArray

WholeNumbers = Select[*tuple[Any, ...]] | CompoundSelect[*tuple[Any, ...]]

UNDATED = -1
"""Stands for "no date" among days."""

_BATCH = 50_000
_JULIAN = 1721424.5
"""Julian date of the midnight before 0001-01-01, whose ordinal is 1, less one."""
_PACKED = 1000
"""Values of the first column whose rows travel together from PostgreSQL."""


def day_of(session: Session, moment: InstrumentedAttribute[Any]) -> ColumnElement[int]:
    """Return the SQL of `date.toordinal()` in UTC, or `UNDATED` where there is none."""
    if _is_sqlite(session):
        day: ColumnElement[Any] = cast(func.julianday(moment) - _JULIAN, Integer)
    else:
        first: ColumnElement[Any] = literal_column("DATE '0001-01-01'")
        day = cast(func.timezone("UTC", moment), Date).op("-")(first).op("+")(1)
    return func.coalesce(day, UNDATED)


def read_integers(
    session: Session,
    statement: WholeNumbers,
    values: Mapping[str, object] = MappingProxyType({}),
    *,
    few: bool = False,
) -> tuple[IntArray, ...]:
    """Run a query of whole, non-null numbers; return its columns as arrays.

    The rows come in no order, whatever the query says. `values` are of the statement's
    named places. `few` says that there are not many rows, so that setting up the fast
    way would cost more than it saves.
    """
    if few:
        rows = session.execute(statement, values)
        flat = [number for row in rows for number in row]
        width = len(statement.selected_columns)
        return tuple(np.array(flat, np.int64).reshape(-1, width).T)
    statement = statement.params(**values) if values else statement
    connection = session.connection()
    sql = str(statement.compile(connection, compile_kwargs={"literal_binds": True}))
    width = len(statement.selected_columns)
    driver = connection.connection.driver_connection
    read = _sqlite_batches if _is_sqlite(session) else _postgresql_batches
    table = _join(list(read(driver, sql, width)), width)
    return tuple(table)


def _is_sqlite(session: Session) -> bool:
    return session.get_bind().dialect.name == "sqlite"


def _join(batches: list[IntArray], width: int) -> IntArray:
    table = np.empty((width, sum(len(batch) for batch in batches)), np.int64)
    end = table.shape[1]
    while batches:  # each batch is let go as soon as it is copied
        batch = batches.pop()
        table[:, end - len(batch) : end] = batch.T
        end -= len(batch)
    return table


def _sqlite_batches(driver: Any, sql: str, width: int) -> Iterator[IntArray]:
    cursor = driver.execute(sql)
    while rows := cursor.fetchmany(_BATCH):
        flat = chain.from_iterable(rows)
        numbers = np.fromiter(flat, np.int64, len(rows) * width)
        yield _narrowed(numbers.reshape(-1, width))
    cursor.close()


def _postgresql_batches(driver: Any, sql: str, width: int) -> Iterator[IntArray]:
    names = ", ".join(f"c{i}" for i in range(width))
    packed = " || ".join(f"int8send(c{i}::int8)" for i in range(width))
    query = (
        f"SELECT string_agg({packed}, ''::bytea) "  # noqa: S608 -- of our own names
        f"FROM ({sql}) AS q ({names}) GROUP BY c0 / {_PACKED}"
    )
    with driver.cursor(name="read_integers", binary=True) as cursor:
        cursor.itersize = 64
        for (body,) in cursor.execute(query):
            numbers = np.frombuffer(body, ">i8").astype(np.int64)
            yield _narrowed(numbers.reshape(-1, width))


def _narrowed(numbers: IntArray) -> IntArray:
    """Halve the memory of a waiting batch where its numbers allow it."""
    small = np.iinfo(np.int32)
    if not numbers.size or small.min <= numbers.min() <= numbers.max() <= small.max:
        return numbers.astype(np.int32)
    return numbers
