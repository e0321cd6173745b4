"""Run the parts, make their scores comparable, rank."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import product

import numpy as np
import numpy.typing as npt

from recommender.arrays import FloatArray, History, IntArray, WorksText
from recommender.blend import Softening, blend, soften
from recommender.parts.extension import extend_parts, extend_texts
from recommender.parts.roster import Part, Texts, score

FLAT = 1e-6
FEW = 10
"""Works borrowed up to which a patron's history counts as short."""

TOGETHER = 300_000
"""Scores of several parts that are cheaper mixed at once than one part by one."""

REFERENCE = 100
"""Fewer candidates are standardised together with as many other works."""


def standardise(scores: FloatArray) -> FloatArray:
    """Centre and scale each patron's scores over the works the part knows.

    Shape (patrons, works) in and out; nan stays nan. Where a part says the same of
    every work, or knows none, nothing is left of it: zeros.
    """
    unknown = ~np.isfinite(scores)
    count = np.maximum((~unknown).sum(axis=1, keepdims=True), 1)
    filled = scores.astype(np.float32)
    filled[unknown] = 0
    largest = np.abs(filled).max(axis=1, keepdims=True, initial=0)
    mean = filled.sum(axis=1, keepdims=True, dtype=np.float64) / count
    filled -= mean.astype(np.float32)
    filled[unknown] = 0
    squares = np.einsum("ij,ij->i", filled, filled, dtype=np.float64)[:, None]
    spread = np.sqrt(squares / count)
    flat = spread <= FLAT * np.maximum(largest, 1e-20)
    filled *= np.where(flat, 0, 1 / np.where(flat, 1, spread)).astype(np.float32)
    filled[unknown] = np.nan
    return np.asarray(filled, np.float32)


def top_k(scores: FloatArray, k: int, *, exclude: IntArray) -> IntArray:
    """Return up to `k` work columns, best first, without the excluded ones.

    Ties go to the lower column; fewer than `k` come back when fewer are left.
    """
    usable = np.where(np.isnan(scores), -np.inf, scores)
    usable[exclude] = -np.inf
    if k < len(usable) // 4:
        least = np.partition(usable, len(usable) - k)[len(usable) - k] if k else np.inf
        places = np.flatnonzero(usable >= least)
    else:
        places = np.arange(len(usable))
    order = places[np.argsort(-usable[places], kind="stable")]
    return order[np.isfinite(usable[order])][:k]


class Stratum(StrEnum):
    """Which weights hold: for works with loans or without, patrons with few or many."""

    WARM_FEW = "warm-few"
    WARM_MANY = "warm-many"
    COLD_FEW = "cold-few"
    COLD_MANY = "cold-many"


@dataclass(frozen=True)
class TableRow:
    """How well one part did alone, on the loans held back for tuning."""

    stratum: Stratum
    part: str
    ndcg: float
    patrons: int


@dataclass(frozen=True)
class Model:
    """All that matching and shelves need; nothing of any patron.

    Attributes:
        parts: Those that weigh something in some stratum, and the two baselines.
        texts: The works' words, to place works that come later.
        lent: Shape (works,), which works had loans and so are warm.
        weights: By stratum and part; not negative.
        softening: By stratum.
        table: The parts beside the blend (part "blend"), as tuning measured them.
        seed: What the random steps started from.
    """

    parts: tuple[Part, ...]
    texts: Texts
    lent: npt.NDArray[np.bool_]
    weights: Mapping[Stratum, Mapping[str, float]]
    softening: Mapping[Stratum, Softening]
    table: tuple[TableRow, ...]
    seed: int

    @property
    def n_works(self) -> int:
        """Number of columns."""
        return len(self.lent)


def stratum_of(*, warm: bool, few: bool) -> Stratum:
    """Name the stratum."""
    if warm:
        return Stratum.WARM_FEW if few else Stratum.WARM_MANY
    return Stratum.COLD_FEW if few else Stratum.COLD_MANY


def score_block(model: Model, history: History, candidates: IntArray) -> FloatArray:
    """Score candidates for some patrons, shape (patrons, candidates), never nan.

    In standard deviations over the candidates, or over the candidates and the
    `REFERENCE` works when they are few: a day with two acquisitions must not make one
    of them outstanding. Works with and without loans have weights of their own. What
    the patron borrowed stands at the middle, whatever speaks for it: nothing suits as
    a book already read does, and beside it every new work would look poor.
    """
    return _score(model, history, candidates, None)


Shares = dict[str, FloatArray]
"""By part, what it added to each score before that was standardised, in deviations."""


def score_by_part(
    model: Model, history: History, candidates: IntArray
) -> tuple[FloatArray, Shares]:
    """Score as `score_block`, and tell what each part that weighs anything added.

    All of shape (patrons, candidates): for a block of patrons, not for a library.
    """
    weighing = {name for weights in model.weights.values() for name in weights}
    shape = len(history), len(candidates)
    shares = {
        part.name: np.zeros(shape, np.float32)
        for part in model.parts
        if part.name in weighing
    }
    return _score(model, history, candidates, shares), shares


