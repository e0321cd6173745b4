"""Figures of an evaluation by protocol, scorer, group and metric. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass

from recommender.groups import ALL, Names, gather
from recommender.measure import Question, Ranked


@dataclass(frozen=True)
class Line:
    """One figure with its 95 % interval; the group "all" is everybody measured."""

    protocol: str
    scorer: str
    group: str
    metric: str
    value: float
    low: float
    high: float
    patrons: int


def lines_of(
    protocol: str, question: Question, ranked: Mapping[str, Ranked], names: Names
) -> Iterator[Line]:
    """Yield every figure of every scorer, by group of patrons."""
    rows = question.truth.rows
    if not len(rows):
        return
    groups = gather(names, rows, question.history_lengths[rows])
    for scorer, one in ranked.items():
        for group, indices in groups.items():
            for metric, found in one.figures(indices).items():
                yield Line(protocol, scorer, group, metric, **asdict(found))
        whole = one.coverage
        yield Line(protocol, scorer, ALL, "coverage", whole, whole, whole, len(rows))


def find_line(
    lines: Iterable[Line], protocol: str, scorer: str, metric: str = "ndcg@10"
) -> Line | None:
    """Return a scorer's figure of all patrons; None when it was not measured."""
    wanted = protocol, scorer, ALL, metric
    for one in lines:
        if (one.protocol, one.scorer, one.group, one.metric) == wanted:
            return one
    return None
