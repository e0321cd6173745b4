"""Synthetic libraries for the benches, poured in past the ORM."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from sqlalchemy import insert, text
from sqlalchemy.orm import Session

from library.db import Sessions
from library.tables import Branch, Consent, Loan, Patron, Subject, Work, WorkSubject
from library.vocabulary import ConsentPurpose

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SPAN = 1000
"""Days that the loans spread over."""
_AT_ONCE = 100_000


def fill(sessions: Sessions, *, patrons: int, works: int, loans: int) -> None:
    """Add consenting patrons, works in 50 subjects, and loans by taste."""
    with sessions.begin() as session:
        session.add(Branch(id=1, code="main", name="Main"))
        session.flush()
        session.execute(insert(Work), [_work(i) for i in range(1, works + 1)])
        session.execute(insert(Subject), [_subject(i) for i in range(1, 51)])
        about = [{"work_id": i, "subject_id": i % 50 + 1} for i in range(1, works + 1)]
        session.execute(insert(WorkSubject), about)
    enrol(sessions, range(1, patrons + 1), works=works, loans=loans)


def enrol(sessions: Sessions, patrons: range, *, works: int, loans: int) -> None:
    """Add patrons of these ids who agreed to all, and their loans of works there."""
    said = "bench", "bench", True, _moment(2 * SPAN)
    with sessions.begin() as session:
        columns = "id", "system", "external_id", "branch_id", "language", "created_at"
        rows = ((i, "bench", str(i), 1, "en", _moment(0)) for i in patrons)
        _pour(session, Patron, columns, rows)
        columns = "patron_id", "purpose", "wording", "source", "covers_past", "given_at"
        for purpose in (ConsentPurpose.HISTORY, ConsentPurpose.MODEL):
            agreed = ((i, str(purpose), *said) for i in patrons)
            _pour(session, Consent, columns, agreed)
        indexes = list(Loan.metadata.tables["loan"].indexes)
        for index in indexes:  # made once at the end, as any loader would
            index.drop(session.connection())
        columns = "system", "ref", "patron_id", "work_id", "borrowed_at", "ignored"
        _pour(session, Loan, columns, _loans(patrons, works, loans))
        for index in indexes:
            index.create(session.connection())
    if sessions.kw["bind"].dialect.name == "postgresql":
        with sessions() as session:
            session.connection(execution_options={"isolation_level": "AUTOCOMMIT"})
            session.execute(text("VACUUM ANALYZE"))


def _loans(patrons: range, works: int, loans: int) -> Iterator[tuple[Any, ...]]:
    rng = np.random.default_rng(patrons.start)
    days = [_moment(1 + day) for day in range(SPAN)]
    for at in range(0, loans, _AT_ONCE):
        n = min(_AT_ONCE, loans - at)
        patron = rng.integers(patrons.start, patrons.stop, n)
        shelf = 50 * rng.integers(0, max(works // 50, 1), n)
        liked = (patron % 50 + shelf) % works + 1
        work = np.where(rng.random(n) < 0.7, liked, rng.integers(1, works + 1, n))
        day = rng.integers(0, SPAN, n)
        drawn = zip(patron.tolist(), work.tolist(), day.tolist(), strict=True)
        for i, (p, w, d) in enumerate(drawn, at):
            yield "bench", f"{patrons.start:09}.{i:09}", p, w, days[d], False


def _pour(
    session: Session,
    table: type,
    columns: Sequence[str],
    rows: Iterator[tuple[Any, ...]],
) -> None:
    """Hand rows to the driver itself: ten million of them are many."""
    driver: Any = session.connection().connection.driver_connection
    into = f"{table.__tablename__} ({', '.join(columns)})"  # type: ignore[attr-defined]
    if session.get_bind().dialect.name == "sqlite":
        marks = ", ".join("?" * len(columns))
        driver.executemany(f"INSERT INTO {into} VALUES ({marks})", rows)  # noqa: S608 -- of our own names
        return
    with driver.cursor() as cursor:
        # The rows fit each other; asking for each of them would be most of the time.
        cursor.execute("SET LOCAL session_replication_role = replica")
        with cursor.copy(f"COPY {into} FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)


def _moment(days: int) -> str:
    return f"{NOON - timedelta(days=days):%Y-%m-%d %H:%M:%S.%f}"


def _subject(i: int) -> dict[str, object]:
    return {"id": i, "scheme": "s", "squash": f"s{i}", "label": f"Subject {i}"}


def _work(i: int) -> dict[str, object]:
    return {
        "id": i,
        "key": f"work{i}",
        "title": f"Work {i} of subject {i % 50}",
        "title_dir": "ltr",
        "terms": "",
        "sort_key": "",
        "fold_version": 1,
        "created_at": NOON,
    }
