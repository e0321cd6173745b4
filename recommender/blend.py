"""Mix the parts' scores into one per work."""

from __future__ import annotations

from collections.abc import Mapping
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


def blend(scores: Mapping[str, FloatArray], weights: Mapping[str, float]) -> FloatArray:
    """Mix the parts' scores into one per work.

    Where a part knows nothing of a work it says nan, which counts as that part's mean:
    a new acquisition has no loans, and that must not speak against it. The weights
    come from recommender.tuning, chosen on this library's own last weeks.

    Args:
        scores: By part, any one shape, standardised over the works it knows.
        weights: By part; a part left out weighs nothing, and one without scores too.

    Returns:
        The same shape, in standard deviations; only the order has meaning.
    """
    total = np.zeros_like(next(iter(scores.values())))
    for part, weight in weights.items():
        if weight and part in scores:
            total += np.float32(weight) * np.nan_to_num(scores[part])
    return total
