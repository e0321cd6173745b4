"""ALS: patrons and works as vectors whose product tells what suits.

Hu, Koren, Volinsky: Collaborative Filtering for Implicit Feedback Datasets (ICDM 2008).
The fold-in of patrons is the paper's equation 4, solved by conjugate gradients
(Takács, Pilászy, Tikk: Applications of the Conjugate Gradient Method for Implicit
Feedback Collaborative Filtering, RecSys 2011).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from implicit.als import AlternatingLeastSquares
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from recommender.arrays import FloatArray, History, IntArray

ROUNDS = 15
STEPS = 8
RIDGE = 1e-6
"""Keeps the vectors' inner products from being singular where nothing else does."""
FEW_LOANS = 30_000
"""Below this many, threads cost more than they bring."""


@dataclass(frozen=True)
class Factors:
    """The works' vectors; no patron's is kept.

    Attributes:
        works: Shape (works, dimension), zero rows for works without loans.
        known: Shape (works,), which works had loans.
        gram: Shape (dimension, dimension), the works' vectors' inner products.
        alpha: Confidence of one loan above none.
        regularisation: Of a patron's vector.
    """

    works: FloatArray
    known: np.ndarray[tuple[int], np.dtype[np.bool_]]
    gram: FloatArray
    alpha: float
    regularisation: float

    @property
    def ridge(self) -> np.float32:
        """What the diagonal of `gram` is raised by before anything is solved."""
        return np.float32(self.regularisation + RIDGE)

    @cached_property
    def inverse(self) -> FloatArray:
        """Of `gram` with its ridge, shape (dimension, dimension)."""
        raised = self.gram + self.ridge * np.eye(len(self.gram))
        return np.asarray(np.linalg.inv(raised), np.float32)


def fit(
    loans: csr_matrix,
    *,
    dimension: int,
    seed: int,
    alpha: float = 1.0,
    regularisation: float = 0.01,
    rounds: int = ROUNDS,
) -> Factors:
    """Learn the works' vectors from patrons x works, float32, weights as confidence."""
    known = np.bincount(loans.indices, minlength=loans.shape[1]) > 0
    with threadpool_limits(1, "blas"):
        model = AlternatingLeastSquares(
            factors=dimension,
            regularization=regularisation,
            alpha=alpha,
            iterations=rounds,
            random_state=seed,
            dtype=np.float32,
            num_threads=1 if loans.nnz < FEW_LOANS else 0,
        )
        model.fit(loans, show_progress=False)
    works = np.asarray(model.item_factors, np.float32).copy()
    works[~known] = 0
    return from_works(works, known, alpha=alpha, regularisation=regularisation)


def from_works(
    works: FloatArray,
    known: np.ndarray[tuple[int], np.dtype[np.bool_]],
    *,
    alpha: float,
    regularisation: float,
) -> Factors:
    """Make factors of stored vectors."""
    gram = (works.T @ works).astype(np.float32)
    return Factors(works, known, gram, alpha, regularisation)


def fold_in(
    factors: Factors, history: History, *, half_life: float | None = None
) -> FloatArray:
    """Return the patrons' vectors, shape (patrons, dimension), from their loans."""
    weight = history.faded(half_life)
    if not len(weight):
        return np.zeros((len(history), factors.works.shape[1]), np.float32)
    extra = weight * np.float32(factors.alpha)
    target = 1 + extra if factors.alpha else np.ones_like(weight)
    return _conjugate_gradients(factors, history, extra, target)


def _conjugate_gradients(
    factors: Factors, history: History, extra: FloatArray, weight: FloatArray
) -> FloatArray:
    row, borrowed = history.row, factors.works[history.column]
    ridge = np.float32(factors.regularisation)

    def add_up(values: FloatArray) -> FloatArray:
        """Add up the borrowed works' vectors by patron, each with its value."""
        if len(history) == 1:  # to make a matrix costs more than the sum
            return values[None] @ borrowed
        shape = len(history), history.n_works
        matrix = csr_matrix((values, history.column, history.indptr), shape)
        return np.asarray(matrix @ factors.works, np.float32)

    def apply(vectors: FloatArray) -> FloatArray:
        inner = np.einsum("ij,ij->i", borrowed, vectors[row])
        return vectors @ factors.gram + ridge * vectors + add_up(extra * inner)

    target = add_up(weight)
    vectors = np.zeros_like(target)
    rest = target.copy()
    step = rest.copy()
    size = np.einsum("ij,ij->i", rest, rest)
    for _ in range(STEPS):
        image = apply(step)
        slope = size / np.maximum(np.einsum("ij,ij->i", step, image), 1e-20)
        vectors += slope[:, None] * step
        rest -= slope[:, None] * image
        new_size = np.einsum("ij,ij->i", rest, rest)
        step = rest + (new_size / np.maximum(size, 1e-20))[:, None] * step
        size = new_size
    return vectors.astype(np.float32)


def score(
    factors: Factors,
    history: History,
    candidates: IntArray,
    *,
    half_life: float | None = None,
) -> FloatArray:
    """Return shape (patrons, candidates); nan for works without loans."""
    patrons = fold_in(factors, history, half_life=half_life)
    scores = patrons @ factors.works[candidates].T
    scores[:, ~factors.known[candidates]] = np.nan
    return scores
