"""One row in every table, each pointing at the others wherever it can."""

from datetime import date, timedelta
from typing import Any, Final

from sqlalchemy import JSON, Boolean, Column, Date, Enum, Float, Integer, String, Table
from sqlalchemy.orm import Session
from sqlalchemy.types import TypeEngine

from library.db import UtcDateTime
from library.tables import Base
from tests.factories import NOON

CANARY: Final = "canary-7f3b"
"""Stands in every text."""
_JSON: Final[dict[str, object]] = {
    "reasons": [{"kind": "loan", "ref": 1, "label": CANARY, "share": 1.0}],
    **{name: [CANARY] for name in ("languages", "formats", "branches", "scopes")},
}


def fill_every_table(session: Session, start: int = 1) -> dict[str, int]:
    """Add the rows; return their ids by table.

    The audit stays empty, and no work is part of another, which would hide it.

    Args:
        session: An open transaction.
        start: Another number makes a second set, apart from the first.
    """
    ids: dict[str, int] = {}
    for n, table in enumerate(Base.metadata.sorted_tables, start):
        if table.name not in {"audit_entry", "joined_work"}:
            _fill(session, table, ids, n)
    return ids


def _fill(session: Session, table: Table, ids: dict[str, int], n: int) -> None:
    columns = [c for c in table.columns if c.name != "id" or c.foreign_keys]
    row = {column.name: _value(column, ids, n) for column in columns}
    if table.name == "rule":
        row["ends_at"] = NOON + timedelta(days=1)
    made = table.insert().values(row)
    if "id" in table.columns:
        ids[table.name] = session.execute(made.returning(table.c.id)).scalar_one()
    else:
        session.execute(made)


def _value(column: Column[Any], ids: dict[str, int], n: int) -> object:
    for key in column.foreign_keys:
        return ids[key.column.table.name]
    if isinstance(column.type, JSON):
        return _JSON.get(column.name, {"canary": CANARY})
    return _filling(column.type, n)


def _filling(kind: TypeEngine[Any], n: int) -> object:  # noqa: PLR0911 -- one a type
    match kind:
        case Enum():
            return kind.enums[0]
        case String():
            return f"{CANARY}-{n}"[: kind.length]
        case Boolean():
            return False
        case Integer():
            return n
        case Float():
            return 0.5
        case UtcDateTime():
            return NOON
        case _:
            assert isinstance(kind, Date)
            return date(2026, 3, 1)
