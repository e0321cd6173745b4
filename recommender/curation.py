"""Librarians' rules on scores: pin, boost, bury, exclude. Pure.

A rule speaks for the patrons of its branch and category, or for all. A pin leads, but
never over a patron's own no: suppressions and exclusions are applied after it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from library.vocabulary import RuleAction
from recommender.arrays import FloatArray, IntArray
from recommender.metrics import BoolArray

STEP = 1.0
"""Standard deviations of a boost or bury whose rule names no factor."""


@dataclass(frozen=True)
class Rule:
    """A rule in force, as the scores see it.

    Attributes:
        rule_id: Its row.
        action: What it does.
        factor: Of a boost or bury, in standard deviations.
        places: Shape (works,), where its works stand among the candidates.
        branch_id: Only patrons of this branch; None is all.
        category: Only patrons of this category; None is all.
        label: What it names, as a reason tells it.
    """

    rule_id: int
    action: RuleAction
    factor: float
    places: IntArray
    branch_id: int | None = None
    category: str | None = None
    label: str = ""


@dataclass(frozen=True)
class Curated:
    """Scores after the rules.

    Attributes:
        scores: Shape (patrons, candidates); -inf where excluded.
        raised_by: Shape (patrons, candidates), the rule that pinned or boosted, or 0.
        pinned: Shape (patrons, candidates).
    """

    scores: FloatArray
    raised_by: IntArray
    pinned: BoolArray


def curate(
    scores: FloatArray,
    rules: Sequence[Rule],
    *,
    branches: IntArray,
    categories: Sequence[str | None],
) -> Curated:
    """Apply the rules to each patron they speak for.

    The order of the rules does not matter, but for which of two pins is named: the
    one with the higher id. Exclude beats pin.
    """
    curated = Curated(
        scores.copy(), np.zeros(scores.shape, np.int64), np.zeros(scores.shape, bool)
    )
    for rule in sorted(rules, key=lambda rule: (_ORDER[rule.action], rule.rule_id)):
        rows = np.flatnonzero(_speaks_for(rule, branches, categories))
        if len(rows) and len(rule.places):
            _apply(rule, np.ix_(rows, rule.places), curated)
    return curated


_ORDER = {
    RuleAction.BURY: 0,
    RuleAction.BOOST: 1,
    RuleAction.PIN: 2,
    RuleAction.EXCLUDE: 3,
}


def _speaks_for(
    rule: Rule, branches: IntArray, categories: Sequence[str | None]
) -> BoolArray:
    there = np.ones(len(branches), bool)
    if rule.branch_id is not None:
        there &= branches == rule.branch_id
    if rule.category is not None:
        there &= np.array([name == rule.category for name in categories], bool)
    return there


def _apply(rule: Rule, cells: tuple[IntArray, ...], curated: Curated) -> None:
    if rule.action == RuleAction.EXCLUDE:
        curated.scores[cells] = -np.inf
        curated.pinned[cells] = False
    elif rule.action == RuleAction.BURY:
        curated.scores[cells] -= np.float32(rule.factor)
    else:
        curated.raised_by[cells] = rule.rule_id
        if rule.action == RuleAction.BOOST:
            curated.scores[cells] += np.float32(rule.factor)
        else:
            curated.pinned[cells] = True
