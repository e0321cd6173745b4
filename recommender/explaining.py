"""Why works suit one patron: each score split by parts and by borrowed works. Pure.

What each part added is known from the scoring; only the few works chosen are looked at
here, and no part is run again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix, issparse

from recommender.arrays import FloatArray, History, IntArray
from recommender.parts import successors
from recommender.parts.collaborative import Factors
from recommender.parts.content import Content
from recommender.parts.links import Links, pick
from recommender.parts.roster import Part
from recommender.parts.semantics import Semantics
from recommender.parts.successors import Succession
from recommender.scoring import Model

NOTHING: FloatArray = np.zeros(1, np.float32)


@dataclass(frozen=True)
class Explanation:
    """Why a work scores as it does, for one patron.

    Attributes:
        parts: By part, its share of the score in standard deviations; only those that
            speak for the work.
        works: By column of the patron's own works, their share of the same; they add
            up to what the parts that read the history gave.
    """

    parts: Mapping[str, float]
    works: Mapping[int, float]


def explain(
    model: Model,
    history: History,
    columns: IntArray,
    shares: Mapping[str, FloatArray],
) -> list[Explanation]:
    """Split the scores of some works for one patron by parts and by borrowed works.

    Args:
        model: Any.
        history: Of one patron.
        columns: The works.
        shares: By part, shape (works,), what it added to each score, as
            `recommender.scoring.score_by_part` tells.
    """
    parts: list[dict[str, float]] = [{} for _ in columns]
    works = np.zeros((len(history.column), len(columns)))
    met = Met(history, columns)
    for part in model.parts:
        share = np.maximum(shares.get(part.name, NOTHING), 0)
        if not share.any():
            continue
        for index in np.flatnonzero(share):
            parts[index][part.name] = float(share[index])
        works += share * _proportions(_split(part, met))
    return [
        Explanation(by_part, _by_work(history, works[:, index]))
        for index, by_part in enumerate(parts)
    ]


class Met:
    """What one patron's works say of some others, before their age counts: kept.

    Parts that differ only in how they weigh the history by age share it.
    """

    def __init__(self, history: History, columns: IntArray) -> None:
        self.history = history
        self.columns = columns
        self._links: dict[int, FloatArray] = {}
        self._faded: dict[float | None, FloatArray] = {}

    def links(self, fitted: Links | Content | Semantics) -> FloatArray:
        """Return what speaks from each work to each other, shape (pairs, columns)."""
        # The vectors tell the parts apart: a part itself may be made anew.
        kept = fitted.matrix if isinstance(fitted, Links) else _vectors(fitted)
        if id(kept) not in self._links:
            self._links[id(kept)] = self._linked(fitted)
        return self._links[id(kept)]

    def faded(self, half_life: float | None) -> FloatArray:
        """Return how much each work still counts, shape (pairs, 1)."""
        if half_life not in self._faded:
            self._faded[half_life] = self.history.faded(half_life)[:, None]
        return self._faded[half_life]

    def _linked(self, fitted: Links | Content | Semantics) -> FloatArray:
        own, others = self.history.column, self.columns
        if isinstance(fitted, Links):
            return pick(fitted.matrix, own, others)
        vectors = _vectors(fitted)
        met = vectors[own] @ vectors[others].T
        return np.asarray(met.toarray() if issparse(met) else met, np.float32)


def _vectors(fitted: Content | Semantics) -> csr_matrix | FloatArray:
    return fitted.works if isinstance(fitted, Semantics) else fitted.vectors


def _split(part: Part, met: Met) -> FloatArray:
    """Return each borrowed work's part in each score, shape (pairs, columns).

    Exact where the part adds up; for ALS the decomposition of Hu, Koren, Volinsky
    (2008), section 5. Zeros where the part does not read the history.
    """
    fitted, read = part.fitted, met.faded(part.half_life)
    match fitted:
        case Links() | Content() | Semantics():
            return read * met.links(fitted)
        case Factors():
            return _by_factors(fitted, read, met)
        case Succession():
            return _by_bands(fitted, part, met.history, met.columns)
        case _:
            shape = len(read), len(met.columns)
            return np.zeros(shape, np.float32)


def _by_bands(
    succession: Succession, part: Part, history: History, columns: IntArray
) -> FloatArray:
    pair, asked, weight = successors.bands_of(history, half_life=part.half_life)
    met = pick(succession.matrix, asked, columns) * weight[:, None]
    by_work = np.zeros((len(history.column), len(columns)), np.float32)
    np.add.at(by_work, pair, met)
    return by_work


def _by_factors(factors: Factors, read: FloatArray, met: Met) -> FloatArray:
    own, others = factors.works[met.history.column], factors.works[met.columns]
    extra = np.float32(factors.alpha) * read
    if len(own) > own.shape[1]:
        system = factors.gram + own.T @ (extra * own)
        system[np.diag_indices_from(system)] += factors.ridge
        towards = own @ np.linalg.solve(system, others.T)
    else:  # the same in the patron's few works, not in the many dimensions (Woodbury)
        first = own @ factors.inverse
        system = first @ own.T * extra.T
        system[np.diag_indices_from(system)] += 1
        towards = np.linalg.solve(system, first @ others.T)
    return np.asarray(towards * (1 + extra), np.float32)


def _proportions(split: FloatArray) -> FloatArray:
    speaking = np.maximum(split, 0)
    total = speaking.sum(axis=0)
    return np.asarray(speaking / np.where(total > 0, total, 1), np.float32)


def _by_work(history: History, works: npt.NDArray[np.float64]) -> dict[int, float]:
    return {
        int(history.column[index]): float(works[index])
        for index in np.flatnonzero(works > 0)
    }
