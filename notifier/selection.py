"""Which matches are worth an alert now: above the floor, within the allowance, once.

Pure.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Candidate:
    """A match that no alert has taken up yet."""

    work_id: int
    score: float
    reasons: list[Any] = field(default_factory=list)
    model_version_id: int | None = None
    interest_id: int | None = None
    rule_id: int | None = None

    @property
    def asked_for(self) -> bool:
        """Tell whether an interest or a librarian's rule brought it."""
        return self.interest_id is not None or self.rule_id is not None


@dataclass(frozen=True)
class Selection:
    """What was chosen, best first, and what became of the rest."""

    chosen: list[Candidate]
    barred: int
    below_floor: int
    over_allowance: int
    """They wait, and may be better than what comes next week."""


def choose(
    candidates: Iterable[Candidate],
    *,
    barred: Collection[int],
    floor: float,
    allowance: int,
) -> Selection:
    """Choose the matches to make alerts of.

    Args:
        candidates: Those of one patron; of several for one work the best counts.
        barred: Works the patron must not be told of.
        floor: The least score worth telling, where nobody asked for the work by name.
        allowance: How many more alerts the patron may get this week.
    """
    best = _best_per_work(candidates)
    told = [c for c in best if c.work_id not in barred]
    worth = [c for c in told if c.asked_for or c.score >= floor]
    chosen = worth[: max(allowance, 0)]
    return Selection(
        chosen,
        barred=len(best) - len(told),
        below_floor=len(told) - len(worth),
        over_allowance=len(worth) - len(chosen),
    )


def _best_per_work(candidates: Iterable[Candidate]) -> list[Candidate]:
    ordered = sorted(candidates, key=lambda c: (-c.score, c.work_id))
    first: dict[int, Candidate] = {}
    for candidate in ordered:
        first.setdefault(candidate.work_id, candidate)
    return list(first.values())
