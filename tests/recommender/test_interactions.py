from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from library.db import Sessions, reading
from library.tables import Consent, Feedback, Hold, Loan, Patron, Setting
from library.vocabulary import Channel, ConsentPurpose, Verdict
from profiles import consent
from recommender.catalogue import read_work_ids
from recommender.interactions import (
    Signals,
    Stretch,
    lock_patrons,
    read_codes,
    read_signals,
)
from tests.factories import NOON, ada, bo, cy, make_loan, make_patron, make_work
from tests.races import meanwhile

NIGHT = datetime(2026, 3, 1, 23, 59, tzinfo=UTC)
LATER = NOON + timedelta(days=30)


def signals(sessions: Sessions, **how: object) -> Signals:
    with reading(sessions) as session:
        works = read_work_ids(session)
        return read_signals(session, works, read_codes(session), **{"at": LATER, **how})  # type: ignore[arg-type]


def test_reads_nothing_of_an_empty_library(sessions: Sessions) -> None:
    found = signals(sessions)

    assert len(found.patrons) == len(found.loans.row) == 0


def test_reads_loans_with_their_day(sessions: Sessions) -> None:
    with sessions.begin() as session:
        patron, works = ada(session), [make_work(session, t) for t in "AB"]
        make_loan(
            session, patron, works[1], at=datetime(2026, 3, 1, 23, 59, tzinfo=UTC)
        )

    found = signals(sessions)

    assert found.patrons.tolist() == [patron.id]
    assert found.loans.column.tolist() == [1]
    assert found.loans.day is not None
    assert found.loans.day.tolist() == [datetime(2026, 3, 1).toordinal()]
    assert found.loans.weight is None


@pytest.mark.parametrize("missing", [ConsentPurpose.HISTORY, ConsentPurpose.MODEL])
def test_reads_no_loan_without_both_consents(
    sessions: Sessions, missing: ConsentPurpose
) -> None:
    with sessions.begin() as session:
        others = [purpose for purpose in ConsentPurpose if purpose != missing]
        patron = make_patron(session, "Di", consents=others)
        work = make_work(session, "A")
        make_loan(session, patron, work)
        _judge(session, patron, work.id, Verdict.WANTED)

    found = signals(sessions)

    assert len(found.patrons) == len(found.loans.row) == 0


def test_a_consent_withdrawn_ends_the_reading(sessions: Sessions) -> None:
    with sessions.begin() as session:
        patron = ada(session)
        make_loan(session, patron, make_work(session, "A"))
    with sessions.begin() as session:
        for consent in session.scalars(select(Consent)):
            if consent.purpose == ConsentPurpose.MODEL:
                consent.withdrawn_at = NOON

    assert len(signals(sessions).patrons) == 0


def test_passes_over_loans_ignored_or_in_the_future(sessions: Sessions) -> None:
    with sessions.begin() as session:
        patron = ada(session)
        ignored, future, undated = (make_work(session, t) for t in "ABC")
        make_loan(session, patron, ignored).ignored = True
        make_loan(session, patron, future, at=LATER + timedelta(days=900))
        make_loan(session, patron, undated).borrowed_at = None

    found = signals(sessions)

    assert found.loans.column.tolist() == [2]
    assert found.loans.day is None


def test_an_undated_loan_among_dated_ones_counts_as_old(sessions: Sessions) -> None:
    with sessions.begin() as session:
        patron = ada(session)
        first, second, third = (make_work(session, t) for t in "ABC")
        make_loan(session, patron, first, at=NOON - timedelta(days=9))
        make_loan(session, patron, second)
        make_loan(session, patron, third).borrowed_at = None

    day = signals(sessions).loans.day

    assert day is not None
    assert np.diff(np.sort(day)).tolist() == [0, 9]


