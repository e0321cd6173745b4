"""How good a ranking is: recall, NDCG, coverage and novelty, per patron and on average.

All figures are of ranked lists that someone would have been shown; none says that a
work left unborrowed was a bad one. NDCG: Järvelin, Kekäläinen: Cumulated Gain-Based
Evaluation of IR Techniques (TOIS 2002), each true work counting the same. Novelty:
Vargas, Castells: Rank and Relevance in Novelty and Diversity Metrics (RecSys 2011).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from recommender.arrays import FloatArray, IntArray

BoolArray = npt.NDArray[np.bool_]

SHOWN = 10
"""Works in the list that NDCG, coverage and novelty look at."""
RECALLED = 20
KEPT = 100
"""Works of a ranking that are kept."""
NOBODY = -1
"""Stands in a ranking where there was no work left to rank."""
_CERTAINTY = 1.96


@dataclass(frozen=True)
class Truth:
    """What patrons borrowed that the ranking was to find.

    Attributes:
        rows: Shape (patrons,), the measured patrons, rising.
        indptr: Shape (patrons + 1,), where each patron's true works begin.
        column: The true works, rising within a patron.
    """

    rows: IntArray
    indptr: IntArray
    column: IntArray

    def __len__(self) -> int:
        """Return how many patrons are measured."""
        return len(self.rows)

    @property
    def sizes(self) -> IntArray:
        """How many true works each patron has, shape (patrons,)."""
        return np.diff(self.indptr)


@dataclass(frozen=True)
class Figure:
    """A mean over patrons with its 95 % interval by the normal approximation."""

    value: float
    low: float
    high: float
    patrons: int


def build_truth(row: IntArray, column: IntArray) -> Truth:
    """Gather pairs of patron and work; the same pair twice counts once."""
    pairs = np.unique(np.stack([row, column], axis=1), axis=0).reshape(-1, 2)
    rows, starts = np.unique(pairs[:, 0], return_index=True)
    return Truth(rows, np.append(starts, len(pairs)).astype(np.int64), pairs[:, 1])


def best(scores: FloatArray, k: int) -> IntArray:
    """Return the places of each row's `k` best scores, best first.

    Shape (rows, k), `NOBODY` where fewer are left. What is -inf or nan is left out;
    ties go to the lower place, so the columns are given in the order of ties.
    """
    n_rows, n = scores.shape
    found = np.full((n_rows, k), NOBODY, np.int64)
    if not n or not k:
        return found
    usable = np.where(np.isfinite(scores), scores, -np.inf)
    least = _nth_best(usable, min(k, n))
    row, place = np.nonzero((usable >= least[:, None]) & np.isfinite(usable))
    order = np.lexsort((place, -usable[row, place], row))
    row, place = row[order], place[order]
    starts = np.searchsorted(row, np.arange(n_rows))
    rank = np.arange(len(row)) - starts[row]
    top = rank < k
    found[row[top], rank[top]] = place[top]
    return found


def hits(ranking: IntArray, truth: Truth, at: slice) -> BoolArray:
    """Tell which works of a ranking are true, shape as `ranking`.

    Args:
        ranking: Shape (patrons, k), columns or `NOBODY`, of a stretch of the patrons.
        truth: Of all measured patrons.
        at: The stretch.
    """
    starts, ends = truth.indptr[:-1][at], truth.indptr[1:][at]
    found = np.zeros(ranking.shape, bool)
    for index, (start, end) in enumerate(zip(starts, ends, strict=True)):
        found[index] = np.isin(ranking[index], truth.column[start:end])
    return found


def recall(hit: BoolArray, sizes: IntArray) -> FloatArray:
    """Return the share of true works among the first `RECALLED`, per patron."""
    found = hit[:, :RECALLED].sum(axis=1)
    return np.asarray(found / sizes, np.float32)


def ndcg(hit: BoolArray, sizes: IntArray) -> FloatArray:
    """Return NDCG of the first `SHOWN`, per patron."""
    gain = 1 / np.log2(np.arange(2, SHOWN + 2))
    ideal = np.concatenate([[0], np.cumsum(gain)])[np.minimum(sizes, SHOWN)]
    shown = hit[:, :SHOWN]
    gained = (shown * gain[: shown.shape[1]]).sum(axis=1)
    return np.asarray(gained / ideal, np.float32)


def served(hit: BoolArray) -> FloatArray:
    """Return 1 for a patron with a true work among the first `SHOWN`, else 0."""
    return np.asarray(hit[:, :SHOWN].any(axis=1), np.float32)


def novelty(ranking: IntArray, popularity: IntArray, n_patrons: int) -> FloatArray:
    """Return the mean surprise of the first `SHOWN` works in bits, per patron.

    Args:
        ranking: Shape (patrons, k), columns or `NOBODY`.
        popularity: Shape (works,), by how many patrons each work was borrowed.
        n_patrons: Of the training; a work borrowed by all of them is 0 bits.
    """
    surprise = -np.log2((popularity + 1) / (n_patrons + 1))
    shown = ranking[:, :SHOWN]
    there = shown != NOBODY
    bits = np.where(there, surprise[shown], 0).sum(axis=1)
    return np.asarray(bits / np.maximum(there.sum(axis=1), 1), np.float32)


def coverage(shown: IntArray, n_candidates: int) -> float:
    """Return the share of the candidates that stand in somebody's first `SHOWN`."""
    works = np.unique(shown[:, :SHOWN])
    return float((works != NOBODY).sum() / max(n_candidates, 1))


def figure(values: FloatArray) -> Figure:
    """Average over patrons; nan of nobody."""
    n = len(values)
    if not n:
        return Figure(float("nan"), float("nan"), float("nan"), 0)
    mean = float(values.mean(dtype=np.float64))
    error = _CERTAINTY * float(values.std(dtype=np.float64)) / n**0.5
    return Figure(mean, mean - error, mean + error, n)


def ratio(part: IntArray, whole: IntArray) -> Figure:
    """Divide the sums of two counts per patron; nan of nobody.

    Patrons differ in how much they were told, and what one patron does hangs together,
    so the interval is that of a ratio of means over patrons (Cochran, Sampling
    Techniques, 1977, section 2.11), cut to 0 and 1. Where nobody took anything, or all
    took everything, that would be no width at all: then it is the rule of three
    (Hanley, Lippman-Hand: If Nothing Goes Wrong, Is Everything All Right? 1983).
    """
    n, total = len(whole), int(whole.sum())
    if not total:
        return Figure(float("nan"), float("nan"), float("nan"), n)
    value = float(part.sum() / total)
    spread = float(((part - value * whole) ** 2).sum() * n / max(n - 1, 1)) ** 0.5
    error = _CERTAINTY * spread / total if spread else 3 / n
    return Figure(value, max(value - error, 0.0), min(value + error, 1.0), n)


def stretches(n: int, size: int) -> Iterator[slice]:
    """Cut `n` patrons into stretches of at most `size`."""
    return (slice(at, min(at + size, n)) for at in range(0, n, size))


def order_of_ties(refs: Sequence[str]) -> IntArray:
    """Return the columns in the order in which ties are broken.

    References that are all numbers are compared as numbers, others as text.
    """
    if all(ref.isascii() and ref.isdigit() for ref in refs):
        return np.array(sorted(range(len(refs)), key=lambda i: int(refs[i])), np.int64)
    return np.array(sorted(range(len(refs)), key=lambda i: refs[i]), np.int64)


def _nth_best(usable: FloatArray, nth: int) -> FloatArray:
    place = usable.shape[1] - nth
    return np.asarray(np.partition(usable, place, axis=1)[:, place])
