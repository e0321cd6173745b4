"""Why works suit one patron: each score split by parts and by borrowed works. Pure.

Each part runs once for all of the works: a shelf has two dozen and must not wait for
each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from recommender.arrays import FloatArray, History, IntArray
from recommender.blend import soften
from recommender.parts import successors
from recommender.parts.collaborative import Factors
from recommender.parts.content import Content
from recommender.parts.links import Links
from recommender.parts.roster import Part, score
from recommender.parts.semantics import Semantics
from recommender.parts.successors import Succession
from recommender.scoring import (
    FEW,
    Model,
    borrowed,
    standardise,
    stratum_of,
    with_reference,
)


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


def explain_many(
    model: Model, history: History, candidates: IntArray
) -> list[Explanation]:
    """Split the scores of some works for one patron by parts and by borrowed works.

    Args:
        model: Any.
        history: Of one patron.
        candidates: Columns.
    """
    found: dict[int, Explanation] = {}
    for warm in (True, False):
        columns = candidates[model.lent[candidates] == warm]
        if len(columns):
            explained = _explain(model, history, columns, warm=warm)
            found.update(zip(columns.tolist(), explained, strict=True))
    return [found[int(column)] for column in candidates]


def _explain(
    model: Model, history: History, columns: IntArray, *, warm: bool
) -> Sequence[Explanation]:
    stratum = stratum_of(warm=warm, few=bool(history.lengths[0] <= FEW))
    weights, softening = model.weights[stratum], model.softening[stratum]
    beside = with_reference(model, columns)
    own = borrowed(history, beside)
    parts: list[dict[str, float]] = [{} for _ in columns]
    works = np.zeros((len(history.column), len(columns)))
    for part in model.parts:
        weight = weights.get(part.name, 0.0)
        if not weight:
            continue
        told = np.where(own, np.nan, score(part, history, beside))
        scores = standardise(told)[:, : len(columns)]
        share = weight * np.nan_to_num(soften(scores, softening))[0].astype(float)
        for index in np.flatnonzero(share > 0):
            parts[index][part.name] = float(share[index])
        works += np.maximum(share, 0) * _proportions(_split(part, history, columns))
    return [
        Explanation(by_part, _by_work(history, works[:, index]))
        for index, by_part in enumerate(parts)
    ]


def _split(part: Part, history: History, columns: IntArray) -> FloatArray:
    """Return each borrowed work's part in each score, shape (pairs, columns).

    Exact where the part adds up; for ALS the decomposition of Hu, Koren, Volinsky
    (2008), section 5. Zeros where the part does not read the history.
    """
    fitted = part.fitted
    read = history.matrix(part.half_life).data[:, None]
    match fitted:
        case Links():
            met = fitted.matrix[history.column][:, columns].toarray()
        case Content():
            vectors = fitted.vectors
            met = (vectors[history.column] @ vectors[columns].T).toarray()
        case Semantics():
            met = fitted.works[history.column] @ fitted.works[columns].T
        case Factors():
            return _by_factors(fitted, read, history, columns)
        case Succession():
            return _by_bands(fitted, part, history, columns)
        case _:
            return np.zeros((len(history.column), len(columns)), np.float32)
    return np.asarray(read * met, np.float32)


def _by_bands(
    succession: Succession, part: Part, history: History, columns: IntArray
) -> FloatArray:
    asked = successors.bands_of(history, half_life=part.half_life).tocoo()
    met = succession.matrix[asked.col][:, columns].toarray() * asked.data[:, None]
    by_work = np.zeros((history.n_works, len(columns)), np.float32)
    np.add.at(by_work, asked.col % history.n_works, met)
    return by_work[history.column]


def _by_factors(
    factors: Factors, read: FloatArray, history: History, columns: IntArray
) -> FloatArray:
    borrowed = factors.works[history.column]
    extra = np.float32(factors.alpha) * read
    weighed = factors.gram + borrowed.T @ (extra * borrowed)
    ridge = np.float32(factors.regularisation + 1e-6)
    weighed[np.diag_indices_from(weighed)] += ridge
    towards = np.linalg.solve(weighed, factors.works[columns].T)
    return np.asarray((borrowed @ towards) * (1 + extra), np.float32)


def _proportions(split: FloatArray) -> FloatArray:
    speaking = np.maximum(split, 0)
    total = speaking.sum(axis=0)
    return np.asarray(speaking / np.where(total > 0, total, 1), np.float32)


def _by_work(history: History, works: npt.NDArray[np.float64]) -> dict[int, float]:
    return {
        int(history.column[index]): float(works[index])
        for index in np.flatnonzero(works > 0)
    }
