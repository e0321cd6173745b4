import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.selection import Candidate, Selection, choose


def told(selection: Selection) -> list[int]:
    return [candidate.work_id for candidate in selection.chosen]


def select(
    *candidates: Candidate,
    barred: frozenset[int] = frozenset(),
    floor: float = 0.0,
    allowance: int = 10,
) -> Selection:
    return choose(candidates, barred=barred, floor=floor, allowance=allowance)


def test_the_best_come_first_and_ties_go_to_the_lower_work() -> None:
    found = select(Candidate(3, 1.0), Candidate(2, 2.0), Candidate(1, 1.0))

    assert told(found) == [2, 1, 3]


def test_of_several_matches_for_a_work_the_best_counts() -> None:
    found = select(Candidate(1, 1.0, interest_id=5), Candidate(1, 3.0, interest_id=6))

    assert [(c.work_id, c.interest_id) for c in found.chosen] == [(1, 6)]


def test_barred_works_are_counted_and_left_out() -> None:
    found = select(Candidate(1, 1.0), Candidate(2, 1.0), barred=frozenset({1}))

    assert (told(found), found.barred) == ([2], 1)


@pytest.mark.parametrize(
    ("candidate", "count"),
    [
        pytest.param(Candidate(1, 0.5), 0, id="below the floor"),
        pytest.param(Candidate(1, 0.6), 1, id="at the floor"),
        pytest.param(Candidate(1, 0.5, interest_id=1), 1, id="an interest asked"),
        pytest.param(Candidate(1, 0.5, rule_id=1), 1, id="a librarian asked"),
    ],
)
def test_the_floor(candidate: Candidate, count: int) -> None:
    found = select(candidate, floor=0.6)

    assert len(found.chosen) == count
    assert found.below_floor == 1 - count


def test_over_the_allowance_they_wait() -> None:
    found = select(Candidate(1, 1.0), Candidate(2, 2.0), allowance=1)

    assert (told(found), found.over_allowance) == ([2], 1)
    assert told(select(Candidate(1, 1.0), allowance=-3)) == []


@given(
    st.lists(st.builds(Candidate, st.integers(1, 9), st.floats(-3, 3)), max_size=30),
    st.frozensets(st.integers(1, 9)),
    st.integers(0, 5),
)
def test_no_work_twice_none_barred_none_above_the_allowance(
    candidates: list[Candidate], barred: frozenset[int], allowance: int
) -> None:
    found = select(*candidates, barred=barred, allowance=allowance)

    assert len(set(told(found))) == len(told(found)) <= allowance
    assert not barred & set(told(found))
    works = {candidate.work_id for candidate in candidates}
    rest = found.barred + found.below_floor + found.over_allowance
    assert len(works) == len(found.chosen) + rest
