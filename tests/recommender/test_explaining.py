import numpy as np
import pytest

from library.db import reading
from recommender.arrays import History, IntArray
from recommender.catalogue import read_work_ids
from recommender.explaining import Explanation, Met, _by_factors, explain
from recommender.interactions import read_codes, read_signals
from recommender.parts import collaborative
from recommender.parts.collaborative import Factors
from recommender.scoring import Model, score_block, score_by_part
from recommender.suiting import history_of
from recommender.versions import load_current
from tests.factories import NOON
from tests.recommender.library_of_two_tastes import Library


@pytest.fixture
def model_and_history(library: Library) -> tuple[Model, History]:
    with reading(library.sessions) as session:
        served = load_current(session, library.settings)
        codes, works = read_codes(session), read_work_ids(session)
        signals = read_signals(session, works, codes, at=NOON)
    assert served is not None
    return served.model, history_of(signals, at=NOON, dated=True)


def test_tells_of_many_works_what_is_told_of_each(
    model_and_history: tuple[Model, History],
) -> None:
    model, histories = model_and_history
    history = histories.take(np.array([3]))
    candidates = np.array([1, 7, 12, 30])

    together = _explained(model, history, candidates)

    for candidate, many in zip(candidates, together, strict=True):
        one = _explained(model, history, np.array([candidate]))[0]
        # Beside more works the parts weigh a little otherwise; who speaks is the same.
        assert set(many.works) == set(one.works)
        assert set(many.works) <= set(history.column.tolist())
        total = sum(one.works.values())
        for column, share in one.works.items():
            there = many.works[column] / (sum(many.works.values()) or 1)
            assert there == pytest.approx(share / total, abs=0.1)


def test_what_the_parts_add_ranks_the_works_as_their_scores_do(
    model_and_history: tuple[Model, History],
) -> None:
    model, histories = model_and_history
    candidates = np.arange(model.n_works)

    scores, shares = score_by_part(model, histories, candidates)

    assert scores.tobytes() == score_block(model, histories, candidates).tobytes()
    added = np.sum(list(shares.values()), axis=0)
    lent = model.lent[candidates]
    for row in range(len(histories)):
        left = lent & ~np.isin(candidates, histories.take(np.array([row])).column)
        slope = np.corrcoef(added[row, left], scores[row, left])[0, 1]
        assert slope == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("length", [3, 15], ids=["a short history", "a long one"])
def test_the_loans_shares_of_a_factor_score_add_up_to_it(length: int) -> None:
    rng = np.random.default_rng(1)
    works = rng.standard_normal((30, 8)).astype(np.float32)
    factors = collaborative.from_works(
        works, np.ones(30, bool), alpha=10, regularisation=0.01
    )
    own, others = np.arange(length), np.array([20, 21, 29])
    weight = rng.choice([0.5, 1, 2], length).astype(np.float32)
    history = History(30, np.array([0, length]), own, weight, None)

    split = _by_factors(factors, weight[:, None], Met(history, others))

    whole = _factor_score(factors, own, weight, others)
    assert split.sum(axis=0) == pytest.approx(whole, rel=1e-3, abs=1e-4)
    assert collaborative.score(factors, history, others)[0] == pytest.approx(
        whole, rel=1e-2, abs=1e-3
    )


def _factor_score(
    factors: Factors, own: IntArray, weight: np.ndarray, others: IntArray
) -> np.ndarray:
    """Solve Hu, Koren, Volinsky's equation 4 as it stands."""
    mine = factors.works[own].astype(float)
    extra = factors.alpha * weight[:, None]
    system = factors.gram + 0.01 * np.eye(8) + mine.T @ (extra * mine)
    patron = np.linalg.solve(system, (mine * (1 + extra)).sum(axis=0))
    return np.asarray(factors.works[others] @ patron)


def _explained(
    model: Model, history: History, candidates: IntArray
) -> list[Explanation]:
    _, shares = score_by_part(model, history, candidates)
    told = {name: share[0] for name, share in shares.items()}
    return explain(model, history, candidates, told)
