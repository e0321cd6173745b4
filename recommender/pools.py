"""What tuning learns from: loans parted in two, and the works hard to tell apart.

The past is cut a year before today, and a year before that: what was borrowed
in the year after a cut is the truth, what was borrowed before it the training. The
cut has the season of today, for a university borrows other works in March than in
September; up to three years, for one may be odd. Undated loans are held back at
random. One work in twenty is held out whole, so that works without loans get
weights of their own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from recommender.arrays import FloatArray, History, IntArray, Loans, is_dated
from recommender.blend import Softening, soften
from recommender.parts import roster
from recommender.parts.roster import Part
from recommender.scoring import standardise

YEAR = 365
MOST_CUTS = 3
ENOUGH_PATRONS = 2000
HELD_SHARE = 0.1
NEWEST_SHARE = 0.2
COLD_SHARE = 0.05
FEWEST_COLD = 30
MOST_TRUE = 500
"""Loans after a cut above which it is a desk that borrows, which teaches nothing."""

TOP = 20
RANDOM = 60
CELLS = 2_000_000
"""Patrons x candidates of one block, which bounds the memory."""

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Split:
    """One way to part the loans into what is learnt from and what is to be found.

    Attributes:
        before: Which loans are learnt from.
        after: Which loans are the truth.
        today: The day histories are read on; None when undated.
    """

    before: BoolArray
    after: BoolArray
    today: int | None


@dataclass(frozen=True)
class Pool:
    """The works that are hard to tell apart, for some patrons.

    Attributes:
        scores: Shape (parts, patrons, pool), standardised, 0 where unknown.
        truth: Shape (patrons, pool), which were borrowed.
        there: Shape (patrons, pool), False where the pool is shorter.
        wanted: Shape (patrons,), how many true works, in the pool or not.
        lengths: Shape (patrons,), of the histories.
        fold: Shape (patrons,), which split they come from; empty if from one.
    """

    scores: FloatArray
    truth: BoolArray
    there: BoolArray
    wanted: IntArray
    lengths: IntArray
    fold: IntArray = field(default_factory=lambda: np.empty(0, np.int64))

    def __len__(self) -> int:
        """Return the number of patrons."""
        return len(self.truth)

    def take(self, rows: IntArray | BoolArray) -> Pool:
        """Return the pool of some patrons."""
        return Pool(
            np.ascontiguousarray(self.scores[:, rows]),
            self.truth[rows],
            self.there[rows],
            self.wanted[rows],
            self.lengths[rows],
            self.fold[rows] if len(self.fold) else self.fold,
        )

    def soften(self, softening: Softening) -> Pool:
        """Draw in the scores."""
        return replace(self, scores=soften(self.scores, softening))


def splits(loans: Loans, *, today: int | None, seed: int) -> Iterator[Split]:
    """Yield the splits, latest first; none when there is nothing to split."""
    rng = np.random.default_rng(seed)
    if loans.day is None or not is_dated(loans):
        kept = rng.random(len(loans.row)) >= HELD_SHARE
        cold = _held_works(loans, np.ones(len(loans.row), bool), rng)
        yield Split(kept & ~cold, ~kept | cold, None)
        return
    end = today if today is not None else int(loans.day.max()) + 1
    for cut, until in _stretches(loans.day[loans.day < end], end):
        before = loans.day < cut
        after = ~before & (loans.day < until)
        yield Split(before & ~_held_works(loans, before, rng), after, cut)


def _stretches(days: IntArray, end: int) -> list[tuple[int, int]]:
    """Return first day and end of the stretches to be found, latest first.

    Back to the first that has more loans than all the time before it. A library
    where the newest year is that, for it grows fast, gets its newest loans instead.
    """
    if not len(days):
        return []
    span = end - int(days.min())
    step = YEAR if span >= 3 * YEAR else max(1, span // 5)
    found = []
    for until in range(end, end - step * MOST_CUTS, -step):
        before = (days < until - step).sum()
        if not before >= (days < until).sum() - before > 0:
            break
        found.append((until - step, until))
    newest = int(np.quantile(days, 1 - NEWEST_SHARE, method="higher"))
    return found or ([(newest, end)] if newest > days.min() else [])


def _held_works(loans: Loans, before: BoolArray, rng: np.random.Generator) -> BoolArray:
    lent = np.unique(loans.column[before])
    some = max(int(COLD_SHARE * len(lent)), min(FEWEST_COLD, len(lent) // 5))
    cold = rng.choice(lent, some, replace=False)
    return np.isin(loans.column, cold)


def some_of(loans: Loans, which: BoolArray) -> Loans:
    """Return the loans of a mask."""
    return Loans(
        n_patrons=loans.n_patrons,
        n_works=loans.n_works,
        row=loans.row[which],
        column=loans.column[which],
        day=None if loans.day is None else loans.day[which],
        weight=None if loans.weight is None else loans.weight[which],
        branch=loans.branch,
        category=loans.category,
    )


def make_pool(
    parts: Sequence[Part],
    history: History,
    loans: Loans,
    split: Split,
    *,
    warm: bool,
    seed: int,
) -> Pool:
    """Let the parts, fitted on what came before, rank what came after.

    Args:
        parts: Fitted on `history`.
        history: Of the loans before.
        loans: All of them.
        split: Which came before.
        warm: Rank works that had loans before, else those that had none.
        seed: Of the choice of patrons and of random works.
    """
    lent = np.bincount(history.column, minlength=history.n_works) > 0
    ever = np.bincount(loans.column, minlength=history.n_works) > 0
    candidates = np.flatnonzero(lent if warm else ever & ~lent)
    place = np.full(history.n_works, -1)
    place[candidates] = np.arange(len(candidates))
    row, column = loans.row[split.after], place[loans.column[split.after]]
    rng = np.random.default_rng(seed)
    many = np.bincount(row, minlength=len(history)) > MOST_TRUE
    of_interest = (column >= 0) & (history.lengths[row] > 0) & ~many[row]
    row, column = row[of_interest], column[of_interest]
    patrons = np.unique(row)
    if len(patrons) > ENOUGH_PATRONS:
        patrons = np.sort(rng.choice(patrons, ENOUGH_PATRONS, replace=False))
    pools = []
    size = max(1, CELLS // max(len(candidates), 1))
    for at in range(0, len(patrons), size):
        block = patrons[at : at + size]
        part_of = np.isin(row, block)
        truth = np.zeros((len(block), len(candidates)), bool)
        truth[np.searchsorted(block, row[part_of]), column[part_of]] = True
        pools.append(_pool_block(parts, history.take(block), candidates, truth, rng))
    return join(pools, len(parts))


def _pool_block(
    parts: Sequence[Part],
    history: History,
    candidates: IntArray,
    truth: BoolArray,
    rng: np.random.Generator,
) -> Pool:
    borrowed = np.zeros((len(history), history.n_works), bool)
    borrowed[history.row, history.column] = True
    borrowed = borrowed[:, candidates]
    truth &= ~borrowed
    scores = [_unseen(part, history, candidates, borrowed) for part in parts]
    chosen, n = truth.copy(), len(candidates)
    for scored in scores:
        chosen |= _at_top(scored, min(TOP, n))
    some = rng.integers(0, n, (len(history), min(RANDOM, n)))
    np.put_along_axis(chosen, some, values=True, axis=1)
    chosen &= ~borrowed
    width = int(chosen.sum(axis=1).max(initial=1))
    picks = np.argsort(~chosen, axis=1, kind="stable")[:, :width]
    there = np.take_along_axis(chosen, picks, axis=1)
    picked = [np.take_along_axis(scored, picks, axis=1) for scored in scores]
    return Pool(
        np.nan_to_num(np.stack(picked)),
        np.take_along_axis(truth, picks, axis=1) & there,
        there,
        truth.sum(axis=1),
        history.lengths,
    )


def _at_top(scored: FloatArray, depth: int) -> BoolArray:
    """Mark the best works, and nobody's where too many are level with them."""
    filled = np.where(np.isnan(scored), -np.inf, scored)
    width = filled.shape[1]
    least = np.partition(filled, width - depth, axis=1)[:, width - depth, None]
    top = filled >= least
    top[top.sum(axis=1) > 2 * depth] = False
    return np.asarray(top, bool)


