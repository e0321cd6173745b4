from datetime import timedelta

import pytest
from sqlalchemy import select

from library.db import Sessions, reading
from library.errors import Conflict, InvalidInput, NotFound
from library.tables import AuditEntry, Experiment
from profiles import experiments
from profiles.trials import Arm
from tests.factories import NOON, make_patron

DAY = timedelta(days=1)
HALVES = {"now": Arm(0.5), "hold-out": Arm(0.5, told=False)}


def begin(
    sessions: Sessions, code: str = "x", arms: dict[str, Arm] = HALVES, **how: object
) -> None:
    when = {"starts_at": NOON, "ends_at": NOON + DAY, "at": NOON, **how}
    with sessions.begin() as session:
        experiments.begin(session, code, arms, **when)  # type: ignore[arg-type]


def test_it_runs_from_one_moment_to_the_other(sessions: Sessions) -> None:
    begin(sessions)

    with reading(sessions) as session:
        moments = (NOON - DAY, NOON, NOON + DAY)
        found = [experiments.running(session, at) for at in moments]
    assert [one and one.code for one in found] == [None, "x", None]


def test_the_hold_out_is_told_nothing_learnt_while_it_runs(sessions: Sessions) -> None:
    begin(sessions)

    with sessions.begin() as session:
        patrons = [make_patron(session, f"p{number}") for number in range(40)]
        trial = experiments.running(session, NOON)
        assert trial is not None
        held = [trial.holds_out(one.key) for one in patrons]
        later = experiments.running(session, NOON + DAY)

    assert 8 < sum(held) < 32
    assert later is None


def test_two_at_a_time_are_refused(sessions: Sessions) -> None:
    begin(sessions)

    with pytest.raises(Conflict, match="'x'"):
        begin(sessions, "y")
    with pytest.raises(Conflict):
        begin(sessions, "x", starts_at=NOON + 5 * DAY, ends_at=NOON + 6 * DAY)
    begin(sessions, "z", starts_at=NOON + DAY, ends_at=NOON + 2 * DAY)


@pytest.mark.parametrize(
    ("code", "arms", "field"),
    [
        ("", HALVES, "code"),
        ("x", {"now": Arm(1.0)}, "arms"),
        ("x", {"a": Arm(0.5), "b": Arm(0.4)}, "arms"),
        ("x", {"a": Arm(1.5), "b": Arm(-0.5)}, "arms"),
        ("x", {"a": Arm(0.5, {"popularity": -1}), "b": Arm(0.5)}, "arms"),
    ],
)
def test_nonsense_is_refused_by_name(
    sessions: Sessions, code: str, arms: dict[str, Arm], field: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        begin(sessions, code, arms)
    assert caught.value.field == field


def test_an_end_before_the_begin_is_refused(sessions: Sessions) -> None:
    with pytest.raises(InvalidInput):
        begin(sessions, ends_at=NOON)


def test_ended_it_stops_at_once_and_stays_known(sessions: Sessions) -> None:
    begin(sessions)

    with sessions.begin() as session:
        experiments.end(session, "x", at=NOON + DAY / 2)

    with reading(sessions) as session:
        assert experiments.running(session, NOON + DAY / 2) is None
        assert session.scalar(select(Experiment.code)) == "x"
        actions = session.scalars(select(AuditEntry.action).order_by(AuditEntry.id))
        assert actions.all() == ["experiment.begun", "experiment.ended"]


def test_of_one_that_is_not_there_it_says_so(sessions: Sessions) -> None:
    with sessions.begin() as session, pytest.raises(NotFound, match="'autumn'"):
        experiments.end(session, "autumn", at=NOON)
