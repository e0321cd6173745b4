"""Which of a patron's own works speak for a candidate, part by part."""

from __future__ import annotations

import numpy as np

from recommender.arrays import FloatArray, History
from recommender.parts import successors
from recommender.parts.collaborative import Factors
from recommender.parts.content import Content
from recommender.parts.links import Links
from recommender.parts.roster import Part
from recommender.parts.semantics import Semantics
from recommender.parts.successors import Succession


def contributions(part: Part, history: History, candidate: int) -> FloatArray:
    """Split a part's score over the works of one patron, shape (pairs,).

    Exact where the part adds up; for ALS the decomposition of Hu, Koren, Volinsky
    (2008), section 5. Zeros where the part does not read the history.

    Args:
        part: Any part.
        history: Of one patron.
        candidate: A column.
    """
    fitted, read = part.fitted, history.matrix(part.half_life).data
    match fitted:
        case Links():
            met = fitted.matrix[history.column, candidate].toarray().ravel()
            split = read * met
        case Succession():
            split = _by_bands(fitted, part, history, candidate)
        case Content():
            vectors = fitted.vectors
            met = (vectors[history.column] @ vectors[candidate].T).toarray().ravel()
            split = read * met
        case Semantics():
            split = read * (fitted.works[history.column] @ fitted.works[candidate])
        case Factors():
            split = _by_factors(fitted, read, history, candidate)
        case _:
            split = np.zeros(len(read), np.float32)
    return np.asarray(split, np.float32)


def _by_bands(
    succession: Succession, part: Part, history: History, candidate: int
) -> FloatArray:
    asked = successors.bands_of(history, half_life=part.half_life).tocoo()
    met = succession.matrix[asked.col, candidate].toarray().ravel() * asked.data
    by_work = np.zeros(history.n_works, np.float32)
    np.add.at(by_work, asked.col % history.n_works, met)
    return by_work[history.column]


def _by_factors(
    factors: Factors, read: FloatArray, history: History, candidate: int
) -> FloatArray:
    borrowed = factors.works[history.column]
    extra = np.float32(factors.alpha) * read
    weighed = factors.gram + (borrowed.T * extra) @ borrowed
    ridge = np.float32(factors.regularisation + 1e-6)
    weighed[np.diag_indices_from(weighed)] += ridge
    towards = np.linalg.solve(weighed, factors.works[candidate])
    return np.asarray((borrowed @ towards) * (1 + extra), np.float32)
