"""Ranking, standardising, and a model's promises."""

import io
from dataclasses import replace

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra import numpy as arrays

from recommender.arrays import Loans, WorksText, build_history
from recommender.explaining import explain
from recommender.parts.roster import score
from recommender.scoring import (
    Model,
    extend,
    reweigh,
    score_block,
    score_by_part,
    standardise,
    top_k,
)
from recommender.storing import arrays_of, model_of
from recommender.tuning import fit_model
from tests.recommender.planted import SHELF, make_tastes, make_texts, own_shelf

SCORES = arrays.arrays(
    np.float32,
    st.integers(1, 60),
    elements=st.sampled_from([-1.0, 0.0, 0.5, 2.0, float("nan"), float("-inf")]),
)


@given(SCORES, st.integers(0, 70), st.data())
def test_top_k_is_a_whole_sort_cut_short(
    scores: np.ndarray, k: int, data: st.DataObject
) -> None:
    exclude = data.draw(st.lists(st.integers(0, len(scores) - 1), max_size=5))

    found = top_k(scores, k, exclude=np.array(exclude, np.int64))

    left = [
        column
        for column in range(len(scores))
        if np.isfinite(scores[column]) and column not in exclude
    ]
    assert found.tolist() == sorted(left, key=lambda c: (-scores[c], c))[:k]


@given(arrays.arrays(np.float32, (3, 9), elements=st.floats(-100, 100, width=32)))
def test_standardised_scores_have_mean_zero_and_spread_one_or_none(
    scores: np.ndarray,
) -> None:
    found = standardise(scores)

    assert found.mean(axis=1) == pytest.approx(np.zeros(3), abs=1e-3)
    spread = found.std(axis=1)
    assert all(one == 0 or one == pytest.approx(1, abs=1e-2) for one in spread)


def test_unknown_stays_unknown_and_moves_nobody() -> None:
    found = standardise(np.array([[1, np.nan, 3]], np.float32))

    assert found[0, [0, 2]].tolist() == [-1, 1]
    assert np.isnan(found[0, 1])


@pytest.fixture(scope="module")
def model() -> Model:
    return fit_model(make_tastes(), make_texts(), today=None, seed=1)


def test_the_blend_finds_the_planted_tastes(model: Model) -> None:
    loans = make_tastes()
    history = build_history(loans, today=None)

    scores = score_block(model, history, np.arange(loans.n_works))

    own = own_shelf(loans)
    assert scores[own].mean() > scores[~own].mean() + 1


def test_a_stored_model_scores_the_same_bytes(model: Model) -> None:
    history = build_history(make_tastes(), today=None)
    everything = np.arange(model.n_works)
    file = io.BytesIO()
    np.savez(file, allow_pickle=False, **arrays_of(model))
    file.seek(0)
    with np.load(file, allow_pickle=False) as stored:
        again = model_of(dict(stored))

    assert (
        score_block(again, history, everything).tobytes()
        == score_block(model, history, everything).tobytes()
    )
    assert again.weights == model.weights
    assert again.table == model.table


def test_no_stored_array_is_about_patrons(model: Model) -> None:
    n_patrons = make_tastes().n_patrons

    shapes = {name: array.shape for name, array in arrays_of(model).items()}

    assert all(n_patrons not in shape for shape in shapes.values())


def test_a_later_work_stands_with_its_like(model: Model) -> None:
    loans = make_tastes()
    more = WorksText(
        title=["stars and planets again", "bread and soup again"],
        subjects=[("stars and planets",), ("bread and soup",)],
        creators=[(), ()],
    )

    wider = extend(model, more)

    wide = Loans(loans.n_patrons, wider.n_works, loans.row, loans.column)
    history = build_history(wide, today=None)
    new = np.array([model.n_works, model.n_works + 1])
    scores = score_block(wider, history, new)
    stargazers = np.arange(loans.n_patrons) % 3 == 0
    assert (scores[stargazers, 0] > scores[stargazers, 1]).mean() > 0.9


def test_the_reason_is_a_work_of_the_same_shelf(model: Model) -> None:
    history = build_history(make_tastes(), today=None).take(np.array([0]))
    candidate = int(np.setdiff1d(np.arange(SHELF), history.column)[0])

    candidates = np.array([candidate])
    _, shares = score_by_part(model, history, candidates)
    told = {name: share[0] for name, share in shares.items()}
    explanation = explain(model, history, candidates, told)[0]

    assert explanation.works
    assert max(explanation.works, key=explanation.works.__getitem__) < SHELF
    assert sum(explanation.works.values()) <= sum(explanation.parts.values()) + 1e-4


def test_other_weights_change_the_order(model: Model) -> None:
    history = build_history(make_tastes(), today=None)
    only = {str(stratum): {"popularity": 1.0} for stratum in model.weights}

    scores = score_block(reweigh(model, only), history, np.arange(model.n_works))

    (part,) = (part for part in model.parts if part.name == "popularity")
    popularity = score(part, history, np.arange(model.n_works))
    for row in range(len(history)):
        mine = history.take(np.array([row])).column
        rest = np.setdiff1d(np.arange(model.n_works), mine)
        assert np.array_equal(
            np.argsort(-scores[row, rest].round(4), kind="stable"),
            np.argsort(-popularity[row, rest].round(4), kind="stable"),
        )


def test_a_work_borrowed_already_takes_no_room_from_a_new_one(model: Model) -> None:
    history = build_history(make_tastes(), today=None).take(np.array([0]))
    borrowed = history.column
    new = np.setdiff1d(np.arange(model.n_works), borrowed)

    alone = score_block(model, history, new)
    beside = score_block(model, history, np.arange(model.n_works))

    assert np.allclose(beside[0, borrowed], 0)
    assert np.array_equal(
        top_k(alone[0], 3, exclude=np.empty(0, np.int64)),
        top_k(beside[0, new], 3, exclude=np.empty(0, np.int64)),
    )


def test_later_works_leave_the_scores_of_others_alone() -> None:
    loans, works = make_tastes(dated=True), make_texts()
    model = fit_model(loans, works, today=731_200, seed=1)
    more = WorksText(
        title=["stars and planets again", "bread and soup again"] * 10,
        subjects=[("stars and planets",), ("bread and soup",)] * 10,
        creators=[("Writer 1",), ()] * 10,
    )
    wider = extend(model, more)
    wide = replace(loans, n_works=wider.n_works)
    before = build_history(loans, today=731_200)
    after = build_history(wide, today=731_200)
    first = np.arange(model.n_works)

    assert score_block(wider, after, first) == pytest.approx(
        score_block(model, before, first), abs=1e-4
    )
