from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from library.audit import Actor, first_broken
from library.db import Sessions, reading
from library.errors import Conflict, InvalidInput, NotFound
from library.tables import AuditEntry, Rule
from library.vocabulary import RuleAction, RuleTarget
from recommender.rules import NewRule, end_rule, list_rules, make_rule
from tests.factories import NOON, make_branch, make_work

TOMORROW = NOON + timedelta(days=1)
WANTED = NewRule(
    action=RuleAction.BOOST,
    target_kind=RuleTarget.SUBJECT,
    target="كتابداري",
    reason="week of the librarian",
    starts_at=NOON,
    ends_at=TOMORROW,
)


def test_a_rule_is_kept_under_one_spelling_and_audited(sessions: Sessions) -> None:
    with sessions.begin() as session:
        rule = make_rule(session, WANTED, by=Actor(), at=NOON)

    assert (rule.target, rule.label) == ("کتابداری", "کتابداری")
    with reading(sessions) as session:
        entry = session.scalars(select(AuditEntry)).one()
        assert (entry.action, entry.subject_table, entry.row_id) == (
            "rule.made",
            "rule",
            rule.id,
        )
        assert first_broken(session) is None


def test_a_work_is_named_by_its_id(sessions: Sessions) -> None:
    with sessions.begin() as session:
        work = make_work(session, "Stars")
        wanted = replace(WANTED, target_kind=RuleTarget.WORK, target=str(work.id))
        assert make_rule(session, wanted, at=NOON).label == "Stars"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"ends_at": None}, "ends_at"),
        ({"ends_at": NOON}, "ends_at"),
        ({"target": "!!"}, "target"),
        ({"target_kind": RuleTarget.WORK, "target": "x"}, "target"),
        ({"reason": " "}, "reason"),
        ({"factor": -1.0}, "factor"),
        ({"factor": 99.0}, "factor"),
        ({"factor": float("nan")}, "factor"),
    ],
    ids=str,
)
def test_refuses_what_cannot_be_a_rule(
    sessions: Sessions, change: dict[str, object], field: str
) -> None:
    with sessions.begin() as session, pytest.raises(InvalidInput) as caught:
        make_rule(session, replace(WANTED, **change), at=NOON)  # type: ignore[arg-type]

    assert caught.value.field == field


@pytest.mark.parametrize(
    "change",
    [{"target_kind": RuleTarget.WORK, "target": "999"}, {"branch_id": 999}],
    ids=["work", "branch"],
)
def test_refuses_what_is_not_there(
    sessions: Sessions, change: dict[str, object]
) -> None:
    with sessions.begin() as session, pytest.raises(NotFound):
        make_rule(session, replace(WANTED, **change), at=NOON)  # type: ignore[arg-type]


def test_ending_lets_it_lapse_and_keeps_it(sessions: Sessions) -> None:
    with sessions.begin() as session:
        rule = make_rule(session, WANTED, at=NOON)
        later = NOON + timedelta(hours=1)

        end_rule(session, rule.id, at=later)

        assert rule.ends_at == later
        assert list_rules(session, at=later) == []
        assert list_rules(session) == [rule]


def test_ending_one_that_had_not_begun_takes_it_away(sessions: Sessions) -> None:
    with sessions.begin() as session:
        rule = make_rule(session, replace(WANTED, starts_at=NOON), at=NOON)

        end_rule(session, rule.id, at=NOON - timedelta(days=1))

        assert session.scalars(select(Rule)).all() == []


def test_another_change_came_first(sessions: Sessions) -> None:
    with sessions.begin() as session:
        rule = make_rule(session, WANTED, at=NOON)

        with pytest.raises(Conflict):
            end_rule(session, rule.id, at=NOON, version=rule.version + 1)
        with pytest.raises(NotFound):
            end_rule(session, 999, at=NOON)


def test_lists_what_speaks_for_a_branch(sessions: Sessions) -> None:
    with sessions.begin() as session:
        main, east = make_branch(session), make_branch(session, "east")
        everywhere = make_rule(session, WANTED, at=NOON)
        here = make_rule(session, replace(WANTED, branch_id=main.id), at=NOON)
        make_rule(session, replace(WANTED, branch_id=east.id), at=NOON)

        assert list_rules(session, branch_id=main.id) == [here, everywhere]
