from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from notifier.digest import Digest, Heading, arrange


@dataclass(frozen=True)
class One:
    alert_id: int
    score: float = 1.0
    interest_id: int | None = None
    rule_id: int | None = None


def headings(digest: Digest[One]) -> list[tuple[Heading, int | None]]:
    return [(section.heading, section.interest_id) for section in digest.sections]


def test_three_interests_make_three_headings_in_the_order_of_their_best() -> None:
    digest = arrange(
        [One(1, 1.0, 10), One(2, 3.0, 20), One(3, 2.0, 30), One(4, 2.5, 10)], limit=9
    )

    assert headings(digest) == [
        (Heading.INTEREST, 20),
        (Heading.INTEREST, 10),
        (Heading.INTEREST, 30),
    ]
    assert [one.alert_id for one in digest.shown] == [2, 4, 1, 3]


def test_a_librarians_choice_comes_first_and_taste_has_its_own_heading() -> None:
    digest = arrange([One(1, 9.0), One(2, 1.0, rule_id=4)], limit=9)

    assert headings(digest) == [(Heading.LIBRARIAN, None), (Heading.FOR_YOU, None)]


def test_63_under_a_limit_of_20_show_20_and_43_more() -> None:
    digest = arrange([One(n) for n in range(63)], limit=20)

    assert (len(digest.shown), digest.more, digest.total) == (20, 43, 63)


ones = st.builds(
    One,
    st.integers(1, 10**6),
    st.floats(-3, 3),
    st.one_of(st.none(), st.integers(1, 4)),
    st.one_of(st.none(), st.integers(1, 2)),
)


@given(
    st.lists(ones, max_size=40, unique_by=lambda one: one.alert_id), st.integers(1, 25)
)
def test_none_is_lost_and_the_best_are_shown(alerts: list[One], limit: int) -> None:
    digest = arrange(alerts, limit=limit)

    assert digest.total == len(alerts)
    assert len(digest.shown) == min(limit, len(alerts))
    hidden = set(alerts) - set(digest.shown)
    if hidden and digest.shown:
        worst = min(one.score for one in digest.shown)
        assert all(one.score <= worst for one in hidden)
