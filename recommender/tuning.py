"""Choose the blend on the library's own last loans, then fit on all of them.

The past is cut a year before today, and a year before that: what was borrowed
in the year after a cut is the truth, what was borrowed before it the training. The
cut has the season of today, for a university borrows other works in March than in
September; up to three years, for one may be odd. Undated loans are held back at
random. One work in twenty is held out whole, so that works without loans get
weights of their own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

from recommender.arrays import (
    FloatArray,
    History,
    IntArray,
    Loans,
    WorksText,
    build_history,
    is_dated,
)
from recommender.blend import Softening, soften
from recommender.parts import roster
from recommender.parts.roster import Part, Texts
from recommender.scoring import (
    FEW,
    Model,
    Stratum,
    TableRow,
    reweigh,
    standardise,
    stratum_of,
)

YEAR = 365
MOST_CUTS = 3
ENOUGH_PATRONS = 2500
HELD_SHARE = 0.1
COLD_SHARE = 0.05
FEWEST_COLD = 30
TOP = 20
RANDOM = 60
BLOCK = 256
PENALTY = 30.0
STEADY = 0.5
IN_COMPANY = 0.03
ALONE = 5
BASELINES = ("popularity", "latest")
LEAST_WEIGHT = 1e-3
DISCOUNT = 1 / np.log2(np.arange(2, 12))

__all__ = ["fit_model", "reweigh", "splits", "tune"]

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
        missed: Shape (patrons,), all true works, in the pool or not.
        lengths: Shape (patrons,), of the histories.
    """

    scores: FloatArray
    truth: BoolArray
    there: BoolArray
    wanted: IntArray
    lengths: IntArray

    def take(self, rows: IntArray | BoolArray) -> Pool:
        """Return the pool of some patrons."""
        return Pool(
            self.scores[:, rows],
            self.truth[rows],
            self.there[rows],
            self.wanted[rows],
            self.lengths[rows],
        )


def fit_model(loans: Loans, works: WorksText, *, today: int | None, seed: int) -> Model:
    """Tune the blend, then fit the parts it uses on all loans up to today."""
    texts = roster.fit_texts(works, seed=seed)
    history = build_history(loans, today=today)
    names, pools = _pools(loans, works, texts, today=today, seed=seed)
    weights: dict[Stratum, Mapping[str, float]] = {}
    softening: dict[Stratum, Softening] = {}
    table: list[TableRow] = []
    for warm, pool in pools.items():
        tuned = tune(names, pool, warm=warm)
        weights.update(tuned.weights)
        softening.update(tuned.softening)
        table.extend(tuned.table)
    wanted = {name for by_part in weights.values() for name in by_part}
    wanted.update(BASELINES)
    parts = roster.fit_parts(history, works, texts, seed=seed, wanted=wanted)
    lent = np.bincount(history.column, minlength=loans.n_works) > 0
    return Model(parts, texts, lent, weights, softening, tuple(table), seed)


