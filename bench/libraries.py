"""Synthetic libraries for the benches, written past the ORM."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta

import numpy as np
from sqlalchemy import insert
from sqlalchemy.orm import Session

from library.db import Sessions
from library.tables import Branch, Consent, Loan, Patron, Subject, Work, WorkSubject
from library.vocabulary import ConsentPurpose

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
_AT_ONCE = 50_000


def fill(sessions: Sessions, *, patrons: int, works: int, loans: int) -> None:
    """Add consenting patrons, works in 50 subjects, and loans by taste."""
    rng = np.random.default_rng(0)
    with sessions.begin() as session:
        session.add(Branch(id=1, code="main", name="Main"))
        session.flush()
        _put(session, Work, (_work(i) for i in range(1, works + 1)))
        _put(session, Subject, (_subject(i) for i in range(1, 51)))
        about = ({"work_id": i, "subject_id": i % 50 + 1} for i in range(1, works + 1))
        _put(session, WorkSubject, about)
        everybody = range(1, patrons + 1)
        _put(session, Patron, (_patron(i) for i in everybody))
        for purpose in (ConsentPurpose.HISTORY, ConsentPurpose.MODEL):
            _put(session, Consent, (_consent(i, purpose) for i in everybody))
    for at in range(0, loans, _AT_ONCE):
        n = min(_AT_ONCE, loans - at)
        patron = rng.integers(1, patrons + 1, n)
        liked = (patron % 50 + 50 * rng.integers(0, max(works // 50, 1), n)) % works + 1
        work = np.where(rng.random(n) < 0.7, liked, rng.integers(1, works + 1, n))
        day = rng.integers(0, 1000, n)
        with sessions.begin() as session:
            _put(
                session,
                Loan,
                (
                    _loan(at + i, int(p), int(w), int(d))
                    for i, (p, w, d) in enumerate(zip(patron, work, day, strict=True))
                ),
            )


def _put(session: Session, table: type, rows: Iterator[Mapping[str, object]]) -> None:
    waiting = []
    for row in rows:
        waiting.append(row)
        if len(waiting) == _AT_ONCE:
            session.execute(insert(table), waiting)
            waiting = []
    if waiting:
        session.execute(insert(table), waiting)


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


def _patron(i: int) -> dict[str, object]:
    return {
        "id": i,
        "system": "bench",
        "external_id": str(i),
        "branch_id": 1,
        "language": "en",
        "created_at": NOON,
    }


def _consent(i: int, purpose: ConsentPurpose) -> dict[str, object]:
    return {
        "patron_id": i,
        "purpose": purpose,
        "wording": "bench",
        "source": "bench",
        "covers_past": True,
        "given_at": NOON - timedelta(days=2000),
    }


def _loan(i: int, patron: int, work: int, day: int) -> dict[str, object]:
    return {
        "system": "bench",
        "ref": str(i),
        "patron_id": patron,
        "work_id": work,
        "borrowed_at": NOON - timedelta(days=1 + day),
        "ignored": False,
    }
