import numpy as np
import pytest

from library.db import reading
from recommender.catalogue import read_work_ids
from recommender.explaining import explain_many
from recommender.interactions import read_codes, read_signals
from recommender.suiting import history_of
from recommender.versions import load_current
from tests.factories import NOON
from tests.recommender.library_of_two_tastes import Library


def test_tells_of_many_works_what_is_told_of_each(library: Library) -> None:
    with reading(library.sessions) as session:
        served = load_current(session, library.settings)
        codes, works = read_codes(session), read_work_ids(session)
        signals = read_signals(session, works, codes, at=NOON)
    assert served is not None
    history = history_of(signals, at=NOON, dated=True).take(np.array([3]))
    candidates = np.array([1, 7, 12, 30])

    together = explain_many(served.model, history, candidates)

    for candidate, many in zip(candidates, together, strict=True):
        one = explain_many(served.model, history, np.array([candidate]))[0]
        # Beside more works the parts weigh a little otherwise; who speaks is the same.
        assert set(many.works) == set(one.works)
        assert set(many.works) <= set(history.column.tolist())
        total = sum(one.works.values())
        for column, share in one.works.items():
            there = many.works[column] / (sum(many.works.values()) or 1)
            assert there == pytest.approx(share / total, abs=0.1)
