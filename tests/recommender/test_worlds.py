"""In worlds that one part understands best, the blend is no worse than that part."""

from collections.abc import Callable

import numpy as np
import pytest

from recommender.arrays import IntArray, Loans, WorksText, build_history
from recommender.parts.roster import Part, fit_parts, score
from recommender.pools import some_of
from recommender.scoring import Model, score_block
from recommender.tuning import fit_model

PATRONS, EACH = 400, 12
START, CUT, END = 730_000, 731_300, 731_665
NO_WORSE = 0.97
DISCOUNT = 1 / np.log2(np.arange(2, 12))

World = tuple[Loans, WorksText]


def lend(days: IntArray, works: IntArray, n_works: int) -> Loans:
    row = np.repeat(np.arange(PATRONS), EACH)
    return Loans(PATRONS, n_works, row, works.ravel(), days.ravel())


def some_days(rng: np.random.Generator) -> IntArray:
    return np.sort(rng.integers(START, END, (PATRONS, EACH)), axis=1)


def make_fashions(rng: np.random.Generator) -> World:
    """Everybody borrows what is in fashion that season; nothing else matters."""
    n_works, days = 300, some_days(rng)
    peak = rng.uniform(START, END, n_works)
    fashion = np.exp(-(((days[..., None] - peak) / 150) ** 2)) + 0.001
    drawn = fashion.cumsum(axis=-1)
    works = (drawn < rng.random(days.shape)[..., None] * drawn[..., -1:]).sum(axis=-1)
    return lend(days, works, n_works), WorksText([""] * n_works)


def make_series(rng: np.random.Generator) -> World:
    """Who borrowed a volume borrows the next one some weeks later."""
    n_works, step = 240, 45
    first = rng.integers(START, END - EACH * step, (PATRONS, 1))
    days = first + np.arange(EACH) * step + rng.integers(0, 20, (PATRONS, EACH))
    volume = rng.integers(0, n_works, (PATRONS, 1)) + np.arange(EACH)
    stray = rng.random(volume.shape) < 0.2
    works = np.where(stray, rng.integers(0, n_works, volume.shape), volume % n_works)
    return lend(days, works, n_works), WorksText([""] * n_works)


def make_newcomers(rng: np.random.Generator) -> World:
    """The same in a library that most patrons joined lately: no year lies behind it."""
    n_works, step = 240, 15
    first = CUT - 60 - rng.exponential(100, (PATRONS, 1)).astype(int)
    first[0] = START
    days = first + np.arange(EACH) * step + rng.integers(0, 7, (PATRONS, EACH))
    works = (rng.integers(0, n_works, (PATRONS, 1)) + np.arange(EACH)) % n_works
    return lend(days, works, n_works), WorksText([""] * n_works)


def make_subjects(rng: np.random.Generator) -> World:
    """Patrons keep to a subject, among so many works that loans rarely meet."""
    n_works, subjects = 1500, 60
    own = rng.integers(0, subjects, (PATRONS, 1))
    works = own + subjects * rng.integers(0, n_works // subjects, (PATRONS, EACH))
    stray = rng.random(works.shape) < 0.2
    works = np.where(stray, rng.integers(0, n_works, works.shape), works)
    texts = WorksText(
        title=["A volume"] * n_works,
        subjects=[(f"Subject {work % subjects}",) for work in range(n_works)],
    )
    return lend(some_days(rng), works, n_works), texts


def ndcg(scores: np.ndarray, loans: Loans, before: np.ndarray) -> float:
    """Return NDCG@10 of the loans not before, over works with loans before."""
    known = np.zeros((loans.n_patrons, loans.n_works), bool)
    known[loans.row[before], loans.column[before]] = True
    truth = np.zeros_like(known)
    truth[loans.row[~before], loans.column[~before]] = True
    truth &= ~known & known.any(axis=0)
    usable = np.where(known | ~known.any(axis=0), -np.inf, np.nan_to_num(scores))
    top = np.argsort(-usable, axis=1, kind="stable")[:, :10]
    gained = (np.take_along_axis(truth, top, axis=1) * DISCOUNT).sum(axis=1)
    wanted = truth.sum(axis=1)
    ideal = np.cumsum(DISCOUNT)[np.clip(wanted, 1, 10) - 1]
    return float((gained / ideal)[wanted > 0].mean())


def learn(world: World, before: np.ndarray) -> tuple[Model, tuple[Part, ...]]:
    loans, texts = world
    known = some_of(loans, before)
    model = fit_model(known, texts, today=CUT, seed=0)
    history = build_history(known, today=CUT)
    return model, fit_parts(history, texts, model.texts, seed=0)


@pytest.mark.slow
@pytest.mark.parametrize(
    "make", [make_fashions, make_series, make_newcomers, make_subjects]
)
def test_the_blend_keeps_up_with_the_best_part(
    make: Callable[[np.random.Generator], World],
) -> None:
    world = make(np.random.default_rng(0))
    loans = world[0]
    assert loans.day is not None
    before = loans.day < CUT

    model, parts = learn(world, before)

    history = build_history(some_of(loans, before), today=CUT)
    every = np.arange(loans.n_works)
    alone = {
        part.name: ndcg(score(part, history, every), loans, before) for part in parts
    }
    ours = ndcg(score_block(model, history, every), loans, before)
    best = max(alone, key=alone.__getitem__)
    assert ours >= NO_WORSE * alone[best], (ours, best, alone[best])
