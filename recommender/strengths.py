"""What each kind of signal weighs and how it fades, as the library set it.

The parts of the blend fade a history by half-lives of their own, learnt per library. A
half-life set here comes on top: it is the library's word on how long a loan shall
count, and a "not for me", which no part learns from, has no other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from sqlalchemy.orm import Session

from library.db import Lock, hold
from library.errors import InvalidInput
from library.remembering import remember
from library.tables import Setting
from recommender.arrays import FloatArray, IntArray
from recommender.bulk import UNDATED

NAME: Final = "signals"
"""Of the row in `setting`."""
HALF_LIFE: Final = "half_life_days"
DISLIKE: Final = "not_for_me"
DISLIKE_HALF_LIFE: Final = 365.0
"""Days until a "not for me" counts half, where the library set none."""

KINDS: Final[Mapping[str, float]] = {
    "loan": 1.0,
    "hold": 1.0,
    "wanted": 1.5,
    "read_already": 1.0,
    DISLIKE: -3.0,
}
"""What each kind of signal weighs where the library has not set otherwise.

What is above 0 is the confidence of a borrowed work in the sense of Hu, Koren, Volinsky
(2008). What is below takes as many standard deviations from a work of the very same
words, and less from one that is less alike.
"""
HEAVIEST: Final = 100.0


@dataclass(frozen=True)
class Strengths:
    """What signals say.

    Attributes:
        weights: By kind; negative speaks against.
        half_life: Days until a signal counts half; None leaves it to the parts.
    """

    weights: Mapping[str, float] = field(default_factory=lambda: KINDS)
    half_life: float | None = None


def read_strengths(session: Session) -> Strengths:
    """Return the library's own weights, or ours for what it has not set."""
    row = session.get(Setting, NAME)
    return strengths_of(row.value if row else {})


def strengths_of(value: Mapping[str, Any]) -> Strengths:
    """Understand the setting as it is stored."""
    said = {kind: float(value.get(kind, weight)) for kind, weight in KINDS.items()}
    half_life = value.get(HALF_LIFE)
    return Strengths(said, float(half_life) if half_life else None)


def set_strengths(
    session: Session, weights: Mapping[str, float], *, half_life: float | None = None
) -> Strengths:
    """Change some of the weights, and the half-life; the others stay.

    Args:
        session: An open transaction.
        weights: By kind.
        half_life: Days; 0 leaves fading to the parts again, None changes nothing.

    Raises:
        InvalidInput: No such kind, a weight out of bounds, or a negative half-life.
    """
    for kind, weight in weights.items():
        _check(kind, weight)
    if half_life is not None and not 0 <= half_life <= 36_500:
        raise InvalidInput("give days from 0 to 36500", field=HALF_LIFE)
    hold(session.connection(), Lock.WEIGHING_SIGNALS)
    row = session.get(Setting, NAME, populate_existing=True)
    value = {**(row.value if row else {}), **weights}
    if half_life is not None:
        value[HALF_LIFE] = half_life
    remember(session, NAME, value)
    return strengths_of(value)


def fade(
    weight: FloatArray, day: IntArray, *, today: int, half_life: float | None
) -> FloatArray:
    """Halve weights with every half-life that has passed.

    Args:
        weight: Shape (signals,).
        day: Shape (signals,), `date.toordinal()`; an undated one counts as one
            half-life old.
        today: The day from which age is counted.
        half_life: Days; None fades nothing.
    """
    if half_life is None:
        return weight
    age = np.where(day == UNDATED, half_life, np.maximum(today - day, 0))
    return np.asarray(weight * np.exp2(-age / half_life), np.float32)


def _check(kind: str, weight: float) -> None:
    if kind not in KINDS:
        known = ", ".join(KINDS)
        raise InvalidInput(f"no signal {kind!r}; there are {known}", field=kind)
    if not abs(weight) <= HEAVIEST:
        bounds = f"from -{HEAVIEST:g} to {HEAVIEST:g}"
        raise InvalidInput(f"give a weight {bounds}", field=kind)
