"""Why this work for this patron: at most three reasons, with their shares. Pure.

The parts that gave the score its height are told by what the patron knows of them: the
loans, interests and creators, or the librarian's rule. Reasons are stored with the
match, so that a later model does not change what a patron was told.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from library.vocabulary import ReasonKind
from recommender.candidates import Candidate, Name

KEPT = 3
LEAST_SHARE = 0.05
"""A reason that explains less than this is left out, unless it is the only one."""

_TEXT = ("content", "lsi")
_TOGETHER = ("als", "knn", "ease", "successors")


@dataclass(frozen=True)
class Reason:
    """One reason, as it is stored.

    Attributes:
        kind: What sort of thing it names.
        ref: A work's id, an interest's, a rule's, or a creator's squash.
        label: The name shown, empty where the kind says all.
        share: Of the score, 0 to 1.
    """

    kind: ReasonKind
    ref: int | str | None
    label: str
    share: float


@dataclass(frozen=True)
class Cited:
    """A work of the patron's history that spoke for the match, and how much."""

    work_id: int
    title: str
    creators: tuple[Name, ...]
    value: float
    series: Name | None = None


@dataclass(frozen=True)
class Evidence:
    """All that raised one work for one patron, in standard deviations.

    Attributes:
        parts: By part, what it added to the blend.
        loans: What each work of the history added, most first.
        interests: Interest id and label, and what it added.
        rule: Id and label of the rule that pinned or boosted it.
        raised: What the rule added.
        different: It stands in a place kept for what few borrow.
    """

    parts: Mapping[str, float]
    loans: Sequence[Cited] = ()
    interests: Sequence[tuple[int, str, float]] = ()
    rule: tuple[int, str] | None = None
    raised: float = 0.0
    different: bool = False


def build_reasons(work: Candidate, evidence: Evidence) -> list[Reason]:
    """Return up to `KEPT` reasons, the largest share first, a rule before all.

    The mark of something different is the last of them, and has no share.
    """
    if evidence.different:
        return [*_reasons(work, evidence)[: KEPT - 1], _DIFFERENT]
    return _reasons(work, evidence)


def _reasons(work: Candidate, evidence: Evidence) -> list[Reason]:
    by_family = _families(evidence.parts)
    weights = [
        *_interest_weights(evidence),
        *_loan_weights(work, evidence, by_family),
        *_group_weights(by_family),
    ]
    total = sum(weight for _, weight in weights) + max(evidence.raised, 0)
    if total <= 0:
        return _rule_reasons(evidence, 1.0)
    reasons = [
        Reason(reason.kind, reason.ref, reason.label, round(weight / total, 4))
        for reason, weight in weights
    ]
    reasons.sort(key=lambda reason: -reason.share)
    told = [reason for reason in reasons if reason.share >= LEAST_SHARE] or reasons[:1]
    return (_rule_reasons(evidence, max(evidence.raised, 0) / total) + told)[:KEPT]


_DIFFERENT = Reason(ReasonKind.DIFFERENT, None, "", 0.0)


def as_json(reasons: Sequence[Reason]) -> list[dict[str, Any]]:
    """Return the reasons as they stand in a row."""
    # Not asdict, which copies deeply: a night writes millions of these.
    return [
        {"kind": r.kind.value, "ref": r.ref, "label": r.label, "share": r.share}
        for r in reasons
    ]


def _families(parts: Mapping[str, float]) -> dict[str, float]:
    found: dict[str, float] = {}
    for name, value in parts.items():
        family = name.split("@")[0].split("-")[0]
        found[family] = found.get(family, 0.0) + value
    return {family: value for family, value in found.items() if value > 0}


def _rule_reasons(evidence: Evidence, share: float) -> list[Reason]:
    if evidence.rule is None:
        return []
    rule_id, label = evidence.rule
    return [Reason(ReasonKind.RULE, rule_id, label, round(share, 4))]


Weighed = tuple[Reason, float]


def _interest_weights(evidence: Evidence) -> list[Weighed]:
    return [
        (Reason(ReasonKind.INTEREST, interest_id, label, 0), value)
        for interest_id, label, value in evidence.interests
        if value > 0
    ]


def _loan_weights(
    work: Candidate, evidence: Evidence, by_family: Mapping[str, float]
) -> list[Weighed]:
    """Share out among the loans what the parts made of them.

    Loans of the work's own series, or by one of its creators, are one reason together.
    """
    personal = sum(by_family.get(family, 0) for family in (*_TEXT, *_TOGETHER))
    spoke = [cited for cited in evidence.loans if cited.value > 0]
    total = sum(cited.value for cited in spoke)
    if not personal or not total:
        return [(Reason(ReasonKind.NEIGHBOURS, None, "", 0), personal)] * (personal > 0)
    weights: dict[Reason, float] = {}
    for cited in spoke:
        reason = _in_common(work, cited)
        weights[reason] = weights.get(reason, 0) + personal * cited.value / total
    return list(weights.items())


def _in_common(work: Candidate, cited: Cited) -> Reason:
    if work.series and cited.series and work.series[0] == cited.series[0]:
        return Reason(ReasonKind.SERIES, *work.series, 0)
    labels = dict(work.creators)
    shared = next((key for key, _ in cited.creators if key in labels), None)
    if shared is not None:
        return Reason(ReasonKind.CREATOR, shared, labels[shared], 0)
    return Reason(ReasonKind.LOAN, cited.work_id, cited.title, 0)


def _group_weights(by_family: Mapping[str, float]) -> list[Weighed]:
    kinds = {"popularity": ReasonKind.POPULAR, "latest": ReasonKind.LATEST}
    return [
        (Reason(kind, None, "", 0), by_family[family])
        for family, kind in kinds.items()
        if family in by_family
    ]
