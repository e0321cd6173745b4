"""Less of what a reason names, and all of it back; what is gone stays gone."""

from typing import Any

import pytest
from sqlalchemy import delete

from library.db import Sessions, reading
from library.errors import InvalidInput, NotFound
from library.tables import Interest, Suppression
from library.vocabulary import ReasonKind
from profiles.lessening import is_lessened, lessen, ref_of, restore
from profiles.suppression import list_suppressions
from tests.factories import NOON, ada, cy, make_interest, make_loan, make_work


@pytest.mark.parametrize(
    ("reason", "named"),
    [
        ({"kind": "loan", "ref": 7}, (ReasonKind.LOAN, "7")),
        ({"kind": "interest", "ref": 7}, (ReasonKind.INTEREST, "7")),
        ({"kind": "series", "ref": "foundation"}, (ReasonKind.SERIES, "foundation")),
        ({"kind": "subject", "ref": None}, None),
        ({"kind": "loan"}, None),
        ({"kind": "rule", "ref": 7}, None),
        ({"kind": "neighbours", "ref": 7}, None),
        ({"kind": "popular", "ref": 7}, None),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_a_reason_names(reason: dict[str, Any], named: object) -> None:
    assert ref_of(reason) == named


def test_a_series_is_left_out_as_it_is_spelled_and_comes_back(
    sessions: Sessions,
) -> None:
    with sessions.begin() as session:
        patron, work = ada(session), make_work(session, "Foundation")
        work.series, work.series_squash = "The Foundation series", "foundation"
        lessen(session, patron.id, ReasonKind.SERIES, "foundation", at=NOON)
    with reading(sessions) as session:
        (wish,) = list_suppressions(session, patron.id)
        assert wish.label == "The Foundation series"
        assert is_lessened(session, patron.id, ReasonKind.SERIES, "foundation")

    with sessions.begin() as session:
        restore(session, patron.id, ReasonKind.SERIES, "foundation")
        assert not is_lessened(session, patron.id, ReasonKind.SERIES, "foundation")


def test_what_is_gone_meanwhile_stays_gone(sessions: Sessions) -> None:
    with sessions.begin() as session:
        patron = ada(session)
        make_work(session, "Law", subjects=["Football"])
        lessen(session, patron.id, ReasonKind.SUBJECT, "football", at=NOON)
        session.execute(delete(Suppression))

        restore(session, patron.id, ReasonKind.SUBJECT, "football")

        assert list_suppressions(session, patron.id) == []


@pytest.mark.parametrize(
    ("kind", "ref", "error"),
    [
        (ReasonKind.CREATOR, "nobody", NotFound),
        (ReasonKind.LOAN, "404", NotFound),
        (ReasonKind.INTEREST, "404", NotFound),
        (ReasonKind.LOAN, "seven", InvalidInput),
        (ReasonKind.RULE, "7", InvalidInput),
    ],
)
def test_what_cannot_be_lessened_is_refused(
    sessions: Sessions, kind: ReasonKind, ref: str, error: type[Exception]
) -> None:
    with sessions.begin() as session:
        patron = ada(session)
        with pytest.raises(error):
            lessen(session, patron.id, kind, ref, at=NOON)


def test_nobody_elses_loan_or_interest_is_touched(sessions: Sessions) -> None:
    with sessions.begin() as session:
        patron, other = ada(session), cy(session)
        work = make_work(session, "Contact")
        mine, theirs = make_loan(session, patron, work), make_loan(session, other, work)
        interest = make_interest(session, other, "Astronomy")

        lessen(session, patron.id, ReasonKind.LOAN, str(work.id), at=NOON)
        with pytest.raises(NotFound):
            lessen(session, patron.id, ReasonKind.INTEREST, str(interest.id), at=NOON)
        session.refresh(mine)
        session.refresh(theirs)

        assert (mine.ignored, theirs.ignored) == (True, False)
        assert session.get_one(Interest, interest.id).weight == 1.0
