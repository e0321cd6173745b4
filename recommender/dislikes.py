"""What patrons turned down lowers the works like it. Pure.

The work itself is never brought again; this is about its neighbours in content, as in
Rocchio's negative feedback (1971). Collaborative parts learn nothing from a "not for
me": few are given, and those who borrow two works together do not say that who dislikes
one dislikes the other.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_matrix

from recommender.arrays import FloatArray, IntArray

MOST = 4.0
"""Standard deviations; however much was turned down, a work loses no more."""


def lower(
    vectors: csr_matrix,
    disliked: csr_matrix,
    candidates: IntArray,
) -> FloatArray:
    """Return what each candidate loses for each patron, in standard deviations.

    Likeness times weight, added up over what the patron turned down, at most `MOST`.

    Args:
        vectors: Works x terms, rows of length 1 or 0.
        disliked: Patrons x works, how much each "not for me" says now, above 0.
        candidates: Columns.

    Returns:
        Shape (patrons, candidates), from 0 to `MOST`.
    """
    loss = np.zeros((disliked.shape[0], len(candidates)), np.float32)
    rows = np.flatnonzero(np.diff(disliked.indptr))
    if len(rows):
        met = (disliked[rows] @ vectors) @ vectors[candidates].T
        loss[rows] = np.clip(met.toarray(), 0, MOST)
    return loss
