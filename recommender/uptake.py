"""What patrons did with what they were told: loans and holds that came after it.

A work counts once for a patron, and for what showed it last before the loan. Patrons
who have not agreed to learning from their loans are left out, above and below the line:
what they borrow is not read, so their share would always be nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from sqlalchemy import Select, exists, select
from sqlalchemy.orm import Session

from library.tables import Experiment, Hold, Impression, Loan, Match, Patron
from profiles.experiments import trial_of
from recommender.arrays import IntArray
from recommender.groups import FEWEST
from recommender.interactions import may_learn_from
from recommender.metrics import Figure, ratio

WITHIN = timedelta(days=30)
"""A loan later than this is not put down to us."""


Way = tuple[str, int | None]
"""A place and the model version that ranked, or an arm."""


@dataclass(frozen=True)
class Told:
    """A work was brought before a patron, in one way."""

    patron_id: int
    work_id: int
    at: datetime
    how: Way


@dataclass(frozen=True)
class Taken:
    """A patron borrowed a work or placed a hold on it."""

    patron_id: int
    work_id: int
    at: datetime


@dataclass(frozen=True)
class Line:
    """What came of what was told in one way.

    Attributes:
        how: A place, or an arm.
        model_version_id: That ranked what was shown there; None for an arm.
        patrons: Who were told something.
        told: Works, each once per patron.
        taken: How many of them were borrowed or held in time.
        share: Taken of told, with its 95 % interval; None for a group of so few
            patrons that it would be about people.
    """

    how: str
    model_version_id: int | None
    patrons: int
    told: int
    taken: int | None
    share: Figure | None


def uptake(
    session: Session, *, since: datetime, until: datetime, within: timedelta = WITHIN
) -> list[Line]:
    """Tell what came of what was shown, by place and model version.

    Args:
        session: Reads only.
        since: Shown from then on.
        until: Shown before then; what was shown later than `within` ago may still be
            taken, and lowers the share.
        within: How long after a showing a loan or hold is put down to it.
    """
    shown = [
        Told(patron, work, shown_at, (place, version))
        for patron, work, shown_at, place, version in session.execute(
            _impressions(since, until)
        )
    ]
    return list(_lines(shown, _taken(session, Impression, since), within))


def arms_uptake(
    session: Session,
    experiment: Experiment,
    *,
    at: datetime,
    within: timedelta = WITHIN,
) -> list[Line]:
    """Tell what came of an experiment's matches, by arm.

    The hold-out was told nothing, so what is counted in every arm alike is what was
    matched by learning alone, told or not (intention to treat). Matches younger than
    `within` are left out: they have not had their time.
    """
    trial = trial_of(experiment)
    until = min(experiment.ends_at, at - within)
    rows = session.execute(
        select(
            Match.patron_id,
            Match.work_id,
            Match.created_at,
            Patron.system,
            Patron.external_id,
        )
        .join(Patron, Patron.id == Match.patron_id)
        .where(
            Match.created_at >= experiment.starts_at,
            Match.created_at < until,
            Match.interest_id.is_(None),
            Match.rule_id.is_(None),
            may_learn_from(Match.patron_id),
        )
    )
    matched = [
        Told(patron, work, made_at, (trial.arm_of(f"{system}:{external}"), None))
        for patron, work, made_at, system, external in rows
    ]
    taken = _taken(session, Match, experiment.starts_at)
    found = {line.how: line for line in _lines(matched, taken, within)}
    return [
        found.get(name, Line(name, None, 0, 0, None, None))
        for name in sorted(trial.arms)
    ]


def join(
    told: Iterable[Told], taken: Iterable[Taken], within: timedelta
) -> dict[tuple[int, int], Way]:
    """Say of each work that a patron took in time what it is put down to. Pure.

    Args:
        told: In any order.
        taken: In any order; what was taken before it was told counts nowhere.
        within: Longest time between the two.

    Returns:
        Patron and work to the `how` of the last telling before the first taking.
    """
    by_pair: dict[tuple[int, int], list[Told]] = defaultdict(list)
    for one in sorted(told, key=lambda one: one.at):
        by_pair[one.patron_id, one.work_id].append(one)
    found: dict[tuple[int, int], Way] = {}
    for loan in sorted(taken, key=lambda one: one.at):
        pair = loan.patron_id, loan.work_id
        before = [
            one for one in by_pair.get(pair, ()) if one.at <= loan.at <= one.at + within
        ]
        if before:
            found.setdefault(pair, before[-1].how)
    return found


def _lines(
    told: Sequence[Told], taken: Sequence[Taken], within: timedelta
) -> Iterator[Line]:
    put_down = join(told, taken, within)
    pairs: dict[Way, set[tuple[int, int]]] = defaultdict(set)
    for one in told:
        pairs[one.how].add((one.patron_id, one.work_id))
    for how in sorted(pairs, key=lambda way: (way[0], way[1] or 0)):
        yield _line(how, pairs[how], {p for p in pairs[how] if put_down.get(p) == how})


def _line(how: Way, told: set[tuple[int, int]], taken: set[tuple[int, int]]) -> Line:
    patrons = sorted({patron for patron, _ in told})
    if len(patrons) < FEWEST:
        return Line(*how, len(patrons), len(told), None, None)
    row = {patron: index for index, patron in enumerate(patrons)}
    share = ratio(_counts(taken, row), _counts(told, row))
    return Line(*how, len(patrons), len(told), len(taken), share)


def _counts(pairs: Iterable[tuple[int, int]], row: Mapping[int, int]) -> IntArray:
    rows = np.array([row[patron] for patron, _ in pairs], np.int64)
    return np.bincount(rows, minlength=len(row)).astype(np.int64)


def _impressions(
    since: datetime, until: datetime
) -> Select[int, int, datetime, str, int | None]:
    return (
        select(
            Patron.id,
            Impression.work_id,
            Impression.shown_at,
            Impression.place,
            Impression.model_version_id,
        )
        .join(Patron, Patron.id == Impression.patron_id)
        .where(
            Impression.shown_at >= since,
            Impression.shown_at < until,
            may_learn_from(Patron.id),
        )
    )


def _taken(
    session: Session, table: type[Impression | Match], since: datetime
) -> list[Taken]:
    """Read what was borrowed or held of what stands in the table for that patron."""
    found: list[Taken] = []
    for kind, moment in ((Loan, Loan.borrowed_at), (Hold, Hold.placed_at)):
        told = exists().where(
            table.patron_id == kind.patron_id, table.work_id == kind.work_id
        )
        query = select(kind.patron_id, kind.work_id, moment).where(
            moment >= since, may_learn_from(kind.patron_id), told
        )
        found += [
            Taken(patron, work, at)
            for patron, work, at in session.execute(query)
            if at is not None
        ]
    return found
