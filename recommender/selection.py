"""Each patron's best works out of a block of scores, for a million patrons. Pure.

A sample of each row tells how high to look, one pass finds what is above, and only a
row that the sample misled is ranked whole. Which rows are looked at together, and by
how many threads, changes nothing in what is found.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from recommender.arrays import FloatArray, IntArray
from recommender.metrics import NOBODY, BoolArray, best

_EVERY = 4
"""Every fourth score of a row is in its sample."""
_SAMPLED = 12
"""Rows longer than so many times the list are sampled."""
_TOGETHER = 300_000
"""Scores that a core's own cache holds beside what is made of them."""
_WORD = 8
_LEAST = np.finfo(np.float32).min


def best_above(
    scores: FloatArray, floors: FloatArray, k: int, *, nos: BoolArray | None = None
) -> IntArray:
    """Return the places of each row's `k` best scores not below its floor, best first.

    Args:
        scores: Shape (rows, places), never nan; what is -inf is left out.
        floors: Shape (rows,).
        k: Longest list.
        nos: Shape of the scores, what is left out whatever its score.

    Returns:
        Shape (rows, k), `NOBODY` where fewer are left; ties go to the lower place.
    """
    n_rows, n = scores.shape
    floors = np.maximum(floors, _LEAST).astype(np.float32)
    if not n_rows or not k or n < _SAMPLED * k:
        return best(_left(scores, floors, nos), k)
    found = np.empty((n_rows, k), np.int64)
    size = max(_TOGETHER // n, 1)

    def fill(at: int) -> None:
        rows = slice(at, at + size)
        out = None if nos is None else nos[rows]
        found[rows] = _best_of_block(scores[rows], floors[rows], k, out)

    if n_rows <= size:  # a page must not wait for threads to begin
        fill(0)
        return found
    # What is done here holds no lock of the interpreter for long.
    with ThreadPoolExecutor() as pool:
        list(pool.map(fill, range(0, n_rows, size)))
    return found


def _left(scores: FloatArray, floors: FloatArray, nos: BoolArray | None) -> FloatArray:
    left = np.where(scores >= floors[:, None], scores, -np.inf)
    if nos is not None:
        left[nos] = -np.inf
    return left


def _best_of_block(
    scores: FloatArray, floors: FloatArray, k: int, nos: BoolArray | None
) -> IntArray:
    cut = np.maximum(_high_enough(scores, k), floors)
    above = scores >= cut[:, None]
    if nos is not None:
        np.greater(above, nos, out=above)  # above, and no no
    flat = _true_places(above)
    ends = np.searchsorted(flat, np.arange(1, len(scores) + 1) * scores.shape[1])
    found = _ranked_cells(scores, flat, ends, k)
    misled = np.flatnonzero((np.diff(ends, prepend=0) < k) & (cut > floors))
    if len(misled):
        no = None if nos is None else nos[misled]
        found[misled] = best(_left(scores[misled], floors[misled], no), k)
    return found


def _high_enough(scores: FloatArray, k: int) -> FloatArray:
    """Guess a score of each row that a few more than `k` reach."""
    sample = scores[:, ::_EVERY]
    expected = k / _EVERY
    rank = min(int(expected + 2 * expected**0.5) + 1, sample.shape[1])
    place = sample.shape[1] - rank
    return np.asarray(np.partition(sample, place, axis=1)[:, place])


def _true_places(mask: BoolArray) -> IntArray:
    """Do what `np.flatnonzero` does in half the time: pass over eight at once."""
    flags = mask.ravel()
    if flags.size % _WORD:
        return np.flatnonzero(flags)
    words = flags.view(np.uint64)
    some = np.flatnonzero(words != 0)
    inner = np.flatnonzero(words[some].view(np.bool_))
    return np.asarray(some[inner // _WORD] * _WORD + inner % _WORD)


def _ranked_cells(
    scores: FloatArray, flat: IntArray, ends: IntArray, k: int
) -> IntArray:
    """Rank the cells of each row; a score and its place are sorted as one number."""
    n_rows, n = scores.shape
    counts = np.diff(ends, prepend=0)
    width = max(int(counts.max()), k)
    rows = np.arange(n_rows)
    # Taken from 0, since a zero below zero is no less than one above.
    bits = (np.float32(0) - scores.ravel()[flat]).view(np.int32)
    falling = (bits ^ ((bits >> 31) & np.int32(0x7FFFFFFF))).astype(np.int64)
    key = (falling << 32) | (flat - np.repeat(rows * n, counts))
    keys = np.full((n_rows, width), np.iinfo(np.int64).max)
    keys.ravel()[
        np.arange(len(flat)) + np.repeat(rows * width - ends + counts, counts)
    ] = key
    keys.sort(axis=1)
    place = keys[:, :k] & 0xFFFFFFFF
    return np.where(np.arange(k) < counts[:, None], place, NOBODY)
