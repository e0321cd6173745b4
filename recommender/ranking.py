"""From scores to the works worth telling: floor, rules, nos, variety. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from recommender.arrays import FloatArray, IntArray
from recommender.curation import Curated
from recommender.diversity import Caps, Sides, diversify
from recommender.metrics import NOBODY, BoolArray
from recommender.selection import best_above

FURTHER = 2
"""So many times the list's length are ranked, for the caps to choose from."""
PINNED = 1000.0
"""Added to a pinned work, so that it leads whatever the scores are."""


@dataclass(frozen=True)
class Chosen:
    """What each patron gets.

    Attributes:
        places: By patron, places among the candidates, best first.
        below_floor: Shape (patrons,): something was left to tell, but nothing worth it.
    """

    places: Sequence[Sequence[int]]
    below_floor: BoolArray


def worth_telling(  # noqa: PLR0913 -- a choice rests on as much
    curated: Curated,
    nos: BoolArray,
    floors: FloatArray,
    *,
    asked: tuple[IntArray, IntArray] | None = None,
    sides: Sequence[Sides],
    size: int,
    caps: Caps,
) -> Chosen:
    """Choose up to `size` works for each patron.

    Args:
        curated: Scores after the rules, shape (patrons, candidates).
        nos: What is out of the question whatever its score.
        floors: Shape (patrons,), the least score worth telling; a pin is told anyway,
            and what was asked for.
        asked: Rows and places that a stated interest or a rule brings.
        sides: Of the candidates, for the caps.
        size: Longest list.
        caps: Of variety.
    """
    scores = curated.scores
    if curated.pinned.any():
        raised = scores + np.float32(PINNED) * curated.pinned
        scores = raised.astype(np.float32, copy=False)
    if asked is not None and len(asked[0]):
        scores = _let_in(scores, floors, asked)
    top = best_above(scores, floors, min(size * FURTHER, len(sides)), nos=nos)
    counts = (top != NOBODY).sum(axis=1).tolist()
    places = [
        diversify(row[:count], sides, size, caps)
        for row, count in zip(top.tolist(), counts, strict=True)
    ]
    untold = np.array([not row for row in places], bool)
    untold[untold] = (np.isfinite(scores[untold]) & ~nos[untold]).any(axis=1)
    return Chosen(places, untold)


def _let_in(
    scores: FloatArray, floors: FloatArray, asked: tuple[IntArray, IntArray]
) -> FloatArray:
    """Lift to the floor what was asked for; what is excluded stays so."""
    lifted = scores.copy()
    there = np.isfinite(scores[asked])
    cells = asked[0][there], asked[1][there]
    lifted[cells] = np.maximum(scores[cells], floors[cells[0]])
    return lifted
