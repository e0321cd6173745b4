"""The bridge for works without loans: they take what their neighbours in content have.

Gantner, Drumond, Freudenthaler, Rendle, Schmidt-Thieme: Learning Attribute-to-Feature
Mappings for Cold-Start Recommendations (ICDM 2010), its nearest-neighbour mapping.
How many neighbours, and near in what, is chosen by how well they foretell borrowers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import csr_matrix

from recommender.arrays import FloatArray, IntArray
from recommender.parts.collaborative import Factors
from recommender.parts.links import Links
from recommender.parts.popularity import Popularity
from recommender.parts.successors import Succession

PLAYED = 1000
"""Works that play new ones when a neighbourhood is chosen."""

STRIP = 512


@dataclass(frozen=True)
class Neighbourhood:
    """Which works with loans a work without them leans on.

    Attributes:
        count: How many, nearest first.
        power: Of the likeness, as the weight.
        semantic: Likeness is the mean of terms and LSI space, else of terms alone.
    """

    count: int
    power: float
    semantic: bool


NEIGHBOURHOODS = (
    Neighbourhood(70, 2.5, semantic=False),
    Neighbourhood(20, 2.0, semantic=True),
)
"""Many neighbours where words are plenty, few and by LSI where they are scarce."""


def choose_neighbourhood(
    vectors: csr_matrix, places: FloatArray, loans: csr_matrix, *, seed: int
) -> Neighbourhood:
    """Find the neighbours that foretell best who borrows a work.

    Some works with loans play new ones: the neighbours' borrowers, weighed, are
    compared by cosine with the work's own.
    """
    borrowers = csr_matrix(loans.T)
    warm = np.flatnonzero(np.diff(borrowers.indptr))
    rng = np.random.default_rng(seed)
    some = np.sort(rng.choice(warm, min(PLAYED, len(warm)), replace=False))
    found = [
        _foretold(
            borrowers,
            neighbour_weights(vectors, places, cold=some, warm=warm, by=neighbourhood),
            some,
        )
        for neighbourhood in NEIGHBOURHOODS
    ]
    return NEIGHBOURHOODS[int(np.argmax(found))]


def _foretold(borrowers: csr_matrix, weights: csr_matrix, works: IntArray) -> float:
    if not len(works):
        return 0.0
    expected, true = weights[works] @ borrowers, borrowers[works]
    met = np.asarray(expected.multiply(true).sum(axis=1)).ravel()
    lengths = [
        np.sqrt(np.asarray(side.multiply(side).sum(axis=1)).ravel())
        for side in (expected, true)
    ]
    return float((met / np.maximum(lengths[0] * lengths[1], 1e-9)).mean())


def neighbour_weights(
    vectors: csr_matrix,
    places: FloatArray,
    *,
    cold: IntArray,
    warm: IntArray,
    by: Neighbourhood = NEIGHBOURHOODS[0],
) -> csr_matrix:
    """Weigh each cold work's nearest warm works but itself, rows adding up to 1 or 0.

    Shape (works, works); only rows of cold works are filled.
    """
    n = vectors.shape[0]
    rows, columns, weights = [cold[:0]], [warm[:0]], [np.empty(0, np.float32)]
    keep = min(by.count, len(warm))
    spread = vectors[warm].T.tocsr()
    for at in range(0, len(cold) if keep else 0, STRIP):
        strip = cold[at : at + STRIP]
        alike = (vectors[strip] @ spread).toarray()
        if by.semantic and places.shape[1]:
            alike = (alike + places[strip] @ places[warm].T) / 2
        alike[strip[:, None] == warm] = 0
        nearest = np.argpartition(-alike, keep - 1, axis=1)[:, :keep]
        likeness = np.maximum(np.take_along_axis(alike, nearest, axis=1), 0)
        weight = likeness**by.power
        total = weight.sum(axis=1, keepdims=True)
        weight = weight / np.where(total > 0, total, 1)
        rows.append(np.repeat(strip, keep))
        columns.append(warm[nearest].ravel())
        weights.append(weight.ravel().astype(np.float32))
    place = (np.concatenate(rows), np.concatenate(columns))
    matrix = csr_matrix((np.concatenate(weights), place), shape=(n, n))
    matrix.eliminate_zeros()
    return matrix


def bridge_factors(factors: Factors, weights: csr_matrix) -> Factors:
    """Give each cold work the weighed mean of its neighbours' vectors."""
    met = reached(weights)
    works = factors.works.copy()
    works[met] = (weights @ factors.works)[met]
    return replace(factors, works=works, known=factors.known | met)


def bridge_links(links: Links, weights: csr_matrix) -> Links:
    """Let what speaks for a cold work's neighbours speak for it."""
    met = reached(weights)
    matrix = csr_matrix(links.matrix + links.matrix @ weights.T, dtype=np.float32)
    matrix.sort_indices()
    return Links(matrix, links.known | met)


def bridge_succession(succession: Succession, weights: csr_matrix) -> Succession:
    """Let what follows on loans of its neighbours be followed by a cold work."""
    whole = Links(succession.matrix, succession.known)
    bridged = bridge_links(whole, weights)
    return Succession(bridged.matrix, bridged.known)


def bridge_popularity(popularity: Popularity, weights: csr_matrix) -> Popularity:
    """Expect of a cold work what its neighbours were lent."""
    met = reached(weights)
    whole = popularity.whole + weights @ popularity.whole
    groups = popularity.groups
    if len(groups):
        groups = groups + (weights @ groups.T).T
    known = popularity.known | met
    return Popularity(whole.astype(np.float32), groups.astype(np.float32), known)


def reached(weights: csr_matrix) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Return which works have a neighbour to lean on."""
    return np.diff(weights.indptr) > 0
