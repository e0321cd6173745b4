"""Learn weights for the parts on a pool: which mix would have ranked best there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

from recommender.arrays import FloatArray
from recommender.blend import Softening
from recommender.pools import BoolArray, Pool

PENALTY = 30.0
STEADY = 0.5
CLEARLY = 1.0
"""Standard errors by which one thing outdoes another."""

IN_COMPANY = 0.03
ALONE = 5
MOST_STEPS = 40
LIKELY_PATRONS = 1000
CLEAR = 1500
"""Patrons above which a pool is too large to mislead, and is learnt from whole."""

FEW_PATRONS = 60
"""So many patrons teach as much as is believed beforehand: parts are all alike."""

FOLDS = 3
JITTER = 1e-4
DISCOUNT = 1 / np.log2(np.arange(2, 12))

Weights = npt.NDArray[np.float64]


class Ranker:
    """NDCG@10 of mixed scores, over and over on one pool.

    Level scores are told apart by a jitter far below any difference that matters,
    so that a part which says the same of every work gains nothing by it.
    """

    def __init__(self, pool: Pool) -> None:
        """Prepare what all rankings of the pool share."""
        self.scores = pool.scores
        rng = np.random.default_rng(0)
        jitter = JITTER * rng.random(pool.truth.shape, np.float32)
        self._base = np.where(pool.there, jitter, -np.inf).astype(np.float32)
        self._row, self._place = np.nonzero(pool.truth & pool.there)
        ideal = np.cumsum(DISCOUNT)[np.clip(pool.wanted, 1, len(DISCOUNT)) - 1]
        self._share = 1 / ideal
        self._depth = min(len(DISCOUNT), pool.truth.shape[1])
        self._gain = np.concatenate([DISCOUNT[: self._depth], [0.0]])

    def mix(self, weights: Weights) -> FloatArray:
        """Add up the scores, shape (patrons, pool)."""
        used = np.flatnonzero(weights)
        shares = weights[used].astype(np.float32)
        return np.asarray(self._base + np.tensordot(shares, self.scores[used], 1))

    def ndcg(self, mixed: FloatArray) -> Weights:
        """Return NDCG@10 of each patron, shape (patrons,)."""
        start = mixed.shape[1] - self._depth
        top = np.partition(mixed, start, axis=1)[:, start:]
        true = mixed[self._row, self._place]
        rank = (top[self._row] > true[:, None]).sum(axis=1)
        found = np.bincount(self._row, self._gain[rank], minlength=len(mixed))
        return np.asarray(found * self._share)

    def of(self, weights: Weights) -> Weights:
        """Return NDCG@10 of each patron under some weights."""
        return self.ndcg(self.mix(weights))


def ndcg(weights: Weights, pool: Pool) -> Weights:
    """Return NDCG@10 of each patron of a pool, shape (patrons,)."""
    return Ranker(pool).of(weights)


@dataclass(frozen=True)
class Choice:
    """What was chosen for all patrons of a pool together.

    Attributes:
        softening: Of the scores.
        weights: Shares, adding up to 1.
        leaning: Shares of the best part alone, which has half a say where no mix
            clearly outdoes it; None where one does.
    """

    softening: Softening
    weights: Weights
    leaning: Weights | None = None

    def settle(self, weights: Weights) -> Weights:
        """Return shares of these weights, half of them the best part's if it leans."""
        shares = _shares(weights)
        return shares if self.leaning is None else (shares + self.leaning) / 2


def choose(names: Sequence[str], pool: Pool, *, doubtful: bool = False) -> Choice:
    """Find softening and weights for all patrons of a pool together.

    Several ways of learning stand for choice, from "the best single part" to a free
    climb. The one is taken that did best on patrons it had not learnt from: those of
    another cut, or another third of the patrons. A pool too large to mislead is
    learnt from and measured whole. Where the best part is not clearly outdone by a
    mix, the two share: what led in other years may not lead in this one. They share
    too where that is `doubtful`, as patrons of one stretch of time cannot tell it.
    """
    sane = fallback(names)
    if not len(pool):
        return Choice(Softening.ROOT, sane)
    found = [Learnt(ndcg(sane, pool.soften(Softening.ROOT)), Softening.ROOT, sane)]
    singles = []
    for softening in Softening:
        drawn = pool.soften(softening)
        learnt = ways(drawn)
        judged = [
            Learnt(value, softening, weights)
            for value, weights in zip(_judge(drawn, learnt), learnt, strict=True)
        ]
        found += judged
        singles.append(judged[0])
    best, single = max(found, key=Learnt.mean), max(singles, key=Learnt.mean)
    lead = best.values - single.values
    unclear = len(pool) <= CLEAR and not _steady(lead, errors=CLEARLY)
    leaning = _shares(single.weights) if doubtful or unclear else None
    return Choice(best.softening, _shares(best.weights), leaning)


def _shares(weights: Weights) -> Weights:
    return np.asarray(weights / max(weights.sum(), 1e-9))


@dataclass(frozen=True)
class Learnt:
    """Weights, and NDCG@10 of each patron they were not learnt from."""

    values: Weights
    softening: Softening
    weights: Weights

    def mean(self) -> float:
        """Return NDCG@10 over all patrons."""
        return float(self.values.mean())


