"""What is borrowed most in each branch, for a patron of whom nothing is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from library.tables import Loan
from recommender.arrays import NOT_KNOWN, IntArray, Loans
from recommender.interactions import Codes, may_learn_from

MOST = 200
FEWEST_PATRONS = 2
"""What one patron alone borrowed is not popular, and would tell of that patron."""
SPAN = 365
"""Days back from the newest loan that count."""


@dataclass(frozen=True)
class Popular:
    """Works by how many patrons borrowed them, most first; ties go to the lower id."""

    works: IntArray
    patrons: IntArray


NOTHING = Popular(np.empty(0, np.int64), np.empty(0, np.int64))


def most_borrowed(loans: Loans, works: IntArray, codes: Codes) -> Mapping[int, Popular]:
    """Count by branch id; where there is one branch, it gets all."""
    recent = np.ones(len(loans.row), bool)
    if loans.day is not None and len(loans.day):
        recent = loans.day > loans.day.max() - SPAN
    branch = (
        loans.branch if loans.branch is not None else np.zeros(loans.n_patrons, int)
    )
    return {
        int(branch_id): _counted(loans, recent & (branch[loans.row] == code), works)
        for code, branch_id in enumerate(codes.branches)
        if code != NOT_KNOWN
    }


def most_borrowed_now(session: Session, branch_id: int) -> Popular:
    """Count a branch's loans as they stand; for a library without a model, so small."""
    patrons = func.count(Loan.patron_id.distinct())
    rows = session.execute(
        select(Loan.work_id, patrons)
        .where(Loan.branch_id == branch_id, may_learn_from(Loan.patron_id))
        .group_by(Loan.work_id)
        .having(patrons >= FEWEST_PATRONS)
        .order_by(patrons.desc(), Loan.work_id)
        .limit(MOST)
    ).all()
    if not rows:
        return NOTHING
    table = np.array([tuple(row) for row in rows], np.int64)
    return Popular(table[:, 0], table[:, 1])


def _counted(
    loans: Loans, chosen: np.ndarray[tuple[int], np.dtype[np.bool_]], works: IntArray
) -> Popular:
    pair = np.unique(loans.row[chosen] * loans.n_works + loans.column[chosen])
    counts = np.bincount(pair % max(loans.n_works, 1), minlength=loans.n_works)
    order = np.argsort(-counts, kind="stable")[:MOST]
    order = order[counts[order] >= FEWEST_PATRONS]
    return Popular(works[order], counts[order].astype(np.int64))
