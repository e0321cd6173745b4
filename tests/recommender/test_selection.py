import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from recommender.metrics import NOBODY
from recommender.selection import _true_places, best_above


def by_full_sort(
    scores: np.ndarray, floor: float, k: int, nos: np.ndarray
) -> list[list[int]]:
    """Rank every row whole, ties by place, in plain Python."""
    lists = []
    for row, no in zip(scores.tolist(), nos.tolist(), strict=True):
        left = [
            place
            for place, score in enumerate(row)
            if score >= floor and score != float("-inf") and not no[place]
        ]
        left = sorted(left, key=lambda place: (-row[place], place))[:k]
        lists.append(left + [NOBODY] * (k - len(left)))
    return lists


@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 6),
    st.sampled_from([-np.inf, -9.0, 0.0, 1.0, 9.0]),
    st.booleans(),
    st.sampled_from([0.0, 0.1, 0.97, 1.0]),
)
def test_a_block_ranks_as_a_full_sort_does(
    seed: int, k: int, floor: float, coarse: bool, share: float
) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.standard_normal((5, 121)).astype(np.float32)
    if coarse:  # many ties
        scores = np.round(scores)
    scores[:, ::7] = -np.inf
    scores[0, ::4] = -5  # the sample of this row misleads
    scores[1, ::4] = 5
    scores[2] = -np.inf
    nos = rng.random(scores.shape) < share

    found = best_above(scores, np.full(5, floor, np.float32), k, nos=nos)

    assert found.tolist() == by_full_sort(scores, floor, k, nos)


def test_zeros_of_either_sign_tie() -> None:
    scores = np.full((1, 100), -1, np.float32)
    scores[0, [8, 30, 60]] = 0.0, -0.0, 0.0

    found = best_above(scores, np.zeros(1, np.float32), 3)

    assert found.tolist() == [[8, 30, 60]]


@pytest.mark.parametrize("k", [3, 100], ids=["sampled", "ranked whole"])
def test_rows_are_ranked_alike_in_whatever_block_they_stand(k: int) -> None:
    rng = np.random.default_rng(2)
    scores = np.round(rng.standard_normal((700, 1000)), 2).astype(np.float32)
    floors = rng.random(700).astype(np.float32)

    together = best_above(scores, floors, k)

    apart = [best_above(scores[i : i + 1], floors[i : i + 1], k) for i in range(700)]
    assert together.tobytes() == np.concatenate(apart).tobytes()


@given(st.integers(0, 2**32 - 1), st.integers(0, 300), st.sampled_from([0, 0.05, 1]))
def test_true_places_are_those_numpy_finds(seed: int, size: int, share: float) -> None:
    mask = np.random.default_rng(seed).random(size) < share

    assert np.array_equal(_true_places(mask), np.flatnonzero(mask))
