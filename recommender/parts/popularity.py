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
LEAST_GROUP = 20.0
"""Weighed loans of a group that count as much as the whole library's say."""


@dataclass(frozen=True)
class Popularity:
    """Weighed loans of each work.

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
    whole = np.bincount(history.column, weights=weight, minlength=n)
    known = np.bincount(history.column, minlength=n) > 0
    n_codes = 0 if codes is None else int(codes.max(initial=NOT_KNOWN)) + 1
    groups = np.zeros((n_codes, n), np.float32)
    if codes is not None and n_codes:
        of_pair = codes[history.row]
        there = of_pair != NOT_KNOWN
        np.add.at(groups, (of_pair[there], history.column[there]), weight[there])
    return Popularity(whole.astype(np.float32), groups, known)


def score(
    popularity: Popularity,
    n_patrons: int,
    candidates: IntArray,
    *,
    codes: IntArray | None = None,
) -> FloatArray:
    """Return shape (patrons, candidates), a logarithm of shares; nan without loans.

    A group's shares lean on the whole library's, the more the smaller the group.
    """
    whole = popularity.whole / max(float(popularity.whole.sum()), 1e-9)
    shares = np.broadcast_to(whole[candidates], (n_patrons, len(candidates)))
    if codes is not None and len(popularity.groups):
        shares = _grouped(popularity, whole, codes)[:, candidates]
    floor = 0.1 / max(int(popularity.known.sum()), 1)
    scores = np.log(shares + floor).astype(np.float32)
    scores[:, ~popularity.known[candidates]] = np.nan
    return np.asarray(scores, np.float32)


def _grouped(popularity: Popularity, whole: FloatArray, codes: IntArray) -> FloatArray:
    size = popularity.groups.sum(axis=1, keepdims=True)
    leaning = (popularity.groups + LEAST_GROUP * whole) / (size + LEAST_GROUP)
    with_whole = np.vstack([leaning, whole[None]])
    fitting = np.where((codes >= 0) & (codes < len(leaning)), codes, len(leaning))
    return with_whole[fitting]