def _unseen(
    part: Part, history: History, candidates: IntArray, borrowed: BoolArray
) -> FloatArray:
    scores = roster.score(part, history, candidates)
    scores[borrowed] = np.nan
    return standardise(scores)


def join(pools: Sequence[Pool], n_parts: int) -> Pool:
    """Put pools of different widths one below the other, without idle patrons."""
    pools = [pool.take(pool.wanted > 0) for pool in pools]
    width = max((pool.truth.shape[1] for pool in pools), default=0)
    if not pools:
        none = np.zeros((0, 0), bool)
        whole = np.zeros(0, np.int64)
        return Pool(np.zeros((n_parts, 0, 0), np.float32), none, none, whole, whole)

    def widen(array: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
        wide = [(0, 0)] * (array.ndim - 1) + [(0, width - array.shape[-1])]
        return np.pad(array, wide)

    return Pool(
        np.concatenate([widen(pool.scores) for pool in pools], axis=1),
        np.concatenate([widen(pool.truth) for pool in pools]),
        np.concatenate([widen(pool.there) for pool in pools]),
        np.concatenate([pool.wanted for pool in pools]),
        np.concatenate([pool.lengths for pool in pools]),
        np.repeat(np.arange(len(pools)), [len(pool) for pool in pools]),
    )
