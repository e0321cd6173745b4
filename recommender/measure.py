"""Run scorers over the measured patrons and gather their figures. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix

from recommender.arrays import FloatArray, IntArray
from recommender.metrics import (
    KEPT,
    NOBODY,
    RECALLED,
    SHOWN,
    Figure,
    Truth,
    best,
    coverage,
    figure,
    hits,
    ndcg,
    novelty,
    recall,
    served,
    stretches,
)

BLOCK = 1024
"""Patrons scored at once."""
UNKNOWN = np.float32(-1e30)
"""A work that a scorer knows nothing of comes after all others, in order of ties."""

Scorers = Callable[[IntArray], Mapping[str, FloatArray]]
"""Rows of patrons to scores by scorer, shape (patrons, candidates), nan: not known."""


@dataclass(frozen=True)
class Question:
    """What is to be found, and among what.

    Attributes:
        truth: Of the measured patrons; its columns are places among the candidates.
        candidates: Shape (candidates,), columns, in the order in which ties break.
        borrowed: Patrons x candidates, what each had before; of all rows.
        left_out: What a patron had before is no candidate for that patron.
        popularity: Shape (candidates,), by how many patrons each was borrowed before.
        n_patrons: Of the training.
        history_lengths: Shape (rows,), how many works each patron of the training had.
    """

    truth: Truth
    candidates: IntArray
    borrowed: csr_matrix
    left_out: bool
    popularity: IntArray
    n_patrons: int
    history_lengths: IntArray


@dataclass(frozen=True)
class Ranked:
    """One scorer's rankings and what they are worth, a row per measured patron.

    Attributes:
        places: Shape (patrons, `KEPT`), places among the candidates, or `NOBODY`.
        scores: Of those works.
        per_patron: By metric, shape (patrons,).
        coverage: Share of the candidates shown to anybody.
    """

    places: IntArray
    scores: FloatArray
    per_patron: Mapping[str, FloatArray]
    coverage: float

    def figures(self, among: IntArray | None = None) -> dict[str, Figure]:
        """Average over the measured patrons, or over some of them."""
        return {
            name: figure(values if among is None else values[among])
            for name, values in self.per_patron.items()
        }


def measure(question: Question, scorers: Scorers) -> dict[str, Ranked]:
    """Rank the candidates for every measured patron, by every scorer."""
    kept: dict[str, list[tuple[IntArray, FloatArray]]] = {}
    for at in stretches(len(question.truth), BLOCK):
        rows = question.truth.rows[at]
        for name, scores in scorers(rows).items():
            kept.setdefault(name, []).append(_ranking(question, rows, scores))
    return {
        name: _ranked(
            question,
            np.concatenate([places for places, _ in blocks]),
            np.concatenate([scores for _, scores in blocks]),
        )
        for name, blocks in kept.items()
    }


def _ranking(
    question: Question, rows: IntArray, scores: FloatArray
) -> tuple[IntArray, FloatArray]:
    usable = np.where(np.isnan(scores), UNKNOWN, scores)
    if question.left_out:
        row, place = question.borrowed[rows].nonzero()
        usable[row, place] = -np.inf
    places = best(usable, KEPT)
    return places, np.take_along_axis(usable, np.maximum(places, 0), axis=1)


def _ranked(question: Question, places: IntArray, scores: FloatArray) -> Ranked:
    truth = question.truth
    hit = hits(places[:, :RECALLED], truth, slice(0, len(truth)))
    shown = places[:, :SHOWN]
    per_patron = {
        f"recall@{RECALLED}": recall(hit, truth.sizes),
        f"ndcg@{SHOWN}": ndcg(hit, truth.sizes),
        "served": served(hit),
        "novelty": novelty(shown, question.popularity, question.n_patrons),
        "repeats": _repeats(question, shown),
    }
    return Ranked(places, scores, per_patron, coverage(shown, len(question.candidates)))


def _repeats(question: Question, shown: IntArray) -> FloatArray:
    """Return the share of the shown works that the patron had before."""
    repeated = np.zeros(len(shown), np.float32)
    for index, (row, places) in enumerate(zip(question.truth.rows, shown, strict=True)):
        start, end = question.borrowed.indptr[row : row + 2]
        before = question.borrowed.indices[start:end]
        there = places[places != NOBODY]
        repeated[index] = np.isin(there, before).sum() / max(len(there), 1)
    return repeated
