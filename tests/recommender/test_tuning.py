"""The blend is learnt from the library's own loans, and never fails on odd ones."""

from dataclasses import replace

import numpy as np
import pytest

from recommender.arrays import Loans, WorksText, build_history
from recommender.parts import roster
from recommender.pools import make_pool as make_pool_of
from recommender.pools import some_of
from recommender.scoring import score_block
from recommender.tuning import Pool, climb, fit_model, likeliest, ndcg, splits, tune
from tests.recommender.planted import make_tastes, make_texts, own_shelf

NO_LOAN = np.empty(0, np.int64)


def make_pool(patrons: int = 80, works: int = 30, *, seed: int = 0) -> Pool:
    """Return three parts of which the second knows the truth, the others nothing."""
    rng = np.random.default_rng(seed)
    truth = np.zeros((patrons, works), bool)
    truth[np.arange(patrons), rng.integers(0, works, patrons)] = True
    scores = rng.standard_normal((3, patrons, works)).astype(np.float32)
    scores[1] += 3 * truth
    there = np.ones_like(truth)
    return Pool(scores, truth, there, truth.sum(axis=1), np.full(patrons, 20))


def test_ndcg_of_a_hand_made_ranking() -> None:
    truth = np.array([[False, True, True]])
    scores = np.array([[[3.0, 2.0, 1.0]]], np.float32)
    pool = Pool(scores, truth, truth | True, np.array([2]), np.array([5]))

    gained = 1 / np.log2(3) + 1 / np.log2(4)
    ideal = 1 + 1 / np.log2(3)
    assert ndcg(np.ones(1), pool)[0] == pytest.approx(gained / ideal)


def test_the_part_that_knows_gets_the_weight() -> None:
    pool = make_pool()

    weights = climb(likeliest(pool), pool)

    assert weights.argmax() == 1
    assert weights[1] > 5 * max(weights[0], weights[2])


def test_weights_are_shares_in_every_stratum() -> None:
    tuned = tune(["knn", "ease", "content"], make_pool(), warm=True)

    for weights in tuned.weights.values():
        assert all(weight >= 0 for weight in weights.values())
        assert sum(weights.values()) == pytest.approx(1, abs=0.05)


def test_a_split_never_learns_from_what_it_is_to_find() -> None:
    loans = make_tastes(dated=True)
    assert loans.day is not None

    found = list(splits(loans, today=731_200, seed=0))

    assert found
    for split in found:
        assert split.today is not None
        assert not (split.before & split.after).any()
        assert loans.day[split.before].max() < split.today
        assert loans.day[split.after].min() >= split.today


def test_a_library_that_grows_fast_is_learnt_from_all_the_same() -> None:
    ages = 1 - 100 * np.log(np.linspace(1e-5, 1, 400))
    days = 731_200 - np.rint(ages).astype(int)
    loans = Loans(40, 20, np.arange(400) % 40, np.arange(400) % 20, days)

    (split,) = splits(loans, today=731_200, seed=0)

    assert split.after.sum() == pytest.approx(80, abs=10)
    assert split.before.any()


@pytest.mark.slow
def test_the_same_seed_gives_the_same_model() -> None:
    loans, works = make_tastes(dated=True), make_texts()
    history = build_history(loans, today=731_200)
    everything = np.arange(loans.n_works)

    first, second = (
        score_block(
            fit_model(loans, works, today=731_200, seed=5), history, everything
        ).tobytes()
        for _ in range(2)
    )

    assert first == second


@pytest.mark.parametrize(
    ("loans", "works"),
    [
        pytest.param(Loans(0, 0, NO_LOAN, NO_LOAN), WorksText([]), id="empty library"),
        pytest.param(
            Loans(2, 2, NO_LOAN, NO_LOAN), WorksText(["a", ""]), id="no loan yet"
        ),
        pytest.param(
            Loans(1, 1, np.zeros(1, int), np.zeros(1, int)),
            WorksText(["a"]),
            id="one patron, one work",
        ),
        pytest.param(
            Loans(2, 2, np.zeros(9, int), np.zeros(9, int), np.arange(9) + 730_000),
            WorksText(["", ""]),
            id="the same loan again and again, no titles",
        ),
        pytest.param(
            Loans(
                4, 3, np.arange(24) % 4, np.arange(24) % 3, np.arange(24) * 60 + 730_000
            ),
            WorksText(["x", "y", "x y"]),
            id="everybody borrowed everything",
        ),
    ],
)
def test_odd_libraries_get_scores(loans: Loans, works: WorksText) -> None:
    model = fit_model(loans, works, today=None, seed=0)

    history = build_history(loans, today=None)
    scores = score_block(model, history, np.arange(loans.n_works))

    assert scores.shape == (loans.n_patrons, loans.n_works)
    assert np.isfinite(scores).all()


@pytest.mark.slow
def test_a_desk_account_of_a_million_loans_hides_nobody() -> None:
    tastes, works = make_tastes(dated=True), make_texts()
    rng = np.random.default_rng(0)
    desk, many = tastes.n_patrons, 1_000_000
    assert tastes.day is not None
    loans = Loans(
        desk + 1,
        tastes.n_works,
        np.concatenate([tastes.row, np.full(many, desk)]),
        np.concatenate([tastes.column, rng.integers(0, tastes.n_works, many)]),
        np.concatenate([tastes.day, 730_000 + rng.integers(0, 1200, many)]),
    )

    model = fit_model(loans, works, today=731_200, seed=0)

    history = build_history(loans, today=731_200)
    patrons = history.take(np.arange(desk))
    scores = score_block(model, patrons, np.arange(tastes.n_works))
    own = own_shelf(tastes)
    assert scores[own].mean() > scores[~own].mean() + 1


def test_loans_in_the_future_teach_nothing() -> None:
    loans, works = make_tastes(dated=True), make_texts()
    assert loans.day is not None
    slips = np.arange(20)
    more = Loans(
        loans.n_patrons,
        loans.n_works,
        np.concatenate([loans.row, slips]),
        np.concatenate([loans.column, slips]),
        np.concatenate([loans.day, 800_000 + slips]),
    )

    first, second = (
        score_block(
            fit_model(some, works, today=731_200, seed=0),
            build_history(some, today=731_200),
            np.arange(loans.n_works),
        )
        for some in (loans, more)
    )

    assert (first == second).all()


def test_a_desk_account_is_not_learnt_from() -> None:
    tastes, works = make_tastes(dated=True), make_texts()
    assert tastes.day is not None
    many = 600
    desk = replace(
        tastes,
        n_patrons=tastes.n_patrons + 1,
        row=np.concatenate([tastes.row, np.full(many, tastes.n_patrons)]),
        column=np.concatenate([tastes.column, np.arange(many) % tastes.n_works]),
        day=np.concatenate([tastes.day, np.full(many, 731_199)]),
    )
    split = next(splits(desk, today=731_200, seed=0))
    before = build_history(some_of(desk, split.before), today=split.today)
    texts = roster.fit_texts(works, seed=0)
    parts = roster.fit_parts(before, works, texts, seed=0, wanted=["popularity"])

    pool = make_pool_of(parts, before, desk, split, warm=True, seed=0)

    assert 0 < len(pool) <= tastes.n_patrons
    assert pool.wanted.max() < tastes.n_works / 2
