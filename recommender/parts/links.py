"""Links from work to work, which several parts learn each in its own way."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix

from recommender.arrays import FloatArray, History, IntArray

MOST = 4
"""One work in so many being asked for, it is cheaper to score all of them."""


@dataclass(frozen=True)
class Links:
    """How strongly having borrowed one work speaks for another.

    Attributes:
        matrix: Works x works; row = borrowed, column = spoken for.
        known: Shape (works,), which columns the links know anything of.
    """

    matrix: csr_matrix
    known: np.ndarray[tuple[int], np.dtype[np.bool_]]


def score(
    links: Links,
    history: History,
    candidates: IntArray,
    *,
    half_life: float | None = None,
) -> FloatArray:
    """Add up the links from each patron's works, shape (patrons, candidates).

    A candidate the links do not know is nan.
    """
    total = product(history.matrix(half_life), links.matrix, candidates)
    total[:, ~links.known[candidates]] = np.nan
    return np.asarray(total, np.float32)


def product(asked: csr_matrix, matrix: csr_matrix, columns: IntArray) -> FloatArray:
    """Return asked @ matrix[:, columns], dense, by whichever way reads least.

    Picking columns reads the whole matrix, which for one patron is nearly all the work:
    then the few rows asked for are picked first.
    """
    if asked.nnz * MOST < matrix.shape[0]:
        used = np.unique(asked.indices)
        total = asked[:, used] @ matrix[used][:, columns]
    elif len(columns) * MOST > matrix.shape[1]:
        return np.asarray((asked @ matrix).toarray()[:, columns], np.float32)
    else:
        total = asked @ matrix[:, columns]
    return np.asarray(total.toarray(), np.float32)


def nothing(rows: int, columns: int) -> csr_matrix:
    """Return an empty sparse matrix."""
    place = (np.empty(0, np.int64), np.empty(0, np.int64))
    return csr_matrix((np.empty(0, np.float32), place), shape=(rows, columns))