def splits(loans: Loans, *, today: int | None, seed: int) -> Iterator[Split]:
    """Yield the splits, latest first; none when there is nothing to split."""
    rng = np.random.default_rng(seed)
    if loans.day is None or not is_dated(loans):
        kept = rng.random(len(loans.row)) >= HELD_SHARE
        cold = _held_works(loans, np.ones(len(loans.row), bool), rng)
        yield Split(kept & ~cold, ~kept | cold, None)
        return
    end = today if today is not None else int(loans.day.max()) + 1
    span = end - int(loans.day.min())
    step = YEAR if span >= 3 * YEAR else max(1, span // 5)
    for back in range(MOST_CUTS):
        cut = end - step * (back + 1)
        before = loans.day < cut
        after = ~before & (loans.day < cut + step)
        if before.sum() >= after.sum() > 0:
            yield Split(before & ~_held_works(loans, before, rng), after, cut)


def _held_works(loans: Loans, before: BoolArray, rng: np.random.Generator) -> BoolArray:
    lent = np.unique(loans.column[before])
    some = max(int(COLD_SHARE * len(lent)), min(FEWEST_COLD, len(lent) // 5))
    cold = rng.choice(lent, some, replace=False)
    return np.isin(loans.column, cold)


def _pools(
    loans: Loans, works: WorksText, texts: Texts, *, today: int | None, seed: int
) -> tuple[tuple[str, ...], Mapping[bool, Pool]]:
    names: tuple[str, ...] | None = None
    found: dict[bool, list[Pool]] = {True: [], False: []}
    for split in splits(loans, today=today, seed=seed):
        history = build_history(_some(loans, split.before), today=split.today)
        parts = roster.fit_parts(history, works, texts, seed=seed)
        for warm, pools in found.items():
            pool = _pool(parts, history, loans, split, warm=warm, seed=seed)
            pools.append(pool)
        here = tuple(part.name for part in parts)
        names = here if names is None else names
        if names != here:
            found = {warm: pools[:-1] for warm, pools in found.items()}
        if min(sum(len(p.truth) for p in pools) for pools in found.values()) >= (
            ENOUGH_PATRONS
        ):
            break
    names = names or ()
    return names, {warm: join(pools, len(names)) for warm, pools in found.items()}


def _some(loans: Loans, which: BoolArray) -> Loans:
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


def _pool(
    parts: Sequence[Part],
    history: History,
    loans: Loans,
    split: Split,
    *,
    warm: bool,
    seed: int,
) -> Pool:
    lent = np.bincount(history.column, minlength=history.n_works) > 0
    ever = np.bincount(loans.column, minlength=history.n_works) > 0
    candidates = np.flatnonzero(lent if warm else ever & ~lent)
    place = np.full(history.n_works, -1)
    place[candidates] = np.arange(len(candidates))
    row, column = loans.row[split.after], place[loans.column[split.after]]
    rng = np.random.default_rng(seed)
    of_interest = (column >= 0) & (history.lengths[row] > 0)
    patrons = np.unique(row[of_interest])
    if len(patrons) > ENOUGH_PATRONS:
        patrons = np.sort(rng.choice(patrons, ENOUGH_PATRONS, replace=False))
    pools = []
    for at in range(0, len(patrons), BLOCK):
        block = patrons[at : at + BLOCK]
        part_of = np.flatnonzero(of_interest & np.isin(row, block))
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
    chosen = truth.copy()
    n = len(candidates)
    for scored in scores:
        order = np.where(borrowed, -np.inf, scored)
        top = np.argpartition(-order, min(TOP, n - 1), axis=1)[:, :TOP]
        np.put_along_axis(chosen, top, values=True, axis=1)
    some = rng.integers(0, n, (len(history), min(RANDOM, n)))
    np.put_along_axis(chosen, some, values=True, axis=1)
    chosen &= ~borrowed
    width = int(chosen.sum(axis=1).max(initial=1))
    picks = np.argsort(~chosen, axis=1, kind="stable")[:, :width]
    there = np.take_along_axis(chosen, picks, axis=1)
    return Pool(
        np.stack([np.take_along_axis(scored, picks, axis=1) for scored in scores]),
        np.take_along_axis(truth, picks, axis=1) & there,
        there,
        truth.sum(axis=1),
        history.lengths,
    )


def _unseen(
    part: Part, history: History, candidates: IntArray, borrowed: BoolArray
) -> FloatArray:
    scores = roster.score(part, history, candidates)
    return np.nan_to_num(standardise(np.where(borrowed, np.nan, scores)))


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
    )


@dataclass(frozen=True)
class Tuned:
    """What `tune` found, for the two strata of warm or of cold works."""

    weights: Mapping[Stratum, Mapping[str, float]]
    softening: Mapping[Stratum, Softening]
    table: Sequence[TableRow]


def tune(names: Sequence[str], pool: Pool, *, warm: bool) -> Tuned:
    """Choose weights for patrons with few and with many loans.

    First for all patrons together; then a stratum moves away from that only by steps
    that its own patrons bear out.
    """
    softening, together = choose(names, pool)
    drawn = soften_pool(pool, softening)
    weights: dict[Stratum, Mapping[str, float]] = {}
    table: list[TableRow] = []
    for few in (True, False):
        stratum = stratum_of(warm=warm, few=few)
        mine = (pool.lengths <= FEW) == few
        own = climb(together, drawn.take(mine)) if mine.any() else together
        weights[stratum] = _named(names, own)
        table.extend(_table(stratum, names, drawn.take(mine), own))
    strata = [stratum_of(warm=warm, few=few) for few in (True, False)]
    return Tuned(weights, dict.fromkeys(strata, softening), table)


def _named(names: Sequence[str], weights: npt.NDArray[np.float64]) -> dict[str, float]:
    total = float(weights.sum()) or 1.0
    shares = {
        name: float(weight / total)
        for name, weight in zip(names, weights, strict=True)
        if weight / total >= LEAST_WEIGHT
    }
    for name in BASELINES:  # someone without any loans still gets an order
        shares.setdefault(name, LEAST_WEIGHT)
    return shares


def _table(
    stratum: Stratum,
    names: Sequence[str],
    pool: Pool,
    weights: npt.NDArray[np.float64],
) -> Iterator[TableRow]:
    patrons = len(pool.truth)
    if patrons:
        for name, alone in zip(names, np.eye(len(names)), strict=True):
            yield TableRow(stratum, name, float(ndcg(alone, pool).mean()), patrons)
        yield TableRow(stratum, "blend", float(ndcg(weights, pool).mean()), patrons)


def soften_pool(pool: Pool, softening: Softening) -> Pool:
    """Draw in the scores of a pool."""
    scores = soften(pool.scores, softening)
    return Pool(scores, pool.truth, pool.there, pool.wanted, pool.lengths)


def choose(
    names: Sequence[str], pool: Pool
) -> tuple[Softening, npt.NDArray[np.float64]]:
    """Find softening and weights for all patrons of a pool together.

    Each softening starts from the listwise softmax solution (convex, so safe on few
    patrons) and from its best single part, and climbs from there in NDCG.
    """
    sane = _fallback(names)
    if not len(pool.truth):
        return Softening.ROOT, sane
    value = float(ndcg(sane, soften_pool(pool, Softening.ROOT)).mean())
    best = (value, Softening.ROOT, sane)
    for softening in Softening:
        drawn = soften_pool(pool, softening)
        alone = np.array([ndcg(w, drawn).mean() for w in np.eye(len(names))])
        single = np.eye(len(names))[int(alone.argmax())]
        likely = likeliest(drawn)
        useful = _useful(likely, alone)
        for start in (likely * useful, single):
            weights = climb(start, drawn, parts=useful)
            value = float(ndcg(weights, drawn).mean())
            if value > best[0]:
                best = (value, softening, weights)
    return best[1], best[2]


def _useful(
    likely: npt.NDArray[np.float64], alone: npt.NDArray[np.float64]
) -> BoolArray:
    """Leave out parts that neither alone nor in company are among the best."""
    useful = likely > IN_COMPANY * likely.max(initial=0)
    useful[np.argsort(-alone, kind="stable")[:ALONE]] = True
    return np.asarray(useful, bool)


def _fallback(names: Sequence[str]) -> npt.NDArray[np.float64]:
    """Nothing better was measured: every family of parts speaks as loud as the next."""
    families = [name.split("@")[0].split("-")[0] for name in names]
    return np.array([1 / families.count(family) for family in families])


def ndcg(weights: npt.NDArray[np.float64], pool: Pool) -> npt.NDArray[np.float64]:
    """Return NDCG@10 of each patron of a pool, shape (patrons,)."""
    return _ndcg(_mixed(weights, pool), pool)


def _mixed(weights: npt.NDArray[np.float64], pool: Pool) -> FloatArray:
    used = np.flatnonzero(weights)
    return np.asarray(
        np.tensordot(weights[used].astype(np.float32), pool.scores[used], 1)
    )


def _ndcg(mixed: FloatArray, pool: Pool) -> npt.NDArray[np.float64]:
    depth = min(len(DISCOUNT), mixed.shape[1])
    order = np.where(pool.there, -mixed, np.inf)
    top = np.argpartition(order, depth - 1, axis=1)[:, :depth]
    rank = np.argsort(np.take_along_axis(order, top, axis=1), axis=1, kind="stable")
    hits = np.take_along_axis(pool.truth, np.take_along_axis(top, rank, 1), 1)
    ideal = np.cumsum(DISCOUNT)[np.clip(pool.wanted, 1, len(DISCOUNT)) - 1]
    return np.asarray((hits * DISCOUNT[:depth]).sum(axis=1) / ideal)


def likeliest(pool: Pool) -> npt.NDArray[np.float64]:
    """Maximise the likelihood of the truth under a softmax over the pool.

    Cao, Qin, Liu, Tsai, Li: Learning to Rank, From Pairwise Approach to Listwise
    Approach (ICML 2007); weights not negative, drawn to zero by `PENALTY` patrons.
    """
    n_parts, n_patrons, width = pool.scores.shape
    flat = pool.scores.reshape(n_parts, -1)
    share = pool.truth / np.maximum(pool.truth.sum(axis=1, keepdims=True), 1)

    def loss(weights: npt.NDArray[np.float64]) -> tuple[float, FloatArray]:
        logits = (weights.astype(np.float32) @ flat).reshape(n_patrons, width)
        logits = np.where(pool.there, logits.astype(np.float64), -1e30)
        logits -= logits.max(axis=1, keepdims=True)
        odds = np.exp(logits)
        total = odds.sum(axis=1, keepdims=True)
        fit = (share * np.where(pool.there, logits - np.log(total), 0)).sum()
        pull = flat @ (odds / total * share.sum(1, keepdims=True) - share).ravel()
        penalty = PENALTY / n_patrons
        value = -fit / n_patrons + penalty * (weights**2).sum() / 2
        return float(value), pull / n_patrons + penalty * weights

    start = np.full(n_parts, 0.01)
    found = minimize(
        loss,
        start,
        jac=True,
        method="L-BFGS-B",
        bounds=[(0, None)] * n_parts,
        options={"maxiter": 50},
    )
    return np.asarray(found.x)


def climb(
    start: npt.NDArray[np.float64],
    pool: Pool,
    *,
    parts: BoolArray | None = None,
    rounds: int = 2,
) -> npt.NDArray[np.float64]:
    """Move one weight at a time while NDCG@10 rises beyond chance.

    A step counts when its mean gain is at least `STEADY` standard errors over the
    patrons, so that few patrons move little. Only `parts` move, or those with a
    weight.
    """
    weights = start.copy()
    movable = np.flatnonzero(weights > 0 if parts is None else parts)
    mixed = _mixed(weights, pool)
    now = _ndcg(mixed, pool)
    for _ in range(rounds):
        moved = False
        for part in movable:
            for target in _targets(weights, int(part)):
                step = np.float32(target - weights[part])
                trial = mixed + step * pool.scores[part]
                then = _ndcg(trial, pool)
                if _steady(then - now):
                    weights[part], mixed, now, moved = target, trial, then, True
        if not moved:
            break
    return weights


def _targets(weights: npt.NDArray[np.float64], part: int) -> list[float]:
    top, here = float(weights.max()), float(weights[part])
    if here <= 1e-4 * top:
        return [0.05 * top, 0.2 * top, 0.6 * top]
    return [0.0, here * 0.6, here * 1.6]


def _steady(gain: npt.NDArray[np.float64]) -> bool:
    error = gain.std() / np.sqrt(len(gain))
    return bool(gain.mean() > max(STEADY * error, 1e-6))
