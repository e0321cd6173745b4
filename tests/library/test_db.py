from datetime import datetime, timedelta, timezone

import pytest
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError, IntegrityError, StatementError

from library.db import Pour, Sessions, reading
from library.tables import Branch, Heartbeat, Loan, Patron
from tests.factories import (
    NOON,
    ada,
    make_branch,
    make_loan,
    make_work,
)


def test_a_reading_transaction_refuses_every_change(sessions: Sessions) -> None:
    with reading(sessions) as session:
        session.add(Branch(code="x", name="X"))
        with pytest.raises(DBAPIError):
            session.flush()
    with sessions.begin() as session:  # the same connection writes again
        make_branch(session)


def test_a_naive_moment_is_refused(sessions: Sessions) -> None:
    with sessions() as session:
        ada(session).created_at = datetime(2026, 1, 1)
        with pytest.raises(StatementError, match="naive"):
            session.flush()


def test_moments_come_back_in_utc(sessions: Sessions) -> None:
    with sessions.begin() as session:
        ada(session)
    with reading(sessions) as session:
        assert session.scalars(select(Patron.created_at)).one() == NOON


def test_an_erased_patron_takes_their_loans_along(sessions: Sessions) -> None:
    with sessions.begin() as session:
        patron = ada(session)
        make_loan(session, patron, make_work(session, "Cosmos"))
        session.delete(patron)
    with reading(sessions) as session:
        assert session.scalars(select(Loan)).all() == []


def test_foreign_keys_are_kept(sessions: Sessions) -> None:
    with pytest.raises(IntegrityError), sessions.begin() as session:
        session.add(
            Patron(
                system="x",
                external_id="1",
                branch_id=999,
                language="en",
                created_at=NOON,
            )
        )


def test_rows_are_poured_in_as_they_would_be_added(sessions: Sessions) -> None:
    tehran = timezone(timedelta(hours=3, minutes=30))
    pour = Pour(Heartbeat, "worker", "at")
    with sessions.begin() as session:
        pour.rows(session, [])
        pour.rows(session, [("a", NOON), ("b", NOON.astimezone(tehran))])
        with pytest.raises(ValueError, match="naive"):
            pour.rows(session, [("c", datetime(2026, 1, 1))])
    with reading(sessions) as session:
        found = session.scalars(select(Heartbeat).order_by(Heartbeat.worker))
        assert [(one.worker, one.at) for one in found] == [("a", NOON), ("b", NOON)]
