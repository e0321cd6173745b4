"""Which rows are a patron's: told by the foreign keys, so that no table is forgotten.

A table is a patron's when a foreign key leads from it to `patron`, at once or through
another such table. Take-out and erasing both go by this.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, ForeignKey, Select, Table, or_, select
from sqlalchemy.orm import Session

from library.tables import Base

_PATRON = Base.metadata.tables["patron"]


@cache
def personal_tables() -> tuple[Table, ...]:
    """Return the tables whose rows can be a patron's, `patron` first."""
    found = [_PATRON]
    for table in found:  # grows meanwhile
        found += [
            other
            for other in Base.metadata.sorted_tables
            if other not in found and _keys_to(other, [table])
        ]
    return tuple(found)


def rows_of(session: Session, patron_id: int) -> dict[str, list[dict[str, Any]]]:
    """Return every row that is the patron's, by table and column name."""
    return {
        table.name: [
            dict(row) for row in session.execute(_mine(table, patron_id)).mappings()
        ]
        for table in personal_tables()
    }


def count_rows(rows: Mapping[str, Sequence[object]]) -> dict[str, int]:
    """Return how many rows there are by table, without the empty tables."""
    return {table: len(found) for table, found in rows.items() if found}


def _mine(table: Table, patron_id: int) -> Select[*tuple[Any, ...]]:
    order = list(table.primary_key.columns)
    return select(table).where(_is_mine(table, patron_id)).order_by(*order)


def _is_mine(table: Table, patron_id: int) -> ColumnElement[bool]:
    if table is _PATRON:
        return _PATRON.c.id == patron_id
    return or_(*(_leads_there(key, patron_id) for key in _own_keys(table)))


def _leads_there(key: ForeignKey, patron_id: int) -> ColumnElement[bool]:
    if key.column.table is _PATRON:
        return key.parent == patron_id
    further = select(key.column).where(_is_mine(key.column.table, patron_id))
    return key.parent.in_(further)


def _own_keys(table: Table) -> list[ForeignKey]:
    """Return the keys that tell whose a row is: to `patron` itself if there is one."""
    return _keys_to(table, [_PATRON]) or _keys_to(table, personal_tables())


def _keys_to(table: Table, others: Sequence[Table]) -> list[ForeignKey]:
    keys = sorted(table.foreign_keys, key=lambda key: key.parent.name)
    return [key for key in keys if key.column.table in others]
