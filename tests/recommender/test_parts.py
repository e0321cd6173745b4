"""Each part finds planted tastes, says nan when it does not know, repeats itself."""

from collections.abc import Collection
from dataclasses import replace

import numpy as np
import pytest

from recommender.arrays import History, Loans, WorksText, build_history
from recommender.parts import coldstart, roster, successors
from recommender.parts.roster import Part
from tests.recommender.planted import SHELF, make_tastes, make_texts, own_shelf

READERS = ("als-64", "als-256", "knn", "ease", "ease-rare", "content", "lsi")


def fit(
    loans: Loans,
    works: WorksText,
    *,
    seed: int = 3,
    wanted: Collection[str] | None = None,
) -> dict[str, Part]:
    history = build_history(loans, today=None)
    texts = roster.fit_texts(works, seed=seed)
    parts = roster.fit_parts(history, works, texts, seed=seed, wanted=wanted)
    return {part.name: part for part in parts}


def without_last_of_each_shelf(loans: Loans) -> Loans:
    kept = loans.column % SHELF != SHELF - 1
    return replace(loans, row=loans.row[kept], column=loans.column[kept])


@pytest.mark.parametrize("name", READERS)
def test_finds_the_planted_tastes(name: str) -> None:
    loans = make_tastes()
    history = build_history(loans, today=None)
    part = fit(loans, make_texts(), wanted=[name])[name]

    scores = roster.score(part, history, np.arange(loans.n_works))

    own = own_shelf(loans)
    mine = np.where(own, scores, np.nan)
    others = np.where(own, np.nan, scores)
    assert (np.nanmean(mine, axis=1) > np.nanmean(others, axis=1)).all()


@pytest.mark.parametrize("name", READERS)
def test_says_of_one_patron_what_it_says_beside_others(name: str) -> None:
    loans = make_tastes()
    history = build_history(loans, today=None)
    part = fit(loans, make_texts(), wanted=[name])[name]
    candidates = np.array([1, 5, 30, 31])

    together = roster.score(part, history, candidates)

    alone = [
        roster.score(part, history.take(np.array([row])), candidates)[0]
        for row in range(5)
    ]
    np.testing.assert_allclose(alone, together[:5], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", ["als-64", "knn", "ease"])
def test_a_work_without_loans_takes_after_its_neighbours(name: str) -> None:
    loans = without_last_of_each_shelf(make_tastes())
    history = build_history(loans, today=None)
    part = fit(loans, make_texts())[name]
    cold = np.arange(SHELF - 1, loans.n_works, SHELF)

    scores = roster.score(part, history, cold)

    assert (scores.argmax(axis=1) == np.arange(loans.n_patrons) % 3).mean() > 0.95


def test_a_work_without_loans_or_words_is_unknown() -> None:
    loans = make_tastes()
    texts = make_texts()
    wide = replace(loans, n_works=loans.n_works + 1)
    works = WorksText([*texts.title, ""], [*texts.creators, ()], [*texts.subjects, ()])
    history = build_history(wide, today=None)

    for name, part in fit(wide, works).items():
        unknown = roster.score(part, history, np.array([loans.n_works]))
        assert np.isnan(unknown).all(), name


def test_the_same_seed_gives_the_same_bytes() -> None:
    loans = make_tastes(dated=True)
    history = build_history(loans, today=None)
    everything = np.arange(loans.n_works)

    first, second = (
        {
            name: roster.score(part, history, everything).tobytes()
            for name, part in fit(loans, make_texts()).items()
        }
        for _ in range(2)
    )

    assert first == second


def make_terms() -> Loans:
    """Return students who borrow work 0, then work 1 half a year later, for years."""
    rows = np.repeat(np.arange(40), 2)
    start = 730_000 + 30 * np.arange(40)
    day = np.stack([start, start + 182], axis=1).ravel()
    return Loans(n_patrons=40, n_works=3, row=rows, column=np.tile([0, 1], 40), day=day)


def one_loan(column: int, age: float) -> History:
    none = np.array([-1])
    return History(
        n_works=3,
        indptr=np.array([0, 1]),
        column=np.array([column]),
        weight=np.ones(1, np.float32),
        age=np.array([age], np.float32),
        branch=none,
        category=none,
    )


def test_successors_look_forward_only() -> None:
    fitted = successors.fit(build_history(make_terms(), today=None))
    both = np.array([0, 1])

    after_first = successors.score(fitted, one_loan(0, 30), both)[0]
    after_second = successors.score(fitted, one_loan(1, 30), both)[0]

    assert after_first[1] > after_first[0]
    assert after_second.tolist() == [0, 0]


def test_successors_know_when_the_next_term_is_over() -> None:
    fitted = successors.fit(build_history(make_terms(), today=None))

    late = successors.score(fitted, one_loan(0, 400), np.array([1]))

    assert late[0, 0] == 0


def test_spellings_of_persian_meet_in_content() -> None:
    works = WorksText(title=["کتاب فارسی", "كتاب فارسي", "Bread"])
    loans = Loans(n_patrons=1, n_works=3, row=np.array([0]), column=np.array([0]))
    history = build_history(loans, today=None)

    scores = roster.score(fit(loans, works)["content"], history, np.array([1, 2]))

    assert scores[0, 0] == pytest.approx(1, abs=1e-5)
    assert not scores[0, 1] > 0


def test_a_desk_account_is_cut_to_its_newest_works() -> None:
    many = 100_000
    loans = Loans(
        n_patrons=1,
        n_works=5000,
        row=np.zeros(many, np.int64),
        column=np.arange(many) % 5000,
        day=700_000 + np.arange(many) // 100,
    )

    history = build_history(loans, today=None)

    assert history.lengths.tolist() == [1000]
    assert history.age is not None
    assert history.age.max() < 20


def test_loans_in_the_future_are_not_read() -> None:
    loans = replace(make_terms(), day=make_terms().day)

    history = build_history(loans, today=730_000 + 100)

    assert history.age is not None
    assert history.age.min() >= 0


def test_a_work_without_loans_leans_on_words_that_tell_who_borrows() -> None:
    loans, works = make_tastes(), make_texts()
    texts = roster.fit_texts(works, seed=0)
    history = build_history(loans, today=None)

    chosen = roster.settle(texts, history, seed=0).neighbourhood

    weights = coldstart.neighbour_weights(
        texts.joint,
        texts.semantics.works,
        cold=np.array([0]),
        warm=np.arange(loans.n_works),
        by=chosen,
    )
    row = weights[0].toarray().ravel()
    assert row[0] == 0
    assert row.sum() == pytest.approx(1, abs=1e-4)
    assert row[:SHELF].sum() > 0.9


def test_arrived_last_and_first_lent_last_are_told_apart() -> None:
    loans = make_tastes(dated=True)
    arrived = np.arange(loans.n_works, dtype=np.float32)
    history = build_history(loans, today=731_200)
    works = replace(make_texts(), arrived=arrived)
    texts = roster.fit_texts(works, seed=0)
    assert history.age is not None

    parts = roster.fit_parts(
        history, works, texts, seed=0, wanted=["latest", "latest-lent"]
    )

    first, second = (
        roster.score(part, history, np.arange(loans.n_works))[0] for part in parts
    )
    assert (first == arrived).all()
    oldest = [history.age[history.column == work].max() for work in range(36)]
    assert second.tolist() == [-age for age in oldest]