def _score(
    model: Model, history: History, candidates: IntArray, shares: Shares | None
) -> FloatArray:
    total = np.zeros((len(history), len(candidates)), np.float32)
    mixes = list(_mixes(model, history, candidates))
    every = np.unique(np.concatenate([candidates, *(mix.columns for mix in mixes)]))
    for parts in _bunches(model, mixes, len(history) * len(every)):
        # Once for all: to run a part costs more than to mix what it says.
        told = np.stack([score(part, history, every) for part in parts])
        for mix in mixes:
            weights = model.weights[mix.stratum]
            names = [part.name for part in parts]
            mine = np.flatnonzero([bool(weights.get(name)) for name in names])
            cells = np.ix_(mine, mix.rows, np.searchsorted(every, mix.columns))
            added = _shares(model, mix, [names[at] for at in mine], told[cells])
            for at, share in zip(mine, added, strict=True):
                np.add(mix.total, share, out=mix.total)
                if shares is not None:
                    cell = np.ix_(mix.rows, mix.places)
                    shares[names[at]][cell] = share[:, : len(mix.places)]
    for mix in mixes:
        mix.total[mix.own] = np.nan
        scores = np.nan_to_num(standardise(mix.total))
        total[np.ix_(mix.rows, mix.places)] = scores[:, : len(mix.places)]
    return total


def _bunches(model: Model, mixes: Sequence[Mix], size: int) -> Iterator[Sequence[Part]]:
    """Yield the parts that weigh anything, as many at once as are cheaper together."""
    strata = {mix.stratum for mix in mixes}
    weighing = [
        part
        for part in model.parts
        if any(model.weights[stratum].get(part.name) for stratum in strata)
    ]
    step = max(TOGETHER // max(size, 1), 1)
    return (weighing[at : at + step] for at in range(0, len(weighing), step))


@dataclass(frozen=True)
class Mix:
    """What is mixed with the weights of one stratum.

    Attributes:
        stratum: Whose weights.
        rows: Patrons of the block.
        places: Of the candidates.
        columns: Of the works that are standardised together, those candidates first.
        own: Shape (rows, columns), what the patrons borrowed.
        total: Shape (rows, columns), what the parts have added so far.
    """

    stratum: Stratum
    rows: IntArray
    places: IntArray
    columns: IntArray
    own: npt.NDArray[np.bool_]
    total: FloatArray


def _mixes(model: Model, history: History, candidates: IntArray) -> Iterator[Mix]:
    few = history.lengths <= FEW
    lent = model.lent[candidates]
    for warm, is_few in product((True, False), (True, False)):
        rows, places = np.flatnonzero(few == is_few), np.flatnonzero(lent == warm)
        if len(rows) and len(places):
            stratum = stratum_of(warm=warm, few=is_few)
            columns = with_reference(model, candidates[places])
            own = borrowed(history.take(rows), columns)
            total = np.zeros(own.shape, np.float32)
            yield Mix(stratum, rows, places, columns, own, total)


def _shares(
    model: Model, mix: Mix, names: Sequence[str], told: FloatArray
) -> FloatArray:
    """Return what parts add, of the shape (parts, rows, columns) of what they told.

    Borrowed works get nothing.
    """
    told[:, mix.own] = np.nan
    scores = standardise(told.reshape(-1, told.shape[2])).reshape(told.shape)
    drawn = soften(scores, model.softening[mix.stratum])
    return blend(drawn, [model.weights[mix.stratum][name] for name in names])


def with_reference(model: Model, columns: IntArray) -> IntArray:
    """Return the columns, with others after them when they are few."""
    if len(columns) >= REFERENCE:
        return columns
    others = np.setdiff1d(np.flatnonzero(model.lent), columns)
    step = max(1, len(others) // REFERENCE)
    return np.concatenate([columns, others[::step][:REFERENCE]])


def borrowed(history: History, columns: IntArray) -> npt.NDArray[np.bool_]:
    """Tell which of the columns each patron borrowed, shape (patrons, columns)."""
    place = np.full(history.n_works, -1)
    place[columns] = np.arange(len(columns))
    there = place[history.column]
    own = np.zeros((len(history), len(columns)), bool)
    own[history.row[there >= 0], there[there >= 0]] = True
    return own


def extend(model: Model, works: WorksText) -> Model:
    """Append works that came after the training, as works without loans."""
    texts = extend_texts(model.texts, works)
    parts = extend_parts(model.parts, texts, works, model.lent)
    lent = np.pad(model.lent, (0, len(works)))
    return replace(model, parts=parts, texts=texts, lent=lent)


def reweigh(model: Model, weights: Mapping[str, Mapping[str, float]]) -> Model:
    """Give a model other weights; parts it does not have then weigh nothing.

    Args:
        model: Stays as it is.
        weights: By the value of a stratum and by part; one left out keeps its own.
    """
    changed = {Stratum(name): dict(by_part) for name, by_part in weights.items()}
    return replace(model, weights={**model.weights, **changed})
