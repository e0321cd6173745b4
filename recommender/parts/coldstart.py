"""The bridge for works without loans: they take what their neighbours in content have.

Gantner, Drumond, Freudenthaler, Rendle, Schmidt-Thieme: Learning Attribute-to-Feature
Mappings for Cold-Start Recommendations (ICDM 2010), its nearest-neighbour mapping:
about `NEIGHBOURS` works with loans, similarity squared as the weight.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.sparse import csr_matrix

from recommender.arrays import FloatArray, IntArray
from recommender.parts.collaborative import Factors
from recommender.parts.links import Links
from recommender.parts.popularity import Popularity
from recommender.parts.successors import Succession

NEIGHBOURS = 20
STRIP = 512


def neighbour_weights(
    vectors: csr_matrix,
    places: FloatArray,
    *,
    cold: IntArray,
    warm: IntArray,
    neighbours: int = NEIGHBOURS,
) -> csr_matrix:
    """Weigh each cold work's nearest warm works, rows adding up to 1 or 0.

    Likeness is the mean of the inner products in terms and in LSI space, where the
    works have places. Shape (works, works); only rows of cold works are filled.
    """
    n = vectors.shape[0]
    rows, columns, weights = [cold[:0]], [warm[:0]], [np.empty(0, np.float32)]
    keep = min(neighbours, len(warm))
    spread = vectors[warm].T.tocsr()
    for at in range(0, len(cold) if keep else 0, STRIP):
        strip = cold[at : at + STRIP]
        alike = (vectors[strip] @ spread).toarray()
        if places.shape[1]:
            alike = (alike + places[strip] @ places[warm].T) / 2
        nearest = np.argsort(-alike, axis=1, kind="stable")[:, :keep]
        weight = np.maximum(np.take_along_axis(alike, nearest, axis=1), 0) ** 2
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
