"""Successors: what patrons borrow some weeks or terms after a work.

A directed item-to-item model, in the line of Rendle, Freudenthaler, Schmidt-Thieme:
Factorizing Personalized Markov Chains (WWW 2010) without the factorising, and with
the gap in time that Ding, Li: Time Weight Collaborative Filtering (CIKM 2005) decay by.
Here the gap is matched instead: a loan of 100 days ago speaks for what others borrowed
100 and more days after it, so that in a university the textbooks of one term call up
those of the next, and no undirected method sees that.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix, diags

from recommender.arrays import FloatArray, History, IntArray
from recommender.parts.links import add_rows, product

EDGES = (1, 30, 60, 90, 135, 180, 225, 270, 315, 360, 405, 450, 540, 630, 720, 900)
"""Days between which gaps count as alike; ends of neighbouring bands."""

REACH = 100
MOST_PAIRS = 30_000_000
SHRINK = 5.0
HORIZON = 365.0


@dataclass(frozen=True)
class Succession:
    """Links per band of gaps.

    Attributes:
        matrix: (bands x works) x works, row = band * works + borrowed work.
        known: Shape (works,), which columns had loans.
    """

    matrix: csr_matrix
    known: np.ndarray[tuple[int], np.dtype[np.bool_]]


def fit(history: History) -> Succession:
    """Learn how often each work follows each other one, by band of gaps."""
    n = history.n_works
    known = np.bincount(history.column, minlength=n) > 0
    band, before, after = _pairs(history)
    shape = ((len(EDGES) - 1) * n, n)
    ones = np.ones(len(band), np.float32)
    counts = csr_matrix((ones, (band * n + before, after)), shape=shape)
    scale = 1 / (_observed(history).ravel() + SHRINK)
    matrix = csr_matrix(diags(scale.astype(np.float32)) @ counts, dtype=np.float32)
    return Succession(matrix, known)


def _pairs(history: History) -> tuple[IntArray, IntArray, IntArray]:
    row, column, age = history.row, history.column, history.age
    if age is None:
        raise ValueError("successors need dates")
    longest = int(history.lengths.max(initial=0))
    reach = min(REACH, longest, max(1, MOST_PAIRS // max(len(row), 1)))
    found: list[tuple[IntArray, IntArray, IntArray]] = []
    for step in range(1, reach):
        gap = age[step:] - age[:-step]
        near = np.flatnonzero(
            (row[step:] == row[:-step]) & (gap >= EDGES[0]) & (gap < EDGES[-1])
        )
        band = np.searchsorted(EDGES, gap[near], side="right") - 1
        found.append((band, column[step:][near], column[:-step][near]))
    if not found:
        return (np.empty(0, np.int64),) * 3
    band, before, after = (
        np.concatenate(arrays) for arrays in zip(*found, strict=True)
    )
    return band, before, after


def _observed(history: History) -> FloatArray:
    """Loans of each work old enough for a band to have been seen, bands x works."""
    age, n = history.age, history.n_works
    if age is None:
        raise ValueError("successors need dates")
    seen = [np.bincount(history.column[age >= low], minlength=n) for low in EDGES[:-1]]
    return np.array(seen, np.float32)


def score(
    succession: Succession,
    history: History,
    candidates: IntArray,
    *,
    half_life: float | None = None,
) -> FloatArray:
    """Expect what follows within `HORIZON` days from today; nan without loans."""
    pair, asked, weight = bands_of(history, half_life=half_life)
    if len(history) == 1:
        total = add_rows(succession.matrix, asked, weight)[None, candidates]
    else:
        shape = len(history), succession.matrix.shape[0]
        rows = csr_matrix((weight, (history.row[pair], asked)), shape=shape)
        total = product(rows, succession.matrix, candidates)
    total[:, ~succession.known[candidates]] = np.nan
    return np.asarray(total, np.float32)


def bands_of(
    history: History, *, half_life: float | None = None
) -> tuple[IntArray, IntArray, FloatArray]:
    """Tell which bands of which loans speak now.

    Returns:
        The pairs of the history, the rows of the succession's matrix, and how much.
    """
    weight, age, n = history.faded(half_life), history.age, history.n_works
    if age is None:
        nothing = np.zeros(0, np.int64)
        return nothing, nothing, np.zeros(0, np.float32)
    low, high = np.array(EDGES[:-1])[:, None], np.array(EDGES[1:])[:, None]
    shared = np.minimum(high, age + HORIZON) - np.maximum(low, age)
    share = np.clip(shared / (high - low), 0, 1) * weight
    band, pair = np.nonzero(share)
    asked = band * n + history.column[pair]
    return pair, asked, share[band, pair].astype(np.float32)
