"""Whom the new works are matched with: patrons of a stretch, their wishes and nos."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property

import numpy as np
from sqlalchemy import ColumnElement, and_, func, or_, select, true
from sqlalchemy.orm import InstrumentedAttribute, Session

from library import tables
from library.tables import Branch, InterestProfile, Patron, Preference, Suppression
from library.text.languages import language_key
from library.vocabulary import InterestOrigin
from profiles.rhythm import is_over
from recommender.arrays import NOT_KNOWN, IntArray
from recommender.candidates import NOWHERE, Candidates
from recommender.deeds import Deeds
from recommender.interactions import (
    Codes,
    Group,
    Stretch,
    find_places,
    make_group,
    may_learn_from,
    within,
)
from recommender.metrics import BoolArray
from recommender.stated import Interest


@dataclass(frozen=True)
class Audience:
    """Some patrons, a row each, in the order of their ids.

    Attributes:
        patrons: Shape (patrons,), ids, rising.
        keys: What never changes of each: `system:external_id`.
        branches: Shape (patrons,), ids.
        branch_codes: Of each patron's branch.
        categories: Of each patron.
        learning: Shape (patrons,), who agreed to a history and to learning from it.
        interests: Of all of them.
        languages: Patron id to the languages the patron wants; empty for all.
    """

    patrons: IntArray
    keys: Sequence[str]
    branches: IntArray
    branch_codes: Sequence[str]
    categories: Sequence[str | None]
    learning: BoolArray
    interests: Sequence[Interest]
    languages: Mapping[int, frozenset[str]]

    def __len__(self) -> int:
        """Return how many patrons there are."""
        return len(self.patrons)

    @cached_property
    def rows(self) -> dict[int, int]:
        """Patron id to row."""
        return {int(patron): row for row, patron in enumerate(self.patrons)}

    def learners(self, codes: Codes) -> Group:
        """Return those who may be learnt from, with the model's codes."""
        place = {name: code for code, name in enumerate(codes.categories)}
        category = [place.get(name or "", NOT_KNOWN) for name in self.categories]
        mine = np.flatnonzero(self.learning)
        return make_group(
            codes,
            self.patrons[mine],
            self.branches[mine],
            np.array(category, np.int64)[mine],
        )


def stretches(session: Session, size: int) -> Iterator[Stretch]:
    """Cut all patrons into stretches of at most `size` ids; gaps make them smaller."""
    ends = select(
        func.coalesce(func.min(Patron.id), 1), func.coalesce(func.max(Patron.id), 0)
    )
    first, last = session.execute(ends).one()
    for start in range(first, last + 1, size):
        yield Stretch(start, min(start + size - 1, last))


def read_audience(
    session: Session, stretch: Stretch, *, at: datetime, for_alerts: bool
) -> Audience:
    """Read the patrons of a stretch.

    Args:
        session: Reads only.
        stretch: Of patron ids.
        at: Interests that are over where the patron is are left out.
        for_alerts: Leave out patrons whose membership has ended, and interests that
            shall bring no message.
    """
    rows = session.execute(
        select(
            Patron.id,
            Patron.system,
            Patron.external_id,
            Patron.branch_id,
            Branch.code,
            Patron.category,
            may_learn_from(Patron.id),
            Patron.expires_on,
            Branch.zone,
        )
        .join(Branch, Branch.id == Patron.branch_id)
        .where(
            within(Patron.id, stretch),
            _may_last(Patron.expires_on, at) if for_alerts else true(),
        )
        .order_by(Patron.id)
    ).all()
    if for_alerts:
        rows = [row for row in rows if not is_over(row.expires_on, row.zone, at=at)]
    interests, languages = _wishes(session, stretch, at, for_alerts=for_alerts)
    return Audience(
        patrons=np.array([row[0] for row in rows], np.int64),
        keys=[f"{row[1]}:{row[2]}" for row in rows],
        branches=np.array([row[3] for row in rows], np.int64),
        branch_codes=[row[4] for row in rows],
        categories=[row[5] for row in rows],
        learning=np.array([row[6] for row in rows], bool),
        interests=interests,
        languages=languages,
    )


