"""Why works suit one patron: each score split by parts and by borrowed works. Pure.

What each part added is known from the scoring; only the few works chosen are looked at
here, and no part is run again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix

from recommender.arrays import FloatArray, History, IntArray
from recommender.parts import successors
from recommender.parts.collaborative import Factors
from recommender.parts.content import Content
from recommender.parts.links import Links
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
    """What one patron's works say of some others, whatever their age: kept.

    Parts that differ only in how they weigh the history by age share it.
    """

    def __init__(self, history: History, columns: IntArray) -> None:
        self.history = history
        self.columns = columns
        self._links: dict[int, FloatArray] = {}

    def links(self, fitted: Links | Content | Semantics) -> FloatArray:
        """Return what speaks from each work to each other, shape (pairs, columns)."""
        key = id(fitted.works if isinstance(fitted, Semantics) else _matrix_of(fitted))
        if key not in self._links:
            self._links[key] = self._linked(fitted)
        return self._links[key]

    def _linked(self, fitted: Links | Content | Semantics) -> FloatArray:
        column = self.history.column
        if isinstance(fitted, Semantics):
            return fitted.works[column] @ fitted.works[self.columns].T
        matrix = _matrix_of(fitted)
        if isinstance(fitted, Links):
            return np.asarray(matrix[column][:, self.columns].toarray(), np.float32)
        return np.asarray(
            (matrix[column] @ matrix[self.columns].T).toarray(), np.float32
        )


def _matrix_of(fitted: Links | Content) -> csr_matrix:
    return fitted.matrix if isinstance(fitted, Links) else fitted.vectors


def _split(part: Part, met: Met) -> FloatArray:
    """Return each borrowed work's part in each score, shape (pairs, columns).

    Exact where the part adds up; for ALS the decomposition of Hu, Koren, Volinsky
    (2008), section 5. Zeros where the part does not read the history.
    """
    fitted, history = part.fitted, met.history
    match fitted:
        case Links() | Content() | Semantics():
            return _read(part, history) * met.links(fitted)
        case Factors():
            return _by_factors(fitted, _read(part, history), met)
        case Succession():
            return _by_bands(fitted, part, history, met.columns)
        case _:
            shape = len(history.column), len(met.columns)
            return np.zeros(shape, np.float32)


def _read(part: Part, history: History) -> FloatArray:
    return np.asarray(history.matrix(part.half_life).data[:, None], np.float32)


def _by_bands(
    succession: Succession, part: Part, history: History, columns: IntArray
) -> FloatArray:
    asked = successors.bands_of(history, half_life=part.half_life).tocoo()
    met = succession.matrix[asked.col][:, columns].toarray() * asked.data[:, None]
    by_work = np.zeros((history.n_works, len(columns)), np.float32)
    np.add.at(by_work, asked.col % history.n_works, met)
    return by_work[history.column]


def _by_factors(factors: Factors, read: FloatArray, met: Met) -> FloatArray:
    """Solve in the patron's few works, not in the many dimensions (Woodbury)."""
    own = factors.works[met.history.column]
    extra = np.float32(factors.alpha) * read
    first = own @ factors.inverse
    system = first @ own.T * extra.T
    system[np.diag_indices_from(system)] += 1
    towards = np.linalg.solve(system, first @ factors.works[met.columns].T)
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
