"""What patrons who agreed to it did, as arrays; the only reader of loans in this room.

Every statement here asks for both consents, to keep a history and to learn from it, so
that no caller can forget to. Patrons are read in stretches of their ids: memory does
not grow with their number unless a caller asks for all at once.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from sqlalchemy import (
    ColumnElement,
    SQLColumnExpression,
    String,
    and_,
    case,
    exists,
    literal,
    or_,
    select,
    true,
    type_coerce,
)
from sqlalchemy.orm import InstrumentedAttribute, Session

from library.tables import Branch, Consent, Feedback, Hold, Loan, Patron
from library.vocabulary import ConsentPurpose, Verdict
from recommender.arrays import NOT_KNOWN, FloatArray, IntArray, Loans
from recommender.bulk import UNDATED, WholeNumbers, day_of, read_integers
from recommender.metrics import BoolArray
from recommender.strengths import DISLIKE_HALF_LIFE, Strengths, fade, read_strengths

NO_IDS: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Stretch:
    """Patrons with ids from `first` to `last`, both included."""

    first: int
    last: int


@dataclass(frozen=True)
class Codes:
    """The library's groups of patrons; a group's code is its place here.

    Kept with a model: a category that comes later must not change the others' codes.

    Attributes:
        branches: Ids, rising.
        categories: Names, in order.
    """

    branches: IntArray
    categories: tuple[str, ...]


@dataclass(frozen=True)
class Signals:
    """The signals of some patrons, a row each.

    Attributes:
        patrons: Shape (patrons,), ids, rising; row i of `loans` is patron i here.
        loans: What speaks for a work: loans, holds, verdicts; weighed by kind.
        disliked_row: Shape (pairs,), the patrons who said "not for me".
        disliked_column: Shape (pairs,), of which work.
        disliked_weight: Shape (pairs,), how much that says now; above 0.
    """

    patrons: IntArray
    loans: Loans
    disliked_row: IntArray
    disliked_column: IntArray
    disliked_weight: FloatArray


def may_learn_from(patron_id: SQLColumnExpression[int]) -> ColumnElement[bool]:
    """Has this patron agreed both to a history and to learning from it?"""
    return and_(
        *(
            exists().where(
                Consent.patron_id == patron_id,
                Consent.purpose == purpose,
                Consent.withdrawn_at.is_(None),
            )
            for purpose in (ConsentPurpose.HISTORY, ConsentPurpose.MODEL)
        )
    )


def lock_patrons(session: Session, ids: Collection[int]) -> dict[int, bool]:
    """Lock the patrons that are still there; return if each may be learnt from now.

    For writing what was made outside of a transaction: a patron may have left, or taken
    back a consent, meanwhile.
    """
    there = select(Patron.id).where(Patron.id.in_(ids)).order_by(Patron.id)
    session.execute(there.with_for_update(key_share=True))
    # Asked only now: a lock that was waited for tells of the time before.
    learning = there.add_columns(may_learn_from(Patron.id))
    return dict(session.execute(learning).all())


def read_codes(session: Session) -> Codes:
    """Return the branches and categories there are now."""
    branches = np.sort(read_integers(session, select(Branch.id))[0])
    named = select(Patron.category).where(Patron.category.is_not(None)).distinct()
    return Codes(
        branches, tuple(sorted(name for name in session.scalars(named) if name))
    )


def read_signals(
    session: Session,
    works: IntArray,
    codes: Codes,
    *,
    at: datetime,
    stretch: Stretch | None = None,
    leave_out: Collection[int] = NO_IDS,
) -> Signals:
    """Read what the consenting patrons did up to `at`.

    Args:
        session: Reads only.
        works: Ids, rising; work i is column i. What was done with others is left out.
        codes: Of branches and categories; a later one is not known.
        at: Later loans are passed over: a clerk's slip in the year.
        stretch: Only these patrons; None reads all.
        leave_out: Ids of loans held out for a measurement. Where any are, holds and
            verdicts are not read either: they could tell of the same works.
    """
    strengths = read_strengths(session)
    weights = strengths.weights
    group = _patrons(session, codes, stretch)
    found = [_loans(session, at, stretch, leave_out, weights["loan"])]
    if not leave_out:
        found.append(_holds(session, at, stretch, weights["hold"]))
        found.append(_verdicts(session, at, stretch, weights))
    patron_id, work_id, day, weight = (
        np.concatenate(columns) for columns in zip(*found, strict=True)
    )
    pairs = patron_id, work_id, day, weight
    return make_signals(group, works, pairs, strengths, at=at)


@dataclass(frozen=True)
class Group:
    """The patrons that may be learnt from.

    Attributes:
        patrons: Shape (patrons,), ids, rising.
        branch: Shape (patrons,), codes; None where the library has none to tell apart.
        category: Likewise.
    """

    patrons: IntArray
    branch: IntArray | None
    category: IntArray | None


def make_signals(
    group: Group, works: IntArray, pairs: Pairs, strengths: Strengths, *, at: datetime
) -> Signals:
    """Let signals fade, and part what speaks for a work from what speaks against it.

    Args:
        group: Pairs of others are left out.
        works: Ids, rising; pairs with others are left out.
        pairs: Ids, days and weights.
        strengths: How they fade.
        at: Until when.
    """
    patron_id, work_id, day, weight = pairs
    row, column, kept = _places(group.patrons, works, patron_id, work_id)
    day, weight = day[kept], weight[kept]
    liked = weight > 0
    today = at.astimezone(UTC).date().toordinal()
    weight[liked] = fade(
        weight[liked], day[liked], today=today, half_life=strengths.half_life
    )
    against = fade(
        -weight[~liked],
        day[~liked],
        today=today,
        half_life=strengths.half_life or DISLIKE_HALF_LIFE,
    )
    loans = Loans(
        n_patrons=len(group.patrons),
        n_works=len(works),
        row=row[liked],
        column=column[liked],
        day=_days(day[liked]),
        weight=None if (weight[liked] == 1).all() else weight[liked],
        branch=group.branch,
        category=group.category,
    )
    return Signals(group.patrons, loans, row[~liked], column[~liked], against)


def read_of(
    session: Session, statement: WholeNumbers, stretch: Stretch | None
) -> tuple[IntArray, ...]:
    """Run a query about a stretch; a single patron's rows are few."""
    one = stretch is not None and stretch.first == stretch.last
    return read_integers(session, statement, few=one)


