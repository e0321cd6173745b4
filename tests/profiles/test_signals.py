from datetime import timedelta

import pytest

from library.vocabulary import InterestKind, Verdict
from profiles.signals import (
    HALF_LIFE,
    HEAVIEST,
    MOST,
    Inferred,
    Signal,
    Term,
    infer_interests,
    strength_of,
)
from tests.factories import NOON

STARS = Term(InterestKind.SUBJECT, "stars", "Stars")
LAW = Term(InterestKind.SUBJECT, "law", "Law")
SAGAN = Term(InterestKind.CREATOR, "sagan", "Sagan")


def _loan(
    work_id: int,
    *terms: Term,
    age: timedelta = timedelta(),
    verdict: Verdict | None = None,
) -> Signal:
    return Signal(work_id, strength_of(verdict), NOON - age, terms)


def _labels(*signals: Signal) -> dict[str, float]:
    return {i.term.label: i.weight for i in infer_interests(signals, at=NOON)}


@pytest.mark.parametrize(
    ("signals", "expected"),
    [
        pytest.param([], {}, id="no signal"),
        pytest.param([_loan(1, STARS)], {}, id="one work is no interest"),
        pytest.param([_loan(1, STARS)] * 3, {}, id="nor is the same work thrice"),
        pytest.param(
            [_loan(1, STARS), _loan(2, STARS, LAW)], {"Stars": 1.0}, id="two works are"
        ),
        pytest.param(
            [_loan(1, STARS, SAGAN), _loan(2, STARS, SAGAN), _loan(3, STARS)],
            {"Stars": 1.0, "Sagan": 0.667},
            id="in relation to the heaviest",
        ),
        pytest.param(
            [
                _loan(1, STARS),
                _loan(2, STARS),
                _loan(3, LAW, age=HALF_LIFE),
                _loan(4, LAW, age=HALF_LIFE),
            ],
            {"Stars": 1.0, "Law": 0.5},
            id="half after a half-life",
        ),
        pytest.param(
            [
                _loan(1, STARS),
                _loan(2, STARS),
                _loan(3, STARS, verdict=Verdict.NOT_FOR_ME),
                _loan(4, STARS, verdict=Verdict.NOT_FOR_ME),
            ],
            {},
            id="more speaks against it",
        ),
    ],
)
def test_interests_are_inferred_from_what_repeats(
    signals: list[Signal], expected: dict[str, float]
) -> None:
    assert _labels(*signals) == expected


def test_an_unknown_day_counts_as_one_half_life_ago() -> None:
    old = [Signal(n, 1.0, None, (LAW,)) for n in (1, 2)]
    new = [_loan(n, STARS) for n in (3, 4)]
    assert _labels(*old, *new) == {"Stars": 1.0, "Law": 0.5}


def test_a_day_to_come_counts_as_today() -> None:
    ahead = [_loan(n, LAW, age=-HALF_LIFE) for n in (1, 2)]
    assert _labels(*ahead, _loan(3, STARS), _loan(4, STARS)) == {
        "Law": 1.0,
        "Stars": 1.0,
    }


def test_no_more_than_the_heaviest_and_none_above_a_stated_one() -> None:
    terms = [Term(InterestKind.SUBJECT, f"s{n}", f"S{n}") for n in range(MOST + 5)]
    signals = [_loan(work, *terms) for work in (1, 2)]
    inferred: list[Inferred] = infer_interests(signals, at=NOON)
    assert len(inferred) == MOST
    assert max(each.weight for each in inferred) == HEAVIEST


def test_the_order_of_signals_does_not_matter() -> None:
    signals = [_loan(1, STARS, LAW), _loan(2, STARS, SAGAN), _loan(3, LAW, SAGAN)]
    forth = infer_interests(signals, at=NOON)
    assert forth == infer_interests(reversed(signals), at=NOON)
