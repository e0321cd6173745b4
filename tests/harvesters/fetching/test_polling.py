from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from harvesters.fetching.polling import (
    LONGEST,
    LONGEST_PAUSE,
    SHORTEST,
    after_failure,
    next_check,
)
from tests.factories import NOON

days = st.integers(0, 60).map(
    lambda ago: (NOON - timedelta(days=ago)).date().isoformat()
)
headers = st.fixed_dictionaries(
    {},
    optional={
        "cache-control": st.sampled_from(
            [
                "max-age=0",
                "max-age=7200",
                "max-age=99999999999",
                "no-cache",
                "max-age=x",
            ]
        ),
        "expires": st.sampled_from(["0", "Sun, 01 Mar 2026 15:00:00 GMT", "junk"]),
    },
)
jitter = st.floats(0, 1)


@given(st.lists(days, max_size=80), headers, jitter)
def test_the_interval_stays_in_its_bounds(
    published: list[str], told: dict[str, str], spread: float
) -> None:
    at = next_check(NOON, published=published, headers=told, jitter=spread)

    assert SHORTEST <= at - NOON <= LONGEST


@given(st.lists(days, max_size=80), days, headers, jitter)
def test_more_records_never_lengthen_it(
    published: list[str], one_more: str, told: dict[str, str], spread: float
) -> None:
    before = next_check(NOON, published=published, headers=told, jitter=spread)
    after = next_check(
        NOON, published=[*published, one_more], headers=told, jitter=spread
    )

    assert after <= before


def test_a_busy_source_is_asked_often_and_a_quiet_one_daily() -> None:
    today = NOON.date().isoformat()

    assert next_check(NOON, published=[today] * 2000) == NOON + SHORTEST
    assert next_check(NOON, published=[]) == NOON + LONGEST


def test_an_answer_is_not_asked_for_while_it_is_fresh() -> None:
    busy = [NOON.date().isoformat()] * 2000
    told = {"cache-control": "public, max-age=7200"}

    assert next_check(NOON, published=busy, headers=told) == NOON + timedelta(hours=2)


@given(st.integers(1, 10_000), st.none() | st.integers(0, 86_400), jitter)
def test_a_failing_source_is_asked_again_for_ever(
    failures: int, wanted: int | None, spread: float
) -> None:
    at = after_failure(NOON, failures, retry_after=wanted, jitter=spread)

    assert timedelta() < at - NOON <= LONGEST_PAUSE
    assert at >= NOON + timedelta(seconds=wanted or 0)


def test_pauses_grow_up_to_three_days() -> None:
    pauses = [after_failure(NOON, n) - NOON for n in range(1, 20)]

    assert pauses == sorted(pauses)
    assert pauses[0] == SHORTEST
    assert pauses[-1] == LONGEST_PAUSE
