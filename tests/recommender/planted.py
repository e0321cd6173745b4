"""Loans with a structure that each part must find again."""

import numpy as np

from recommender.arrays import Loans, WorksText

TASTES, EACH, SHELF = 3, 20, 12


def make_tastes(*, dated: bool = False, seed: int = 0) -> Loans:
    """Return patrons of three tastes, each borrowing half of the own shelf."""
    rng = np.random.default_rng(seed)
    rows, columns = [], []
    for patron in range(TASTES * EACH):
        own = patron % TASTES * SHELF + rng.permutation(SHELF)[: SHELF // 2]
        rows += [patron] * len(own)
        columns += own.tolist()
    day = 730_000 + rng.integers(0, 1200, len(rows)) if dated else None
    return Loans(
        n_patrons=TASTES * EACH,
        n_works=TASTES * SHELF,
        row=np.array(rows),
        column=np.array(columns),
        day=day,
    )


def make_texts(n_works: int = TASTES * SHELF) -> WorksText:
    """Return works whose words tell the shelf they stand on."""
    topics = ("stars and planets", "bread and soup", "rails and bridges")
    return WorksText(
        title=[f"{topics[work // SHELF % TASTES]} {work}" for work in range(n_works)],
        subjects=[(topics[work // SHELF % TASTES],) for work in range(n_works)],
        creators=[(f"Writer {work % 5}",) for work in range(n_works)],
    )


def own_shelf(loans: Loans) -> np.ndarray:
    """Return whether a work stands on the patron's shelf, patrons x works."""
    shelf = np.arange(loans.n_works) // SHELF
    taste = np.arange(loans.n_patrons) % TASTES
    return np.equal.outer(taste, shelf)
