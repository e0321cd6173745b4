"""Groups of patrons that should be served alike: by loans, language, category, branch.

A group with fewer than `FEWEST` patrons is not told: its figures would be about people.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from library.tables import Branch, Patron
from recommender.arrays import IntArray
from recommender.interactions import find_places

FEWEST = 10
MANY = 20
"""Works in a history from which on it is a long one."""
ALL = "all"

Names = Sequence[Sequence[str]]
"""By patron, the groups it is in."""


def read_groups(session: Session, patrons: IntArray) -> Names:
    """Return language, category and branch of each patron, as names of groups."""
    rows = session.execute(
        select(Patron.id, Patron.language, Patron.category, Branch.code)
        .join(Branch, Branch.id == Patron.branch_id)
        .order_by(Patron.id)
    ).all()
    place, there = find_places(patrons, np.array([row[0] for row in rows], np.int64))
    names: list[tuple[str, ...]] = [()] * len(patrons)
    for at, known, (_, language, category, branch) in zip(
        place, there, rows, strict=True
    ):
        if known:
            names[at] = (
                f"language {language}",
                f"category {category or '-'}",
                f"branch {branch}",
            )
    return names


def gather(names: Names, rows: IntArray, lengths: IntArray) -> Mapping[str, IntArray]:
    """Return by group the measured patrons in it, as indices of `rows`.

    Groups that hold everybody say nothing more than "all", and are left out.

    Args:
        names: Of all patrons.
        rows: The measured patrons.
        lengths: Shape (measured,), works in each one's history.
    """
    found: dict[str, list[int]] = defaultdict(list)
    for index, (row, length) in enumerate(zip(rows, lengths, strict=True)):
        found[ALL].append(index)
        found["loans many" if length >= MANY else "loans few"].append(index)
        for name in names[int(row)]:
            found[name].append(index)
    return {
        name: np.array(indices, np.int64)
        for name, indices in sorted(found.items())
        if name == ALL or FEWEST <= len(indices) < len(rows)
    }