def test_weighs_signals_by_kind_as_the_library_sets(sessions: Sessions) -> None:
    with sessions.begin() as session:
        patron = ada(session)
        lent, held, wanted, read, hated = (make_work(session, t) for t in "ABCDE")
        make_loan(session, patron, lent)
        session.add(
            Hold(
                system="t",
                ref="1",
                patron_id=patron.id,
                work_id=held.id,
                placed_at=NOON,
            )
        )
        _judge(session, patron, wanted.id, Verdict.WANTED)
        _judge(session, patron, read.id, Verdict.READ_ALREADY)
        _judge(session, patron, hated.id, Verdict.NOT_FOR_ME)
        session.add(Setting(name="signals", value={"hold": 0.5}))

    found = signals(sessions)

    assert found.loans.weight is not None
    weighed = dict(zip(found.loans.column.tolist(), found.loans.weight, strict=True))
    assert weighed == {0: 1, 1: 0.5, 2: 1.5, 3: 1}
    assert found.disliked_column.tolist() == [4]


def test_reads_a_stretch_of_patrons_alone(sessions: Sessions) -> None:
    with sessions.begin() as session:
        work = make_work(session, "A")
        one, _, two = ada(session), bo(session), cy(session)
        make_loan(session, one, work)
        make_loan(session, two, work)

    found = signals(sessions, stretch=Stretch(two.id, two.id + 5))

    assert found.patrons.tolist() == [two.id]
    assert found.loans.row.tolist() == [0]


def test_held_out_loans_reach_nobody(sessions: Sessions) -> None:
    with sessions.begin() as session:
        patron = ada(session)
        works = [make_work(session, t) for t in "AB"]
        kept, held_out = (make_loan(session, patron, work) for work in works)
        _judge(session, patron, works[1].id, Verdict.WANTED)

    found = signals(sessions, leave_out={held_out.id})

    assert found.loans.column.tolist() == [0]
    with reading(sessions) as session:
        assert session.get(Loan, kept.id) is not None


def test_knows_branches_and_categories_apart(sessions: Sessions) -> None:
    with sessions.begin() as session:
        one = make_patron(session, "Di", consents=tuple(ConsentPurpose))
        two = make_patron(session, "Ed", consents=tuple(ConsentPurpose), branch="east")
        one.category, two.category = "student", None

    found = signals(sessions).loans

    assert found.branch is not None
    assert found.category is not None
    assert found.branch.tolist() == [0, 1]
    assert found.category.tolist() == [0, -1]


def test_many_rows_come_whole(sessions: Sessions) -> None:
    with sessions.begin() as session:
        patrons = [
            make_patron(session, f"P{i}", consents=tuple(ConsentPurpose))
            for i in range(30)
        ]
        works = [make_work(session, f"W{i}") for i in range(40)]
        session.add_all(
            Loan(
                system="t",
                ref=f"{patron.id}-{work.id}",
                patron_id=patron.id,
                work_id=work.id,
                borrowed_at=NOON,
            )
            for patron in patrons
            for work in works
        )

    loans = signals(sessions).loans

    pairs = set(zip(loans.row.tolist(), loans.column.tolist(), strict=True))
    assert pairs == {(row, column) for row in range(30) for column in range(40)}


def _judge(session: Session, patron: Patron, work_id: int, verdict: Verdict) -> None:
    session.add(
        Feedback(
            patron_id=patron.id,
            work_id=work_id,
            verdict=verdict,
            given_at=NOON,
            via=Channel.PAGE,
        )
    )


def test_a_consent_that_is_withdrawn_meanwhile_counts(sessions: Sessions) -> None:
    with sessions.begin() as session:
        patron_id = ada(session).id
    learning: dict[int, bool] = {}

    waited = meanwhile(
        sessions,
        lambda s: consent.withdraw(s, patron_id, ConsentPurpose.MODEL, at=NOON),
        lambda s: learning.update(lock_patrons(s, [patron_id])),
    )

    assert waited == [True]
    assert learning == {patron_id: False}
