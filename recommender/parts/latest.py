"""Latest: what became new here last, the same for every patron.

The recency baseline of Garcin, Faltings, Donatsch et al.: Offline and Online
Evaluation of News Recommender Systems (RecSys 2014).
"""

from __future__ import annotations

import numpy as np

from recommender.arrays import FloatArray, History, IntArray


def fit(history: History, arrived: FloatArray | None) -> FloatArray:
    """Return when each work became new, shape (works,), later is larger.

    Its day of arrival where known, else its first loan; nan where neither is known.
    The two are different clocks, so one library uses one of them.
    """
    if arrived is not None and np.isfinite(arrived).any():
        return arrived.astype(np.float32)
    return first_lent(history)


def first_lent(history: History) -> FloatArray:
    """Return minus the days since each work's first loan, shape (works,), or nan."""
    first = np.full(history.n_works, np.nan, np.float32)
    if history.age is not None and len(history.column):
        oldest = np.zeros(history.n_works, np.float32)
        np.maximum.at(oldest, history.column, history.age)
        first[history.column] = -oldest[history.column]
    return first


def score(arrived: FloatArray, n_patrons: int, candidates: IntArray) -> FloatArray:
    """Return shape (patrons, candidates)."""
    return np.tile(arrived[candidates].astype(np.float32), (n_patrons, 1))
