"""What the recommender hears of one patron: each work, and what it weighs now."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from library.tables import Work
from recommender.catalogue import read_work_ids
from recommender.interactions import Stretch, read_codes, read_signals


@dataclass(frozen=True)
class Heard:
    """One work that speaks, for or against."""

    work_id: int
    title: str
    weight: float
    """Of the newest signal on it, faded as the library set; below 0 it speaks
    against works like it."""


def heard_of(session: Session, patron_id: int, *, at: datetime) -> list[Heard]:
    """Return what a patron's signals weigh, the heaviest first.

    Nothing comes back for a patron who has not agreed to learning.
    """
    works, codes = read_work_ids(session), read_codes(session)
    only = Stretch(patron_id, patron_id)
    signals = read_signals(session, works, codes, at=at, stretch=only)
    loans = signals.loans
    weights = [1.0] * len(loans.row) if loans.weight is None else loans.weight.tolist()
    spoken = list(zip(works[loans.column].tolist(), weights, strict=True))
    against = works[signals.disliked_column].tolist()
    spoken += zip(against, (-signals.disliked_weight).tolist(), strict=True)
    ids = [work_id for work_id, _ in spoken]
    rows = session.execute(select(Work.id, Work.title).where(Work.id.in_(ids)))
    titles = dict(rows.all())
    heard = [Heard(work, titles[work], round(weight, 4)) for work, weight in spoken]
    return sorted(heard, key=lambda one: (-one.weight, one.work_id))