Pairs = tuple[IntArray, IntArray, IntArray, FloatArray]
"""Patron ids, work ids, days and weights, of one length."""


def within(
    column: SQLColumnExpression[int], stretch: Stretch | None
) -> ColumnElement[bool]:
    """Is the patron in the stretch? None is all."""
    if stretch is None:
        return true()
    return column.between(stretch.first, stretch.last)


def _patrons(session: Session, codes: Codes, stretch: Stretch | None) -> Group:
    category_code = place_in(codes.categories, Patron.category, else_=NOT_KNOWN)
    statement = select(Patron.id, Patron.branch_id, category_code).where(
        may_learn_from(Patron.id), within(Patron.id, stretch)
    )
    patrons, branch_id, category = read_of(session, statement, stretch)
    order = np.argsort(patrons)
    return make_group(codes, patrons[order], branch_id[order], category[order])


def make_group(
    codes: Codes, patrons: IntArray, branch_id: IntArray, category: IntArray
) -> Group:
    """Give patrons, by rising id, the codes of their branches.

    Args:
        codes: Of the model.
        patrons: Ids.
        branch_id: Of each.
        category: Code of each.
    """
    place, known = find_places(codes.branches, branch_id)
    branch = np.where(known, place, NOT_KNOWN)
    return Group(
        patrons,
        branch if len(codes.branches) > 1 else None,
        category if codes.categories else None,
    )


def _loans(
    session: Session,
    at: datetime,
    stretch: Stretch | None,
    leave_out: Collection[int],
    weight: float,
) -> Pairs:
    columns: list[SQLColumnExpression[int]] = [
        Loan.patron_id,
        Loan.work_id,
        day_of(session, Loan.borrowed_at),
    ]
    if leave_out:
        columns.append(Loan.id)
    statement = select(*columns).where(
        may_learn_from(Loan.patron_id),
        within(Loan.patron_id, stretch),
        Loan.ignored.is_(False),
        or_(Loan.borrowed_at.is_(None), Loan.borrowed_at <= at),
    )
    patron_id, work_id, day, *loan_id = read_of(session, statement, stretch)
    if loan_id:
        held_out = np.fromiter(leave_out, np.int64, len(leave_out))
        kept = ~np.isin(loan_id[0], held_out)
        patron_id, work_id, day = patron_id[kept], work_id[kept], day[kept]
    return patron_id, work_id, day, np.full(len(day), weight, np.float32)


def _holds(
    session: Session, at: datetime, stretch: Stretch | None, weight: float
) -> Pairs:
    statement = select(
        Hold.patron_id, Hold.work_id, day_of(session, Hold.placed_at)
    ).where(
        may_learn_from(Hold.patron_id),
        within(Hold.patron_id, stretch),
        Hold.placed_at <= at,
    )
    patron_id, work_id, day = read_of(session, statement, stretch)
    return patron_id, work_id, day, np.full(len(day), weight, np.float32)


def _verdicts(
    session: Session,
    at: datetime,
    stretch: Stretch | None,
    weights: Mapping[str, float],
) -> Pairs:
    kinds = list(Verdict)
    kind = place_in(kinds, Feedback.verdict, else_=0)
    statement = select(
        Feedback.patron_id, Feedback.work_id, day_of(session, Feedback.given_at), kind
    ).where(
        may_learn_from(Feedback.patron_id),
        within(Feedback.patron_id, stretch),
        Feedback.given_at <= at,
    )
    patron_id, work_id, day, said = read_of(session, statement, stretch)
    by_kind = np.array([weights[v.value] for v in kinds], np.float32)
    return patron_id, work_id, day, by_kind[said]


def _places(
    patrons: IntArray, works: IntArray, patron_id: IntArray, work_id: IntArray
) -> tuple[IntArray, IntArray, IntArray]:
    row, known_row = find_places(patrons, patron_id)
    column, known_column = find_places(works, work_id)
    kept = np.flatnonzero(known_row & known_column)
    return row[kept], column[kept], kept


def find_places(ids: IntArray, wanted: IntArray) -> tuple[IntArray, BoolArray]:
    """Return the place of each wanted id among the rising `ids`, and if it is there."""
    if not len(ids):
        return np.zeros(len(wanted), np.int64), np.zeros(len(wanted), bool)
    place = np.minimum(np.searchsorted(ids, wanted), len(ids) - 1)
    return place, ids[place] == wanted


def _days(day: IntArray) -> IntArray | None:
    """Fill undated loans with the oldest day: they are known, but not as recent."""
    dated = day != UNDATED
    if not dated.any():
        return None
    return np.where(dated, day, day[dated].min())


def place_in(
    words: Sequence[str], column: InstrumentedAttribute[Any], *, else_: int
) -> SQLColumnExpression[int]:
    """Return the SQL of a word's index among the words."""
    if not words:
        return literal(else_)
    places = {str(word): place for place, word in enumerate(words)}
    return case(places, value=type_coerce(column, String), else_=else_)
