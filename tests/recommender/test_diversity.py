from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from recommender.diversity import Caps, Sides, diversify, few_borrow

CAPS = Caps(creator=2, subject=4, series=2, different=2)


def test_no_creator_more_than_twice() -> None:
    sides = [Sides(creators=("a",))] * 5 + [Sides(creators=("b",))] * 5

    assert diversify(range(10), sides, 10, CAPS) == [0, 1, 5, 6]


def test_two_of_ten_places_are_kept_for_what_few_borrow() -> None:
    sides = [Sides(common=True)] * 20 + [Sides()] * 5

    chosen = diversify(range(25), sides, 10, CAPS)

    assert chosen == [*range(8), 20, 21]


def test_common_works_fill_places_that_nothing_else_takes() -> None:
    assert diversify(range(9), [Sides(common=True)] * 9, 9, CAPS) == list(range(9))


def test_what_few_borrow_already_counts_when_it_leads() -> None:
    sides = [Sides(), Sides(), *[Sides(common=True)] * 20, *[Sides()] * 5]

    assert diversify(range(27), sides, 10, CAPS) == list(range(10))


def test_only_the_first_subject_is_capped() -> None:
    sides = [Sides(subjects=("fiction", f"s{i}")) for i in range(9)]

    assert len(diversify(range(9), sides, 9, CAPS)) == 4


def test_nothing_of_nothing() -> None:
    assert diversify([], [], 10, CAPS) == []


SIDES = st.builds(
    Sides,
    creators=st.tuples(st.sampled_from("abc")),
    subjects=st.tuples(st.sampled_from("xy")),
    series=st.sampled_from([None, "s", "t"]),
    common=st.booleans(),
)


@given(st.lists(SIDES, max_size=40), st.integers(0, 12), st.randoms())
def test_keeps_order_and_caps_and_invents_nothing(
    sides: list[Sides], size: int, chance: object
) -> None:
    ranked = list(range(len(sides)))
    chance.shuffle(ranked)  # type: ignore[attr-defined]

    chosen = diversify(ranked, sides, size, CAPS)

    assert len(chosen) <= size
    assert [place for place in ranked if place in chosen] == chosen
    for cap, names in (
        (CAPS.creator, [sides[p].creators[0] for p in chosen]),
        (CAPS.subject, [sides[p].subjects[0] for p in chosen]),
        (CAPS.series, [sides[p].series for p in chosen if sides[p].series is not None]),
    ):
        assert max(Counter(names).values(), default=0) <= cap


def test_what_few_borrow_is_marked_where_most_is_common() -> None:
    sides = [Sides(common=True)] * 8 + [Sides()] * 2

    assert few_borrow(range(10), sides) == {8, 9}


def test_in_a_list_of_new_works_nothing_is_different() -> None:
    assert few_borrow(range(3), [Sides()] * 3) == frozenset()
    assert few_borrow([], []) == frozenset()
