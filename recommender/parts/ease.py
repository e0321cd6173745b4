"""EASE: the linear map from works to works that best rebuilds every history.

Steck: Embarrassingly Shallow Autoencoders for Sparse Data (WWW 2019). The closed
form inverts works x works; where there are fewer patrons than works the same matrix
comes from patrons x patrons (Woodbury). Above `LARGEST` of both, only the most
borrowed works take part: the stated cheaper substitute, which leaves the others to
the neighbours. Links below zero are dropped and only the strongest into each work
kept, which makes the model small and, measured, ranks a little better.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from scipy.linalg import lapack
from scipy.sparse import coo_matrix, csr_matrix, diags

from recommender.arrays import FloatArray, IntArray
from recommender.parts.links import Links, nothing

LARGEST = 15_000
REGULARISATION = 50.0
KEEP = 200
STRIP = 1024


def fit(
    loans: csr_matrix,
    *,
    regularisation: float = REGULARISATION,
    keep: int = KEEP,
    largest: int = LARGEST,
) -> Links:
    """Learn links from patrons x works, keeping the `keep` strongest into a work."""
    counts = np.bincount(loans.indices, minlength=loans.shape[1])
    lengths = np.diff(loans.indptr)
    part = np.flatnonzero(counts)
    patrons = np.flatnonzero(lengths > 1)
    if not len(patrons):
        return Links(nothing(loans.shape[1], loans.shape[1]), counts > 0)
    if min(len(part), len(patrons)) > largest:
        part = np.sort(np.argsort(-counts, kind="stable")[:largest])
    known = np.zeros(loans.shape[1], bool)
    known[part] = True
    block = loans[patrons][:, part].tocsr().astype(np.float32)
    if len(part) <= len(patrons):
        matrix = _by_works(block, regularisation, keep)
    else:
        matrix = _by_patrons(block, regularisation, keep)
    wide = csr_matrix(
        (matrix.data, (part[matrix.row], part[matrix.col])),
        shape=(loans.shape[1], loans.shape[1]),
    )
    return Links(wide, known)


def rarer(links: Links, loans: csr_matrix) -> Links:
    """Divide the links into a work by the root of its loans, for the long tail."""
    counts = np.bincount(loans.indices, minlength=loans.shape[1])
    scale = 1 / np.sqrt(np.maximum(counts, 1))
    matrix = csr_matrix(links.matrix @ diags(scale), dtype=np.float32)
    return Links(matrix, links.known)


def _inverse(gram: FloatArray, regularisation: float) -> FloatArray:
    gram[np.diag_indices_from(gram)] += regularisation
    factor, _ = lapack.spotrf(gram, lower=1, overwrite_a=1)
    inverse, _ = lapack.spotri(factor, lower=1, overwrite_c=1)
    low = np.tril(inverse)
    return np.asarray(low + np.tril(low, -1).T, np.float32)


def _by_works(block: csr_matrix, regularisation: float, keep: int) -> coo_matrix:
    gram = np.asfortranarray((block.T @ block).toarray(), np.float32)
    inverse = _inverse(gram, regularisation)
    diagonal = np.diag(inverse).copy()
    strips = (
        _strip(inverse[at : at + STRIP], diagonal, at, keep)
        for at in range(0, len(inverse), STRIP)
    )
    return _join(strips, len(inverse))


def _by_patrons(block: csr_matrix, regularisation: float, keep: int) -> coo_matrix:
    gram = np.asfortranarray((block @ block.T).toarray(), np.float32)
    kernel = _inverse(gram, regularisation)
    spread = block.T.tocsr()
    first = np.ascontiguousarray((spread @ kernel).T, np.float32)
    overlap = np.asarray(spread.multiply(first.T).sum(axis=1)).ravel()
    diagonal = (1 - overlap).astype(np.float32)
    strips = (
        _strip(-(spread[at : at + STRIP] @ first), diagonal, at, keep)
        for at in range(0, block.shape[1], STRIP)
    )
    return _join(strips, block.shape[1])


def _strip(
    inverse: FloatArray, diagonal: FloatArray, at: int, keep: int
) -> tuple[IntArray, IntArray, FloatArray]:
    height = len(inverse)
    links = inverse / -diagonal[at : at + height, None]
    links[np.arange(height), np.arange(at, at + height)] = 0
    keep = min(keep, links.shape[1])
    rows = np.argpartition(links, links.shape[1] - keep, axis=1)[:, -keep:]
    values = np.take_along_axis(links, rows, axis=1).ravel()
    columns = np.repeat(np.arange(at, at + height), keep)
    speaks_for = values > 0
    return rows.ravel()[speaks_for], columns[speaks_for], values[speaks_for]


def _join(
    strips: Iterable[tuple[IntArray, IntArray, FloatArray]], size: int
) -> coo_matrix:
    rows, columns, values = zip(*strips, strict=True)
    data = np.concatenate(values).astype(np.float32)
    place = (np.concatenate(rows), np.concatenate(columns))
    return coo_matrix((data, place), shape=(size, size))
