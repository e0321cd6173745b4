"""LSI: content in few dimensions, so that words meet that never stand together.

Deerwester, Dumais, Furnas, Landauer, Harshman: Indexing by Latent Semantic Analysis
(1990), by the randomised decomposition of Halko, Martinsson, Tropp (2011).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.sparse import csr_matrix

from recommender.arrays import FloatArray, History, IntArray

DIMENSION = 256
OVERSAMPLE = 16
POWER_ROUNDS = 3
FEWEST_EACH = 4
"""Works behind each direction; a small library has fewer directions."""

FAINT = 1e-6


@dataclass(frozen=True)
class Semantics:
    """Works in the space of the strongest directions.

    Attributes:
        works: Shape (works, dimension), rows of length 1 or 0.
        directions: Shape (terms, dimension), to place works that come later.
    """

    works: FloatArray
    directions: FloatArray

    @cached_property
    def known(self) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Which works have a place at all."""
        return np.asarray(self.works.any(axis=1))


def fit(vectors: csr_matrix, *, seed: int, dimension: int = DIMENSION) -> Semantics:
    """Find the directions of works x terms; fewer where the library is small."""
    width = min(dimension, *(-(-size // FEWEST_EACH) for size in vectors.shape))
    width = min(width, *(size - 1 for size in vectors.shape))
    if width < 1:
        empty = np.zeros((vectors.shape[1], 0), np.float32)
        return Semantics(np.zeros((vectors.shape[0], 0), np.float32), empty)
    basis = _range_of(vectors, min(width + OVERSAMPLE, *vectors.shape), seed=seed)
    seen = vectors.T @ basis
    strength, mixing = np.linalg.eigh((seen.T @ seen).astype(np.float64))
    strongest = np.argsort(-strength, kind="stable")[:width]
    strongest = strongest[strength[strongest] > FAINT * strength.max()]
    scaled = mixing[:, strongest] / np.sqrt(strength[strongest])
    directions = np.ascontiguousarray(seen @ scaled.astype(np.float32), np.float32)
    return Semantics(place(vectors, directions), directions)


def _range_of(vectors: csr_matrix, size: int, *, seed: int) -> FloatArray:
    """Find a basis among the works, the shorter side, for the strongest directions."""
    rng = np.random.default_rng(seed)
    probe = rng.standard_normal((vectors.shape[1], size)).astype(np.float32)
    basis, _ = np.linalg.qr(vectors @ probe)
    for _ in range(POWER_ROUNDS):
        basis, _ = np.linalg.qr(vectors @ (vectors.T @ basis))
    return np.asarray(basis, np.float32)


def place(vectors: csr_matrix, directions: FloatArray) -> FloatArray:
    """Return works' places, shape (works, dimension), of length 1 or 0."""
    places = (vectors @ directions).astype(np.float32)
    lengths = np.linalg.norm(places, axis=1, keepdims=True)
    return np.asarray(places / np.where(lengths > 1e-6, lengths, 1), np.float32)


def score(
    semantics: Semantics,
    history: History,
    candidates: IntArray,
    *,
    half_life: float | None = None,
) -> FloatArray:
    """Return inner products of profiles and works; nan for a work without terms."""
    chosen = semantics.works[candidates]
    scores = (history.matrix(half_life) @ semantics.works) @ chosen.T
    scores[:, ~semantics.known[candidates]] = np.nan
    return np.asarray(scores, np.float32)
