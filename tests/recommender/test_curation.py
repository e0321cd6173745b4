from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from library.vocabulary import RuleAction
from recommender.curation import Curated, Rule, curate

BRANCHES = np.array([1, 1, 2])
CATEGORIES = ["student", None, "student"]


def applied(*rules: Rule) -> Curated:
    scores = np.zeros((3, 4), np.float32)
    return curate(scores, rules, branches=BRANCHES, categories=CATEGORIES)


def rule(action: RuleAction, place: int = 0, **scope: object) -> Rule:
    wanted = {"rule_id": 7, "factor": 2.0, **scope}
    return Rule(action=action, places=np.array([place]), **wanted)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("action", "score"),
    [
        (RuleAction.BOOST, 2.0),
        (RuleAction.BURY, -2.0),
        (RuleAction.EXCLUDE, -np.inf),
        (RuleAction.PIN, 0.0),
    ],
)
def test_each_action_on_its_own_work(action: RuleAction, score: float) -> None:
    found = applied(rule(action, 1))

    assert (found.scores[:, 1] == score).all()
    assert (found.scores[:, [0, 2, 3]] == 0).all()
    assert (found.pinned[:, 1] == (action == RuleAction.PIN)).all()


@pytest.mark.parametrize(
    ("scope", "rows"),
    [
        ({}, [0, 1, 2]),
        ({"branch_id": 1}, [0, 1]),
        ({"category": "student"}, [0, 2]),
        ({"branch_id": 2, "category": "student"}, [2]),
        ({"branch_id": 9}, []),
    ],
    ids=["all", "branch", "category", "both", "nobody"],
)
def test_speaks_for_its_branch_and_category(
    scope: dict[str, Any], rows: list[int]
) -> None:
    found = applied(rule(RuleAction.PIN, **scope))

    assert np.flatnonzero(found.pinned[:, 0]).tolist() == rows
    assert np.flatnonzero(found.raised_by[:, 0] == 7).tolist() == rows


def test_exclude_beats_pin() -> None:
    found = applied(
        rule(RuleAction.EXCLUDE, rule_id=1), rule(RuleAction.PIN, rule_id=2)
    )

    assert not found.pinned.any()
    assert np.isneginf(found.scores[:, 0]).all()


@given(
    st.lists(
        st.tuples(
            st.sampled_from(list(RuleAction)),
            st.integers(0, 3),
            st.sampled_from([None, 1, 2]),
        ),
        max_size=8,
    ),
    st.randoms(),
)
def test_the_order_of_rules_does_not_matter(
    drawn: list[tuple[RuleAction, int, int | None]], chance: object
) -> None:
    rules = [
        rule(action, place, branch_id=branch, rule_id=index)
        for index, (action, place, branch) in enumerate(drawn, start=1)
    ]
    shuffled = list(rules)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]

    one, two = applied(*rules), applied(*shuffled)

    np.testing.assert_array_equal(one.scores, two.scores)
    np.testing.assert_array_equal(one.raised_by, two.raised_by)
    np.testing.assert_array_equal(one.pinned, two.pinned)


def test_leaves_the_scores_given_alone() -> None:
    scores = np.zeros((1, 1), np.float32)

    curate(
        scores,
        [rule(RuleAction.BOOST)],
        branches=np.array([1]),
        categories=[None],
    )

    assert scores[0, 0] == 0
