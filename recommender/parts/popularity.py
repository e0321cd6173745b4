"""Popularity: what many borrow now, in the whole library or among patrons like this.

The baseline of Cremonesi, Koren, Turrin: Performance of Recommender Algorithms on
Top-N Recommendation Tasks (RecSys 2010), each loan halved with its age as in Ding,
Li: Time Weight Collaborative Filtering (CIKM 2005).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recommender.arrays import NOT_KNOWN, FloatArray, History, IntArray

YEAR = 365
SEASON = 60
FLOOR = 0.1
LEAST_GROUP = 20.0
"""Weighed loans of a group that count as much as the whole library's say."""


@dataclass(frozen=True)
class Popularity:
    """Weighed loans of each work, as multiples of the mean work's.

    Multiples, not counts, so that works which come later change nothing for others.

    Attributes:
        whole: Shape (works,).
        groups: Shape (codes, works): the same among patrons of one branch or category.
        known: Shape (works,), which works had loans.
    """

    whole: FloatArray
    groups: FloatArray
    known: np.ndarray[tuple[int], np.dtype[np.bool_]]


def fit(
    history: History, *, half_life: float | None = None, codes: IntArray | None = None
) -> Popularity:
    """Count each work's loans, an old one less; `codes` group the patrons."""
    return _count(history, _age_weight(history, half_life), codes)


def fit_season(history: History) -> Popularity:
    """Count the loans of the same weeks in earlier years, last year's most."""
    age = history.age if history.age is not None else np.zeros(len(history.column))
    ahead = np.mod(age, YEAR)
    weight = ((age > SEASON) & (ahead > YEAR - 2 * SEASON)) * np.exp2(-age / YEAR)
    return _count(history, weight.astype(np.float32), None)


def _age_weight(history: History, half_life: float | None) -> FloatArray:
    if half_life is None or history.age is None:
        return np.ones(len(history.column), np.float32)
    return np.asarray(np.exp2(-history.age / half_life), np.float32)


def _count(history: History, weight: FloatArray, codes: IntArray | None) -> Popularity:
    n = history.n_works
    counts = np.bincount(history.column, weights=weight, minlength=n)
    known = np.bincount(history.column, minlength=n) > 0
    mean = max(float(counts.sum()), 1e-9) / max(int(known.sum()), 1)
    whole: FloatArray = (counts / mean).astype(np.float32)
    groups = np.zeros((0, n), np.float32)
    if codes is not None:
        groups = _groups(history, weight, codes, whole)
    return Popularity(whole, groups, known)


def _groups(
    history: History, weight: FloatArray, codes: IntArray, whole: FloatArray
) -> FloatArray:
    """A group leans on the whole library, the more the smaller the group."""
    groups = np.zeros((int(codes.max(initial=NOT_KNOWN)) + 1, len(whole)), np.float32)
    of_pair = codes[history.row]
    there = of_pair != NOT_KNOWN
    np.add.at(groups, (of_pair[there], history.column[there]), weight[there])
    size = groups.sum(axis=1, keepdims=True)
    lent = max(int((whole > 0).sum()), 1)
    return np.asarray(
        (groups * lent + LEAST_GROUP * whole) / (size + LEAST_GROUP), np.float32
    )


def score(
    popularity: Popularity,
    n_patrons: int,
    candidates: IntArray,
    *,
    codes: IntArray | None = None,
) -> FloatArray:
    """Return shape (patrons, candidates), a logarithm of shares; nan without loans."""
    shares = np.broadcast_to(popularity.whole[candidates], (n_patrons, len(candidates)))
    if codes is not None and len(popularity.groups):
        shares = _fitting(popularity, codes)[:, candidates]
    scores = np.log(shares + np.float32(FLOOR)).astype(np.float32)
    scores[:, ~popularity.known[candidates]] = np.nan
    return np.asarray(scores, np.float32)


def _fitting(popularity: Popularity, codes: IntArray) -> FloatArray:
    groups = popularity.groups
    with_whole = np.vstack([groups, popularity.whole[None]])
    known = (codes >= 0) & (codes < len(groups))
    return with_whole[np.where(known, codes, len(groups))]
