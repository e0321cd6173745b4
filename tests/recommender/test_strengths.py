from datetime import timedelta

import pytest

from library.db import Sessions, reading
from library.errors import InvalidInput
from library.tables import Feedback, Setting
from library.vocabulary import Channel, Verdict
from recommender.heard import heard_of
from recommender.strengths import KINDS, read_strengths, set_strengths
from tests.factories import NOON, ada, bo, make_loan, make_work
from tests.races import meanwhile


def test_a_loan_one_half_life_old_counts_half(sessions: Sessions) -> None:
    with sessions.begin() as session:
        patron = ada(session)
        old, new, no = (make_work(session, title) for title in ("Old", "New", "No"))
        make_loan(session, patron, old, at=NOON - timedelta(days=180))
        make_loan(session, patron, new, at=NOON)
        session.add(
            Feedback(
                patron_id=patron.id,
                work_id=no.id,
                verdict=Verdict.NOT_FOR_ME,
                via=Channel.PAGE,
                given_at=NOON - timedelta(days=360),
            )
        )
        set_strengths(session, {"loan": 1, "not_for_me": -3}, half_life=180)

    with reading(sessions) as session:
        heard = heard_of(session, patron.id, at=NOON)

    said = {one.title: one.weight for one in heard}
    assert said == {"New": 1.0, "Old": 0.5, "No": -0.75}


def test_without_a_half_life_loans_are_left_to_the_parts(sessions: Sessions) -> None:
    with sessions.begin() as session:
        patron = ada(session)
        make_loan(session, patron, make_work(session, "A"), at=NOON)

    with reading(sessions) as session:
        heard = heard_of(session, patron.id, at=NOON + timedelta(days=3000))

    assert [one.weight for one in heard] == [1.0]


def test_nothing_is_heard_of_who_has_not_agreed(sessions: Sessions) -> None:
    with sessions.begin() as session:
        patron = bo(session)
        make_loan(session, patron, make_work(session, "A"), at=NOON)

    with reading(sessions) as session:
        assert heard_of(session, patron.id, at=NOON) == []


def test_two_who_set_weights_at_once_both_count(sessions: Sessions) -> None:
    meanwhile(
        sessions,
        lambda session: set_strengths(session, {"loan": 2.0}),
        lambda session: set_strengths(session, {"hold": 0.5}),
    )

    with reading(sessions) as session:
        weights = read_strengths(session).weights
    assert (weights["loan"], weights["hold"]) == (2.0, 0.5)


def test_what_is_not_set_keeps_its_weight(sessions: Sessions) -> None:
    with sessions.begin() as session:
        set_strengths(session, {"hold": 0.5})
        set_strengths(session, {"wanted": 2}, half_life=90)

    with reading(sessions) as session:
        strengths = read_strengths(session)

    assert strengths.weights == {**KINDS, "hold": 0.5, "wanted": 2}
    assert strengths.half_life == 90


@pytest.mark.parametrize(
    ("weights", "half_life", "field"),
    [
        ({"glance": 1.0}, None, "glance"),
        ({"loan": float("nan")}, None, "loan"),
        ({"loan": 1e9}, None, "loan"),
        ({}, -1, "half_life_days"),
        ({}, float("inf"), "half_life_days"),
    ],
)
def test_nonsense_is_refused_by_name(
    sessions: Sessions, weights: dict[str, float], half_life: float | None, field: str
) -> None:
    with sessions.begin() as session:
        with pytest.raises(InvalidInput) as caught:
            set_strengths(session, weights, half_life=half_life)
        assert caught.value.field == field
        assert session.get(Setting, "signals") is None
