"""Set loans aside to be found again: the last stretch of time, or a share by chance.

Nothing set aside, or of the time after, is in the training side. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import csr_matrix

from recommender.arrays import IntArray, Loans, is_dated
from recommender.measure import Question
from recommender.metrics import BoolArray, build_truth

SHARE = 0.1
"""Of the loans are set aside."""
FEWEST = 50
"""Loans below which a split would measure chance."""
MOST_PATRONS = 2000
"""Measured patrons; more would only cost time."""


@dataclass(frozen=True)
class Split:
    """Loans in two sides.

    Attributes:
        loans: The training side.
        row: Shape (pairs,), of the side to be found, less what is in training.
        column: Shape (pairs,).
        day: First day of the side to be found; None where chance divided.
    """

    loans: Loans
    row: IntArray
    column: IntArray
    day: int | None


def hold_out(loans: Loans, *, seed: int) -> Split | None:
    """Divide the loans; None when there are too few to tell anything."""
    if len(loans.row) < FEWEST:
        return None
    if is_dated(loans) and loans.day is not None:
        day = int(np.quantile(loans.day, 1 - SHARE, method="higher"))
        return divide(loans, loans.day >= day, day=day)
    pair = loans.row * loans.n_works + loans.column
    pairs, of_loan = np.unique(pair, return_inverse=True)
    aside = np.random.default_rng(seed).random(len(pairs)) < SHARE
    return divide(loans, aside[of_loan], day=None)


def divide(loans: Loans, aside: BoolArray, *, day: int | None) -> Split:
    """Put the loans of `aside` on the other side."""
    kept = ~aside
    training = replace(
        loans,
        row=loans.row[kept],
        column=loans.column[kept],
        day=None if loans.day is None else loans.day[kept],
        weight=None if loans.weight is None else loans.weight[kept],
    )
    return against(training, loans.row[aside], loans.column[aside], day=day)


def against(
    training: Loans, row: IntArray, column: IntArray, *, day: int | None
) -> Split:
    """Set pairs against training loans, without those that are in training too."""
    pair, known = row * training.n_works + column, training.row * training.n_works
    new = ~np.isin(pair, known + training.column)
    return Split(training, row[new], column[new], day)


def question_of(
    split: Split,
    candidates: IntArray,
    *,
    left_out: bool,
    fewest: int = 1,
    most_patrons: int | None = None,
    seed: int = 0,
) -> Question:
    """Ask for the works set aside, of patrons with enough training works.

    Args:
        split: The two sides.
        candidates: Columns, in the order in which ties break.
        left_out: What a patron had before is no candidate for that patron.
        fewest: Training works a measured patron has at least.
        most_patrons: A sample by chance when there are more.
        seed: Of the chance.
    """
    loans = split.loans
    borrowed = _borrowed(loans)
    place = np.full(loans.n_works, -1, np.int64)
    place[candidates] = np.arange(len(candidates))
    enough = np.diff(borrowed.indptr) >= fewest
    asked = (place[split.column] >= 0) & enough[split.row]
    asked &= np.isin(split.row, _sample(split.row[asked], most_patrons, seed))
    return Question(
        truth=build_truth(split.row[asked], place[split.column[asked]]),
        candidates=candidates,
        borrowed=borrowed[:, candidates].tocsr(),
        left_out=left_out,
        popularity=np.bincount(borrowed.indices, minlength=loans.n_works)[candidates],
        n_patrons=int((np.diff(borrowed.indptr) > 0).sum()),
        history_lengths=np.diff(borrowed.indptr).astype(np.int64),
    )


def warm_works(loans: Loans) -> IntArray:
    """Return the columns of the works that have a loan."""
    return np.unique(loans.column)


def cold_works(split: Split) -> IntArray:
    """Return the columns of the works to be found that have no training loan."""
    return np.setdiff1d(split.column, split.loans.column)


def _borrowed(loans: Loans) -> csr_matrix:
    ones = np.ones(len(loans.row), np.float32)
    shape = (loans.n_patrons, loans.n_works)
    borrowed = csr_matrix((ones, (loans.row, loans.column)), shape=shape)
    borrowed.sum_duplicates()
    return borrowed


def _sample(rows: IntArray, most: int | None, seed: int) -> IntArray:
    patrons = np.unique(rows)
    if most is None or len(patrons) <= most:
        return patrons
    return np.random.default_rng(seed).choice(patrons, most, replace=False)
