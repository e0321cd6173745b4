import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.sparse import csr_matrix

from recommender.dislikes import MOST, lower
from recommender.parts.content import unit_rows

# Works by terms: two of one subject, one of another, one without words.
VECTORS = unit_rows(
    csr_matrix(np.array([[1, 1, 0], [1, 0, 0], [0, 0, 1], [0, 0, 0]], np.float32))
)
ALL = np.arange(4)


def test_what_is_like_a_disliked_work_loses_and_nothing_else() -> None:
    disliked = csr_matrix(np.array([[3.0, 0, 0, 0], [0, 0, 0, 0]], np.float32))

    loss = lower(VECTORS, disliked, ALL)

    assert np.allclose(loss[0], [3, 3 / np.sqrt(2), 0, 0])
    assert not loss[1].any()


def test_many_dislikes_add_up_to_a_bound() -> None:
    disliked = csr_matrix(np.array([[50.0, 50, 0, 0]], np.float32))

    assert lower(VECTORS, disliked, ALL).max() == MOST


@given(arrays.arrays(np.float32, (3, 4), elements=st.floats(0, 10, width=32)))
def test_a_dislike_never_raises(weights: np.ndarray) -> None:
    loss = lower(VECTORS, csr_matrix(weights), ALL)

    assert loss.shape == (3, 4)
    assert (loss >= 0).all()
    assert (loss <= MOST).all()