def _may_last(
    day: InstrumentedAttribute[date | None], at: datetime
) -> ColumnElement[bool]:
    """Leave out what is over everywhere: the years before are most of it."""
    return or_(day.is_(None), day >= at.date() - timedelta(days=1))


def read_nos(
    session: Session,
    audience: Audience,
    stretch: Stretch,
    candidates: Candidates,
    deeds: Deeds,
) -> BoolArray:
    """Tell which works are out of the question, shape (patrons, candidates).

    Those borrowed, held, judged, brought before by an alert, or suppressed. Loans are
    of those only who agreed to it.

    Args:
        session: Reads only.
        audience: A row each.
        stretch: Of the audience's ids.
        candidates: A column each.
        deeds: Of the stretch.
    """
    nos = np.zeros((len(audience), len(candidates)), bool)
    row, is_row = find_places(audience.patrons, deeds.patron_id)
    place, is_place = find_places(candidates.ids, deeds.work_id)
    known = is_row & is_place
    nos[row[known], place[known]] = True
    _suppress(session, nos, audience, stretch, candidates)
    return nos


def _suppress(
    session: Session,
    nos: BoolArray,
    audience: Audience,
    stretch: Stretch,
    candidates: Candidates,
) -> None:
    rows = audience.rows
    suppression = Suppression.patron_id, Suppression.kind, Suppression.target
    query = select(*suppression).where(within(Suppression.patron_id, stretch))
    for patron_id, kind, target in session.execute(query):
        if patron_id in rows:
            unwanted = candidates.by_key.get((kind.value, target), NOWHERE)
            nos[rows[patron_id], unwanted] = True


def _wishes(
    session: Session, stretch: Stretch, at: datetime, *, for_alerts: bool
) -> tuple[list[Interest], dict[int, frozenset[str]]]:
    """Return the interests, and patron id to the languages wanted; none if any are."""
    interest, profile = tables.Interest, InterestProfile
    wanted = [
        interest.interest_profile_id == profile.id,
        interest.active.is_(True),
        _may_last(interest.ends_on, at),
    ]
    if for_alerts:
        wanted.append(interest.alerts.is_(True))
    own_zone = func.coalesce(Preference.zone, Branch.zone)
    rows: list[tuple[InterestProfile, tables.Interest | None, str]] = [
        (of, one, zone)
        for of, one, zone in session.execute(
            select(profile, interest, own_zone)
            .join(Patron, Patron.id == profile.patron_id)
            .join(Branch, Branch.id == Patron.branch_id)
            .outerjoin(Preference, Preference.patron_id == Patron.id)
            .outerjoin(interest, and_(*wanted))
            .where(within(profile.patron_id, stretch))
            .order_by(interest.id)
        )
    ]
    return (
        [
            _interest(one, of)
            for of, one, zone in rows
            if one is not None and not is_over(one.ends_on, zone, at=at)
        ],
        _languages({of for of, *_ in rows}),
    )


def _interest(row: tables.Interest, profile: InterestProfile) -> Interest:
    return Interest(
        interest_id=row.id,
        patron_id=profile.patron_id,
        kind=row.kind,
        squash=row.squash,
        label=row.label,
        weight=row.weight,
        inferred=row.origin == InterestOrigin.INFERRED,
        follow=row.follow,
        new_works_only=row.new_works_only,
        since=row.created_at,
        languages=tuple(profile.languages),
        formats=tuple(profile.formats),
        branches=tuple(profile.branches),
    )


def _languages(profiles: Collection[InterestProfile]) -> dict[int, frozenset[str]]:
    """Return the languages of all a patron's profiles; none if one takes all."""
    found: dict[int, list[list[str]]] = defaultdict(list)
    for profile in profiles:
        found[profile.patron_id].append(profile.languages)
    return {
        patron_id: frozenset(language_key(code) for codes in lists for code in codes)
        for patron_id, lists in found.items()
        if all(lists)
    }
