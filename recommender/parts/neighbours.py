"""Item-kNN: works that the same patrons borrow.

Sarwar, Karypis, Konstan, Riedl: Item-Based Collaborative Filtering Recommendation
Algorithms (WWW 2001); cosine of the columns, each patron weighing less the longer
their history.
"""

from __future__ import annotations

import numpy as np
from implicit.nearest_neighbours import ItemItemRecommender
from scipy.sparse import csr_matrix, diags
from threadpoolctl import threadpool_limits

from recommender.parts.links import Links

NEIGHBOURS = 200


def fit(
    loans: csr_matrix, *, neighbours: int = NEIGHBOURS, shrink: float = 0.0
) -> Links:
    """Learn links from patrons x works; a work is no neighbour of itself."""
    known = np.bincount(loans.indices, minlength=loans.shape[1]) > 0
    lengths = np.maximum(np.asarray(loans.sum(axis=1)).ravel(), 1)
    weighed = diags(1 / np.sqrt(lengths)) @ loans
    sizes = np.sqrt(np.asarray(weighed.multiply(weighed).sum(axis=0)).ravel())
    scale = 1 / (sizes + shrink + (sizes == 0))
    weighed = (weighed @ diags(scale)).tocsr().astype(np.float64)
    model = ItemItemRecommender(K=neighbours + 1)
    with threadpool_limits(1, "blas"):
        model.fit(weighed, show_progress=False)
    matrix = csr_matrix(model.similarity.T, dtype=np.float32)
    matrix.setdiag(0)
    matrix.eliminate_zeros()
    return Links(matrix.tocsr(), known)
