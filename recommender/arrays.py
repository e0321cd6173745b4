"""The arrays that loans, histories and texts of works travel in.

Rows are patrons, columns are works; neither is a database key. Columns are in the
order in which ties are to be broken. Nothing here knows a database or a clock.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]

NOT_KNOWN = -1
"""Stands in code arrays (branch, category) for "not known"."""

LONGEST_HISTORY = 1000
"""Works of one patron that are read, newest first.

A desk account borrows for everybody: past this length a history says nothing about
one person and would cost more than thousands of others together.
"""

FEWEST_DAYS = 10
"""Loans that fall on fewer distinct days carry no order in time."""


@dataclass(frozen=True)
class Loans:
    """All loans that may be learnt from, in any order.

    Attributes:
        n_patrons: Number of rows.
        n_works: Number of columns, with or without loans.
        row: Shape (loans,), the patron.
        column: Shape (loans,), the work.
        day: Shape (loans,), `date.toordinal()`; None when no loan has a date.
        weight: Shape (loans,), confidence: 1 for a loan; None for all 1.
        branch: Shape (patrons,), a code from 0 or `NOT_KNOWN`; None if all unknown.
        category: Shape (patrons,), likewise.
    """

    n_patrons: int
    n_works: int
    row: IntArray
    column: IntArray
    day: IntArray | None = None
    weight: FloatArray | None = None
    branch: IntArray | None = None
    category: IntArray | None = None

    def __post_init__(self) -> None:
        """Refuse arrays that do not fit each other."""
        if len(self.row) != len(self.column):
            raise ValueError("row and column must be of one length")
        if len(self.row) and (
            min(self.row.min(), self.column.min()) < 0
            or self.row.max() >= self.n_patrons
            or self.column.max() >= self.n_works
        ):
            raise ValueError("a loan points outside the patrons or works")


@dataclass(frozen=True)
class WorksText:
    """What is written about the works, in column order; raw, folded by the parts.

    Attributes:
        title: One per work; "" when there is none.
        creators: Names as written, most important first.
        subjects: Subjects and genres.
        classification: Class marks or call numbers.
        language: Code or "".
        words: Word to count, for sets that have a bag of words.
        arrived: Ordinal day or year of becoming new; nan where not known; None
            when it is known of no work.
    """

    title: Sequence[str]
    creators: Sequence[Sequence[str]] = ()
    subjects: Sequence[Sequence[str]] = ()
    classification: Sequence[Sequence[str]] = ()
    language: Sequence[str] = ()
    words: Sequence[Mapping[str, int]] = ()
    arrived: FloatArray | None = None

    def __len__(self) -> int:
        """Return the number of works."""
        return len(self.title)


@dataclass(frozen=True)
class History:
    """What some patrons borrowed: a row per patron, newest first, a work once.

    Attributes:
        n_works: Number of columns.
        indptr: Shape (patrons + 1,), where each patron's stretch begins.
        column: Shape (pairs,), the works.
        weight: Shape (pairs,), confidence before any weighing by age.
        age: Shape (pairs,), days from the loan to today; None when undated.
        branch: Shape (patrons,), a code or `NOT_KNOWN`.
        category: Shape (patrons,), a code or `NOT_KNOWN`.
    """

    n_works: int
    indptr: IntArray
    column: IntArray
    weight: FloatArray
    age: FloatArray | None
    branch: IntArray = field(default_factory=lambda: np.empty(0, np.int64))
    category: IntArray = field(default_factory=lambda: np.empty(0, np.int64))

    def __len__(self) -> int:
        """Return the number of patrons."""
        return len(self.indptr) - 1

    @property
    def lengths(self) -> IntArray:
        """How many works each patron borrowed, shape (patrons,)."""
        return np.diff(self.indptr)

    @property
    def row(self) -> IntArray:
        """The patron of each pair, shape (pairs,)."""
        return np.repeat(np.arange(len(self)), self.lengths)

    def faded(self, half_life: float | None = None) -> FloatArray:
        """Return each pair's weight, shape (pairs,), halved every `half_life` days.

        Age counts from the patron's own newest loan: someone who paused for years
        keeps a history, and only the proportions within it matter.
        """
        weight = self.weight
        if half_life is not None and self.age is not None and len(weight):
            newest = self.age[np.minimum(self.indptr[:-1], len(self.age) - 1)]
            age = self.age - np.repeat(newest, self.lengths)
            weight = weight * np.exp2(-age / np.float32(half_life))
        return weight.astype(np.float32)

    def matrix(self, half_life: float | None = None) -> csr_matrix:
        """Return patrons x works, float32, the pairs weighed as `faded` does."""
        pairs = self.faded(half_life), self.column, self.indptr
        return csr_matrix(pairs, shape=(len(self), self.n_works))

    def take(self, rows: IntArray) -> History:
        """Return the histories of some rows, in that order."""
        lengths = self.lengths[rows]
        indptr = np.concatenate([[0], np.cumsum(lengths)])
        offset = np.repeat(self.indptr[rows] - indptr[:-1], lengths)
        pick = np.arange(indptr[-1]) + offset
        return History(
            n_works=self.n_works,
            indptr=indptr,
            column=self.column[pick],
            weight=self.weight[pick],
            age=None if self.age is None else self.age[pick],
            branch=self.branch[rows],
            category=self.category[rows],
        )


def is_dated(loans: Loans) -> bool:
    """Do the loans carry an order in time?"""
    return loans.day is not None and len(np.unique(loans.day)) >= FEWEST_DAYS


def build_history(
    loans: Loans,
    *,
    today: int | None,
    longest: int = LONGEST_HISTORY,
    dated: bool | None = None,
) -> History:
    """Gather each patron's works, a repeated loan counting once at its newest day.

    Loans after `today` are left out: a clerk's slip in the year must not look like
    the newest taste of all. `today` None reads everything. `dated` None looks whether
    the loans carry an order in time; a few patrons' loans cannot tell that of the
    whole library's.
    """
    if dated is None:
        dated = is_dated(loans)
    day = loans.day if dated else None
    kept = np.arange(len(loans.row))
    if day is not None and today is not None:
        kept = kept[day[kept] <= today]
    row, column = loans.row[kept], loans.column[kept]
    when = np.zeros(len(kept), np.int64) if day is None else day[kept]
    kept, row, column, when = _newest_of_each_pair(kept, row, column, when)
    order = np.lexsort((column, -when, row))
    counts = np.bincount(row, minlength=loans.n_patrons)
    starts = np.concatenate([[0], np.cumsum(counts)])
    rank = np.arange(len(order)) - np.repeat(starts[:-1], counts)
    order = order[rank < longest]
    indptr = np.concatenate([[0], np.cumsum(np.minimum(counts, longest))])
    end = today if today is not None else int(when.max(initial=0))
    return History(
        n_works=loans.n_works,
        indptr=indptr,
        column=column[order],
        weight=_weights(loans)[kept[order]],
        age=None if day is None else (end - when[order]).astype(np.float32),
        branch=_codes(loans.branch, loans.n_patrons),
        category=_codes(loans.category, loans.n_patrons),
    )


def _newest_of_each_pair(
    kept: IntArray, row: IntArray, column: IntArray, when: IntArray
) -> tuple[IntArray, IntArray, IntArray, IntArray]:
    order = np.lexsort((when, column, row))
    row, column = row[order], column[order]
    last = np.ones(len(order), bool)
    last[:-1] = (row[1:] != row[:-1]) | (column[1:] != column[:-1])
    order = order[last]
    return kept[order], row[last], column[last], when[order]


def _weights(loans: Loans) -> FloatArray:
    if loans.weight is None:
        return np.ones(len(loans.row), np.float32)
    return loans.weight


def _codes(codes: IntArray | None, n_patrons: int) -> IntArray:
    if codes is None:
        return np.full(n_patrons, NOT_KNOWN, np.int64)
    return codes
