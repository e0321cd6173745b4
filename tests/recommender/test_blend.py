"""Mixing by weights."""

import hypothesis.strategies as st
import numpy as np
from hypothesis import given
from hypothesis.extra import numpy as arrays

from recommender.blend import Softening, blend, soften

SCORES = arrays.arrays(np.float32, 7, elements=st.floats(-50, 50, width=32))


def test_an_unknown_score_counts_as_the_mean() -> None:
    scores = np.array([[np.nan, 1.0], [2.0, 1.0]], np.float32)

    assert blend(scores, [1, 1]).sum(axis=0).tolist() == [2.0, 2.0]


def test_a_part_adds_by_its_weight() -> None:
    scores = np.array([[1.0, 1.0], [5.0, 9.0]], np.float32)

    assert blend(scores, [0.5, 0]).tolist() == [[0.5, 0.5], [0, 0]]


@given(SCORES, st.floats(0.125, 4, width=32))
def test_one_part_alone_keeps_its_order(scores: np.ndarray, weight: float) -> None:
    (mixed,) = blend(scores[None], [weight])

    assert (np.diff(mixed[np.argsort(scores)]) >= 0).all()


@given(SCORES, st.sampled_from(list(Softening)))
def test_softening_keeps_order_and_sign(
    scores: np.ndarray, softening: Softening
) -> None:
    drawn = soften(scores, softening)

    assert (np.diff(drawn[np.argsort(scores)]) >= 0).all()
    assert (drawn * scores >= 0).all()
    assert (np.abs(drawn) <= np.abs(scores) + 1e-5).all()
