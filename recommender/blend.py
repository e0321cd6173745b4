"""Mix the parts' scores into one per work. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

import numpy as np

from recommender.arrays import FloatArray


class Softening(StrEnum):
    """How far a part's outstanding scores are drawn in before mixing.

    Scores have long tails: two dozen deviations are no rarity. Where evidence adds up
    (many weak links) they are best left alone, where single links shout, drawn in;
    which of them a library needs is tuned.
    """

    NONE = "none"
    ROOT = "root"
    LOGARITHM = "logarithm"


def soften(scores: FloatArray, softening: Softening) -> FloatArray:
    """Draw in standardised scores, keeping order and sign; nan stays nan."""
    size = np.abs(scores)
    if softening is Softening.NONE:
        return scores
    root = softening is Softening.ROOT
    drawn = 2 * (np.sqrt(1 + size) - 1) if root else np.log1p(size)
    return np.asarray(np.copysign(drawn, scores), np.float32)


def blend(scores: FloatArray, weights: Sequence[float]) -> FloatArray:
    """Return what each part adds to the mix; their sum is the mixed score.

    Where a part knows nothing of a work it says nan, which counts as that part's mean:
    a new acquisition has no loans, and that must not speak against it. The weights
    come from recommender.tuning, chosen on this library's own last weeks.

    Args:
        scores: Shape (parts, ...), standardised over the works each part knows.
        weights: One for each part.

    Returns:
        The same shape, in standard deviations.
    """
    shape = (-1, *[1] * (scores.ndim - 1))
    return np.nan_to_num(scores) * np.array(weights, np.float32).reshape(shape)
