"""Links from work to work, which several parts learn each in its own way."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix

from recommender.arrays import FloatArray, History, IntArray

Indices = npt.NDArray[np.int64] | npt.NDArray[np.int32]
"""Rows as they are counted here, or as a sparse matrix keeps its own."""

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
    if len(history) == 1:
        weight = history.faded(half_life)
        total = add_rows(links.matrix, history.column, weight)[None, candidates]
    else:
        total = product(history.matrix(half_life), links.matrix, candidates)
    total[:, ~links.known[candidates]] = np.nan
    return np.asarray(total, np.float32)


def product(asked: csr_matrix, matrix: csr_matrix, columns: IntArray) -> FloatArray:
    """Return asked @ matrix[:, columns], dense, by whichever way reads least.

    Picking columns reads the whole matrix, which for few patrons is nearly all the
    work: then only the rows asked for are looked at.
    """
    if asked.nnz * MOST < matrix.shape[0]:
        used = np.unique(asked.indices)
        total = asked[:, used] @ matrix[used][:, columns]
    elif len(columns) * MOST > matrix.shape[1]:
        return np.asarray((asked @ matrix).toarray()[:, columns], np.float32)
    else:
        total = asked @ matrix[:, columns]
    return np.asarray(total.toarray(), np.float32)


def add_rows(matrix: csr_matrix, rows: Indices, weight: FloatArray) -> FloatArray:
    """Return the sum of some rows, each with its weight, shape (columns,).

    What `product` gives for one patron, for whom to make a matrix costs more.
    """
    at, lengths = cells_of(matrix, rows)
    values = matrix.data[at] * np.repeat(weight, lengths)
    total = np.bincount(matrix.indices[at], values, minlength=matrix.shape[1])
    return np.asarray(total, np.float32)


def pick(matrix: csr_matrix, rows: Indices, columns: IntArray) -> FloatArray:
    """Return matrix[rows][:, columns], dense; made for few rows and columns."""
    at, lengths = cells_of(matrix, rows)
    picked = np.zeros((len(rows), matrix.shape[1]), np.float32)
    picked[np.repeat(np.arange(len(rows)), lengths), matrix.indices[at]] = matrix.data[
        at
    ]
    return picked[:, columns]


def cells_of(matrix: csr_matrix, rows: Indices) -> tuple[IntArray, IntArray]:
    """Return where the rows' entries stand in the data, row by row, and how many."""
    start = matrix.indptr[rows].astype(np.int64)
    lengths = matrix.indptr[rows + 1] - start
    ends = np.cumsum(lengths)
    at = np.arange(ends[-1] if len(ends) else 0)
    return at + np.repeat(start - ends + lengths, lengths), lengths


def nothing(rows: int, columns: int) -> csr_matrix:
    """Return an empty sparse matrix."""
    place = (np.empty(0, np.int64), np.empty(0, np.int64))
    return csr_matrix((np.empty(0, np.float32), place), shape=(rows, columns))
