"""What the patrons of a stretch did with works, read in one statement.

A page is made while its patron waits: each statement costs about as much as scoring a
part, so that loans, holds, verdicts and alerts come together. Training, which reads
loans by the ten million and no alerts, has `interactions.read_signals`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import numpy as np
from sqlalchemy import (
    CompoundSelect,
    SQLColumnExpression,
    bindparam,
    case,
    literal,
    or_,
    select,
    union_all,
)
from sqlalchemy.orm import InstrumentedAttribute, Session

from library.tables import Alert, Feedback, Hold, Loan
from library.vocabulary import Verdict
from recommender.arrays import IntArray
from recommender.bulk import UNDATED, day_of, read_integers
from recommender.interactions import Pairs, Stretch, may_learn_from, place_in
from recommender.strengths import Strengths

LOAN, HOLD, *VERDICTS = KINDS = ("loan", "hold", *(str(v) for v in Verdict))
"""What speaks of taste, by the names it has among the strengths."""
UNSAID: Final = -1
"""The kind of what only tells that a patron knows the work, or says it later on."""


@dataclass(frozen=True)
class Deeds:
    """Pairs of patron and work, in no order; all arrays of one length.

    Attributes:
        patron_id: Whose; a loan is there only of one who agreed to learning.
        work_id: With which work.
        day: `date.toordinal()`, or `UNDATED`.
        kind: Index in `KINDS`, or `UNSAID`.
    """

    patron_id: IntArray
    work_id: IntArray
    day: IntArray
    kind: IntArray

    def weighed(self, strengths: Strengths) -> Pairs:
        """Return what speaks for or against a work, with how much."""
        weights = np.array([strengths.weights[kind] for kind in KINDS], np.float32)
        said = np.flatnonzero(self.kind != UNSAID)
        weight = weights[self.kind[said]]
        return self.patron_id[said], self.work_id[said], self.day[said], weight


def read_deeds(session: Session, stretch: Stretch, *, at: datetime) -> Deeds:
    """Read a stretch; loans only of those who agreed to it, none later than `at`."""
    dialect = session.get_bind().dialect.name
    if dialect not in _statements:
        _statements[dialect] = _statement(session)
    values = {"first": stretch.first, "last": stretch.last, "at": at}
    one = stretch.first == stretch.last
    return Deeds(*read_integers(session, _statements[dialect], values, few=one))


_statements: dict[str, CompoundSelect[*tuple[Any, ...]]] = {}
"""By dialect: putting it together takes longer than running it for one patron."""


def _statement(session: Session) -> CompoundSelect[*tuple[Any, ...]]:
    at = bindparam("at", type_=Loan.borrowed_at.type)
    verdict = place_in(VERDICTS, Feedback.verdict, else_=0) + KINDS.index(VERDICTS[0])
    unsaid, undated = literal(UNSAID), literal(UNDATED)

    def told(
        moment: InstrumentedAttribute[datetime], kind: SQLColumnExpression[int]
    ) -> SQLColumnExpression[int]:
        return case((moment <= at, kind), else_=unsaid)

    def of_stretch(
        patron_id: InstrumentedAttribute[int], *columns: SQLColumnExpression[int]
    ) -> Any:
        chosen = patron_id.between(bindparam("first"), bindparam("last"))
        return select(patron_id, *columns).where(chosen)

    kept = case((Loan.ignored, unsaid), else_=literal(KINDS.index(LOAN)))
    lent, placed = day_of(session, Loan.borrowed_at), day_of(session, Hold.placed_at)
    given, hold = day_of(session, Feedback.given_at), literal(KINDS.index(HOLD))
    return union_all(
        of_stretch(Loan.patron_id, Loan.work_id, lent, kept).where(
            may_learn_from(Loan.patron_id),
            or_(Loan.ignored, Loan.borrowed_at.is_(None), Loan.borrowed_at <= at),
        ),
        of_stretch(Hold.patron_id, Hold.work_id, placed, told(Hold.placed_at, hold)),
        of_stretch(
            Feedback.patron_id,
            Feedback.work_id,
            given,
            told(Feedback.given_at, verdict),
        ),
        of_stretch(Alert.patron_id, Alert.work_id, undated, unsaid),
    )