def trust(names: Sequence[str], learnt: Weights, *, patrons: int) -> Weights:
    """Trust what few patrons teach only a little, what thousands teach wholly."""
    doubt = 1 / (1 + (patrons / FEW_PATRONS) ** 2)
    return np.asarray(doubt * _shares(fallback(names)) + (1 - doubt) * _shares(learnt))


def ways(pool: Pool) -> tuple[Weights, ...]:
    """Learn in every way: best part, softmax, and a climb from each of them."""
    ranker = Ranker(pool)
    parts = np.eye(len(pool.scores))
    alone = np.array([ranker.of(only).mean() for only in parts])
    single = parts[int(alone.argmax())]
    likely = likeliest(pool)
    useful = _useful(likely, alone)
    likely = likely * useful
    return (
        single,
        likely,
        climb(single, pool, parts=useful),
        climb(likely, pool, parts=useful),
    )


def _judge(pool: Pool, learnt: Sequence[Weights]) -> list[Weights]:
    if len(pool) > CLEAR:
        ranker = Ranker(pool)
        return [ranker.of(weights) for weights in learnt]
    values = [np.zeros(len(pool)) for _ in learnt]
    for inside in _folds(pool):
        there = Ranker(pool.take(inside))
        for value, weights in zip(values, ways(pool.take(~inside)), strict=True):
            value[inside] = there.of(weights)
    return values


def _folds(pool: Pool) -> Iterator[BoolArray]:
    fold = pool.fold
    if len(np.unique(fold)) <= 1:
        fold = np.arange(len(pool)) % FOLDS
    for one in np.unique(fold):
        if 0 < (fold == one).sum() < len(pool):
            yield fold == one


def _useful(likely: Weights, alone: Weights) -> BoolArray:
    """Leave out parts that neither alone nor in company are among the best."""
    useful = likely > IN_COMPANY * likely.max(initial=0)
    useful[np.argsort(-alone, kind="stable")[:ALONE]] = True
    return np.asarray(useful, bool)


def fallback(names: Sequence[str]) -> Weights:
    """Nothing better was measured: every family of parts speaks as loud as the next."""
    families = [name.split("@")[0].split("-")[0] for name in names]
    return np.array([1 / families.count(family) for family in families])


def likeliest(pool: Pool) -> Weights:
    """Maximise the likelihood of the truth under a softmax over the pool.

    Cao, Qin, Liu, Tsai, Li: Learning to Rank, From Pairwise Approach to Listwise
    Approach (ICML 2007); weights not negative, drawn to zero by `PENALTY` patrons.
    """
    pool = pool.take(np.arange(0, len(pool), 1 + (len(pool) - 1) // LIKELY_PATRONS))
    n_parts, n_patrons, width = pool.scores.shape
    flat = pool.scores.reshape(n_parts, -1)
    known = np.maximum(pool.truth.sum(axis=1, keepdims=True), 1)
    share = (pool.truth / known).astype(np.float32)
    every = share.sum(axis=1, keepdims=True)
    base = np.where(pool.there, 0, -1e9).astype(np.float32)
    penalty = PENALTY / n_patrons

    def loss(weights: Weights) -> tuple[float, Weights]:
        logits = (weights.astype(np.float32) @ flat).reshape(n_patrons, width) + base
        logits -= logits.max(axis=1, keepdims=True)
        odds = np.exp(logits)
        total = odds.sum(axis=1, keepdims=True)
        fit = np.vdot(share, np.where(pool.there, logits - np.log(total), 0))
        pull = flat @ (odds * (every / total) - share).ravel()
        value = -float(fit) / n_patrons + penalty * (weights**2).sum() / 2
        return value, pull.astype(np.float64) / n_patrons + penalty * weights

    found = minimize(
        loss,
        np.full(n_parts, 0.01),
        jac=True,
        method="L-BFGS-B",
        bounds=[(0, None)] * n_parts,
        options={"maxiter": MOST_STEPS},
    )
    return np.asarray(found.x)


def climb(
    start: Weights,
    pool: Pool,
    *,
    parts: BoolArray | None = None,
    rounds: int = 2,
    errors: float = STEADY,
) -> Weights:
    """Move one weight at a time while NDCG@10 rises beyond chance.

    A step counts when its mean gain is at least so many standard errors over the
    patrons, so that few patrons move little. Only `parts` move, or those with a
    weight.
    """
    weights, ranker = start.copy(), Ranker(pool)
    movable = np.flatnonzero(weights > 0 if parts is None else parts)
    mixed = ranker.mix(weights)
    now = ranker.ndcg(mixed)
    for _ in range(rounds):
        moved = False
        for part in movable:
            for target in _targets(weights, int(part)):
                step = np.float32(target - weights[part])
                trial = mixed + step * pool.scores[part]
                then = ranker.ndcg(trial)
                if _steady(then - now, errors=errors):
                    weights[part], mixed, now, moved = target, trial, then, True
        if not moved:
            break
    return weights


def _targets(weights: Weights, part: int) -> list[float]:
    top, here = float(weights.max()), float(weights[part])
    if here <= 1e-4 * top:
        return [0.05 * top, 0.2 * top, 0.6 * top]
    return [0.0, here * 0.6, here * 1.6]


def _steady(gain: Weights, *, errors: float) -> bool:
    error = gain.std() / np.sqrt(len(gain))
    return bool(gain.mean() > max(errors * error, 1e-6))
