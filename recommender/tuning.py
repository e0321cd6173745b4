"""Choose the blend on the library's own last loans, then fit on all of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from recommender.arrays import Loans, WorksText, build_history
from recommender.blend import Softening
from recommender.parts import roster
from recommender.parts.roster import Texts
from recommender.pools import ENOUGH_PATRONS, Pool, join, make_pool, some_of, splits
from recommender.scoring import FEW, Model, Stratum, TableRow, reweigh, stratum_of
from recommender.weighing import (
    Ranker,
    Weights,
    choose,
    climb,
    likeliest,
    ndcg,
    trust,
)

BASELINES = ("popularity", "latest")
LEAST_WEIGHT = 1e-3
LEAST_USEFUL = 0.01
BORNE_OUT = 2.0
"""Standard errors by which a step for one stratum must gain."""

SMALL = 4_000_000
"""Patrons x works up to which threads cost more than they bring."""

__all__ = [
    "Pool",
    "climb",
    "fit_model",
    "likeliest",
    "ndcg",
    "reweigh",
    "splits",
    "tune",
]


def fit_model(loans: Loans, works: WorksText, *, today: int | None, seed: int) -> Model:
    """Tune the blend, then fit the parts it uses on all loans up to today."""
    small = loans.n_patrons * loans.n_works <= SMALL
    with threadpool_limits(1 if small else None):
        return _fit_model(loans, works, today=today, seed=seed)


def _fit_model(
    loans: Loans, works: WorksText, *, today: int | None, seed: int
) -> Model:
    texts = roster.fit_texts(works, seed=seed)
    history = build_history(loans, today=today)
    names, pools = _pools(loans, works, texts, today=today, seed=seed)
    weights: dict[Stratum, Mapping[str, float]] = {}
    softening: dict[Stratum, Softening] = {}
    table: list[TableRow] = []
    for warm, pool in pools.items():
        tuned = tune(names, pool, warm=warm, dated=history.age is not None)
        weights.update(tuned.weights)
        softening.update(tuned.softening)
        table.extend(tuned.table)
    wanted = {name for by_part in weights.values() for name in by_part}
    wanted.update(BASELINES)
    parts = roster.fit_parts(history, works, texts, seed=seed, wanted=wanted)
    lent = np.bincount(history.column, minlength=loans.n_works) > 0
    texts = roster.settle(texts, history, seed=seed)
    return Model(parts, texts, lent, weights, softening, tuple(table), seed)


def _pools(
    loans: Loans, works: WorksText, texts: Texts, *, today: int | None, seed: int
) -> tuple[tuple[str, ...], Mapping[bool, Pool]]:
    names: tuple[str, ...] | None = None
    found: dict[bool, list[Pool]] = {True: [], False: []}
    ever = np.bincount(loans.column, minlength=loans.n_works) > 0
    for split in splits(loans, today=today, seed=seed):
        history = build_history(some_of(loans, split.before), today=split.today)
        parts = roster.fit_parts(
            history, works, texts, seed=seed, wanted=names, bridged=ever
        )
        here = tuple(part.name for part in parts)
        if names is not None and names != here:
            break
        names = here
        for warm, pools in found.items():
            pool = make_pool(parts, history, loans, split, warm=warm, seed=seed)
            pools.append(pool)
        if min(sum(map(len, pools)) for pools in found.values()) >= ENOUGH_PATRONS:
            break
    names = names or ()
    return names, {warm: join(pools, len(names)) for warm, pools in found.items()}


@dataclass(frozen=True)
class Tuned:
    """What `tune` found, for the two strata of warm or of cold works."""

    weights: Mapping[Stratum, Mapping[str, float]]
    softening: Mapping[Stratum, Softening]
    table: Sequence[TableRow]


def tune(names: Sequence[str], pool: Pool, *, warm: bool, dated: bool = False) -> Tuned:
    """Choose weights for patrons with few and with many loans.

    First for all patrons together; then a stratum moves the parts found useful by
    steps that its own patrons clearly bear out. A part left aside for all of them is
    not taken up again by a stratum: that choice was tried on other patrons, and what
    a stratum climbs to is not. In `dated` loans of one stretch of time a mix of works
    with loans is doubtful: as loans grow and seasons turn the parts change places.
    Works without loans lean on the bridge in every part, and there many do better.
    """
    doubtful = warm and dated and len(np.unique(pool.fold)) == 1
    choice = choose(names, pool, doubtful=doubtful)
    drawn, together = pool.soften(choice.softening), choice.weights
    weights: dict[Stratum, Mapping[str, float]] = {}
    table: list[TableRow] = []
    for few in (True, False):
        stratum = stratum_of(warm=warm, few=few)
        mine = (pool.lengths <= FEW) == few
        own = together
        if mine.any():
            useful = together > LEAST_USEFUL
            own = climb(together, drawn.take(mine), parts=useful, errors=BORNE_OUT)
        own = trust(names, choice.settle(own), patrons=len(pool))
        weights[stratum] = _named(names, own)
        table.extend(_table(stratum, names, drawn.take(mine), own))
    strata = [stratum_of(warm=warm, few=few) for few in (True, False)]
    return Tuned(weights, dict.fromkeys(strata, choice.softening), table)


def _named(names: Sequence[str], weights: Weights) -> dict[str, float]:
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
    weights: Weights,
) -> Iterator[TableRow]:
    if len(pool):
        ranker = Ranker(pool)
        every = [*zip(names, np.eye(len(names)), strict=True), ("blend", weights)]
        for name, mixing in every:
            value = float(ranker.of(mixing).mean())
            yield TableRow(stratum, name, value, len(pool))
