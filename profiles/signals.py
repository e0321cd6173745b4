"""From loans and verdicts to the interests they speak of."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from library.vocabulary import InterestKind, Verdict

HALF_LIFE: Final = timedelta(days=270)
"""After so long a signal says half as much."""
MOST: Final = 20
"""Interests inferred for one patron."""
HEAVIEST: Final = 1.0
"""An inferred interest never outweighs a plain stated one."""
LEAST: Final = 0.1
_TWICE: Final = 2
_LOAN: Final = 1.0
_STRENGTH: Final = {
    Verdict.WANTED: 1.0,
    Verdict.READ_ALREADY: 0.5,
    Verdict.NOT_FOR_ME: -1.5,
}


@dataclass(frozen=True)
class Term:
    """What a work could be loved for: a creator or a subject of it."""

    kind: InterestKind
    squash: str
    label: str = field(compare=False)


@dataclass(frozen=True)
class Signal:
    """One thing that speaks for a work, or against it when below 0."""

    work_id: int
    strength: float
    at: datetime | None
    """None where the source does not tell: counted as one half-life old."""
    terms: tuple[Term, ...]


@dataclass(frozen=True)
class Inferred:
    """An interest nobody stated."""

    term: Term
    weight: float


def strength_of(verdict: Verdict | None) -> float:
    """Return how much a verdict says; None stands for a loan."""
    return _LOAN if verdict is None else _STRENGTH[verdict]


def infer_interests(signals: Iterable[Signal], *, at: datetime) -> list[Inferred]:
    """Return the interests that several works speak of, the heaviest first.

    A term's weight is the sum of its signals, each halved with every `HALF_LIFE` that
    has passed, in relation to the heaviest term. One work alone makes no interest: it
    might have been a gift.

    Args:
        signals: In any order; a work may come more than once.
        at: The moment from which age is counted.
    """
    weights: dict[Term, float] = defaultdict(float)
    works: dict[Term, set[int]] = defaultdict(set)
    for signal in signals:
        for term in signal.terms:
            weights[term] += signal.strength * _fresh(signal.at, at)
            if signal.strength > 0:
                works[term].add(signal.work_id)
    repeated = {
        term: weight
        for term, weight in weights.items()
        if len(works[term]) >= _TWICE and weight > 0
    }
    return _relative(_heaviest(repeated))


def _fresh(signalled_at: datetime | None, at: datetime) -> float:
    age = HALF_LIFE if signalled_at is None else max(at - signalled_at, timedelta())
    return float(0.5 ** (age / HALF_LIFE))


def _heaviest(weights: dict[Term, float]) -> list[tuple[Term, float]]:
    order = sorted(weights.items(), key=lambda pair: (-pair[1], pair[0].squash))
    return order[:MOST]


def _relative(order: Sequence[tuple[Term, float]]) -> list[Inferred]:
    top = order[0][1] if order else 1.0
    relative = [Inferred(t, round(HEAVIEST * weight / top, 3)) for t, weight in order]
    return [inferred for inferred in relative if inferred.weight >= LEAST]
