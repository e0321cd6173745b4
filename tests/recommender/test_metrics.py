import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from recommender.metrics import (
    NOBODY,
    best,
    build_truth,
    coverage,
    figure,
    hits,
    ndcg,
    novelty,
    order_of_ties,
    ratio,
    recall,
    served,
)

ONE = slice(0, 1)


def test_best_breaks_ties_by_place_and_leaves_out_what_is_excluded() -> None:
    scores = np.array([[1, 3, -np.inf, 3, np.nan, 2]], np.float32)

    assert best(scores, 5).tolist() == [[1, 3, 5, 0, NOBODY]]


@pytest.mark.parametrize("shape", [(0, 4), (3, 0)], ids=["nobody", "no work"])
def test_best_of_nothing(shape: tuple[int, int]) -> None:
    found = best(np.zeros(shape, np.float32), 2)

    assert found.shape == (shape[0], 2)
    assert (found == NOBODY).all()


@given(
    arrays(
        np.float32,
        (4, 9),
        elements=st.sampled_from([0.0, 1.0, 2.0, -1.0, float("-inf"), float("nan")]),
    ),
    st.integers(1, 12),
)
def test_best_agrees_with_sorting_everything(
    scores: np.ndarray[tuple[int, int]], k: int
) -> None:
    found = best(scores, k)

    for row, ranking in zip(scores, found, strict=True):
        usable = [place for place in range(9) if math.isfinite(row[place])]
        expected = sorted(usable, key=lambda place: (-row[place], place))[:k]
        assert [place for place in ranking if place != NOBODY] == expected


def test_recall_and_ndcg_by_hand() -> None:
    truth = build_truth(np.array([7, 7, 7, 7]), np.array([2, 9, 4, 4]))
    hit = hits(np.array([[4, 1, 9, 3]]), truth, ONE)

    gained = 1 / math.log2(2) + 1 / math.log2(4)
    ideal = 1 / math.log2(2) + 1 / math.log2(3) + 1 / math.log2(4)
    assert recall(hit, truth.sizes)[0] == pytest.approx(2 / 3)
    assert ndcg(hit, truth.sizes)[0] == pytest.approx(gained / ideal)


def test_recall_looks_at_twenty_and_ndcg_at_ten() -> None:
    truth = build_truth(np.zeros(1, int), np.array([50]))
    ranking = np.arange(31, 61).reshape(1, -1)  # the true work at rank 20
    hit = hits(ranking, truth, ONE)

    assert recall(hit, truth.sizes)[0] == 1
    assert ndcg(hit, truth.sizes)[0] == 0
    assert served(hit)[0] == 0


def test_more_true_works_than_shown_can_still_be_perfect() -> None:
    truth = build_truth(np.zeros(15, int), np.arange(15))
    hit = hits(np.arange(10).reshape(1, -1), truth, ONE)

    assert ndcg(hit, truth.sizes)[0] == pytest.approx(1)


def test_truth_counts_a_pair_once_and_sorts_patrons() -> None:
    truth = build_truth(np.array([3, 1, 3]), np.array([5, 2, 5]))

    assert truth.rows.tolist() == [1, 3]
    assert truth.sizes.tolist() == [1, 1]


def test_truth_of_nothing() -> None:
    truth = build_truth(np.empty(0, np.int64), np.empty(0, np.int64))

    assert len(truth) == 0
    assert figure(np.empty(0, np.float32)).patrons == 0


def test_a_work_everybody_borrowed_is_no_news() -> None:
    bits = novelty(np.array([[0, NOBODY], [1, NOBODY]]), np.array([7, 0]), 7)

    assert bits.tolist() == pytest.approx([0, 3])


def test_coverage_counts_works_shown_to_anybody() -> None:
    assert coverage(np.array([[1, 2], [2, NOBODY]]), 8) == 0.25


@pytest.mark.parametrize(
    ("refs", "expected"),
    [(["10", "9"], [1, 0]), (["a10", "a9"], [0, 1]), (["10", "x"], [0, 1])],
    ids=["numbers", "text", "mixed is text"],
)
def test_ties_follow_the_reference(refs: list[str], expected: list[int]) -> None:
    assert order_of_ties(refs).tolist() == expected


def test_the_interval_holds_the_mean() -> None:
    found = figure(np.array([0, 1, 0, 1], np.float32))

    assert found.value == 0.5
    assert found.low == pytest.approx(0.5 - 1.96 * 0.25)


def test_a_ratio_of_patrons_counts_has_an_interval() -> None:
    found = ratio(np.array([1, 0, 2, 0]), np.array([2, 2, 4, 2]))

    assert found.value == pytest.approx(0.3)
    assert 0 <= found.low < 0.3 < found.high <= 1
    assert found.patrons == 4


def test_of_nothing_taken_the_interval_still_has_a_width() -> None:
    none = ratio(np.zeros(30, np.int64), np.full(30, 5))
    every = ratio(np.full(30, 5), np.full(30, 5))

    assert [none.value, none.low, none.high] == pytest.approx([0, 0, 0.1])
    assert [every.value, every.low, every.high] == pytest.approx([1, 0.9, 1])


def test_a_ratio_of_nobody_is_no_number() -> None:
    assert np.isnan(ratio(np.zeros(0, np.int64), np.zeros(0, np.int64)).value)
