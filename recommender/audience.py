"""Whom the new works are matched with: patrons of a stretch, their wishes and nos."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from sqlalchemy import ColumnElement, Select, func, or_, select, true
from sqlalchemy.orm import Session

from library import tables
from library.tables import (
    Alert,
    Branch,
    Feedback,
    Hold,
    InterestProfile,
    Loan,
    Patron,
    Suppression,
)
from library.vocabulary import InterestOrigin
from recommender.arrays import IntArray
from recommender.candidates import NOWHERE, Candidates
from recommender.interactions import (
    Signals,
    Stretch,
    find_places,
    may_learn_from,
    read_of,
    within,
)
from recommender.languages import language_key
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

    @property
    def rows(self) -> dict[int, int]:
        """Patron id to row."""
        return {int(patron): row for row, patron in enumerate(self.patrons)}


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
        at: Ended interests are left out.
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
        )
        .join(Branch, Branch.id == Patron.branch_id)
        .where(
            within(Patron.id, stretch),
            _is_member(at) if for_alerts else true(),
        )
        .order_by(Patron.id)
    ).all()
    return Audience(
        patrons=np.array([row[0] for row in rows], np.int64),
        keys=[f"{row[1]}:{row[2]}" for row in rows],
        branches=np.array([row[3] for row in rows], np.int64),
        branch_codes=[row[4] for row in rows],
        categories=[row[5] for row in rows],
        learning=np.array([row[6] for row in rows], bool),
        interests=_interests(session, stretch, at, for_alerts=for_alerts),
        languages=_languages(session, stretch),
    )


def _is_member(at: datetime) -> ColumnElement[bool]:
    return or_(Patron.expires_on.is_(None), Patron.expires_on >= at.date())


def read_nos(
    session: Session,
    audience: Audience,
    stretch: Stretch,
    candidates: Candidates,
    signals: Signals,
    works: IntArray,
) -> BoolArray:
    """Tell which works are out of the question, shape (patrons, candidates).

    Those borrowed, held, judged, brought before by an alert, or suppressed. Loans are
    of those only who agreed to it.

    Args:
        session: Reads only.
        audience: A row each.
        stretch: Of the audience's ids.
        candidates: A column each.
        signals: What the learning patrons of the stretch did.
        works: Ids of the signals' columns.
    """
    nos = np.zeros((len(audience), len(candidates)), bool)
    loans = signals.loans
    rows = np.concatenate([loans.row, signals.disliked_row])
    columns = np.concatenate([loans.column, signals.disliked_column])
    pairs = [(signals.patrons[rows], works[columns])]
    for query in _pairs(stretch):
        patron_id, work_id = read_of(session, query, stretch)
        pairs.append((patron_id, work_id))
    for patron_id, work_id in pairs:
        row, is_row = find_places(audience.patrons, patron_id)
        place, is_place = find_places(candidates.ids, work_id)
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


def _pairs(stretch: Stretch) -> Iterator[Select[int, int]]:
    """Select what the signals leave out: loans kept but not used, and the others'."""
    yield select(Loan.patron_id, Loan.work_id).where(
        within(Loan.patron_id, stretch),
        Loan.ignored.is_(True),
        may_learn_from(Loan.patron_id),
    )
    for table in (Hold, Feedback, Alert):
        yield select(table.patron_id, table.work_id).where(
            within(table.patron_id, stretch)
        )


def _interests(
    session: Session, stretch: Stretch, at: datetime, *, for_alerts: bool
) -> list[Interest]:
    interest, profile = tables.Interest, InterestProfile
    wanted = [
        interest.active.is_(True),
        or_(interest.ends_on.is_(None), interest.ends_on >= at.date()),
        within(profile.patron_id, stretch),
    ]
    if for_alerts:
        wanted.append(interest.alerts.is_(True))
    rows = session.execute(
        select(interest, profile)
        .join(profile, profile.id == interest.interest_profile_id)
        .where(*wanted)
        .order_by(interest.id)
    )
    return [_interest(*row) for row in rows]


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


def _languages(session: Session, stretch: Stretch) -> dict[int, frozenset[str]]:
    """Return the languages of all a patron's profiles; none if one takes all."""
    found: dict[int, list[list[str]]] = defaultdict(list)
    for patron_id, languages in session.execute(
        select(InterestProfile.patron_id, InterestProfile.languages).where(
            within(InterestProfile.patron_id, stretch)
        )
    ):
        found[patron_id].append(languages)
    return {
        patron_id: frozenset(language_key(code) for codes in lists for code in codes)
        for patron_id, lists in found.items()
        if all(lists)
    }
