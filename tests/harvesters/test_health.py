from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest

from harvesters.fetching.polling import is_settled, next_move
from harvesters.health import due_warnings, note_warnings, silence
from library.db import Sessions
from library.tables import Branch, Harvest
from tests.factories import NOON, make_source

DAY = timedelta(days=1)


def warned(sessions: Sessions, at: datetime) -> list[tuple[str, str]]:
    with sessions.begin() as session:
        found = due_warnings(session, "email", at=at)
        note_warnings(session, "email", found)
    return [(one.code, one.why) for one in found]


def test_the_third_failure_is_told_once_and_then_daily(sessions: Sessions) -> None:
    with sessions.begin() as session:
        source = make_source(session)
        branch = session.get_one(Branch, source.branch_id)
        branch.zone = "Asia/Tehran"
        source.failures = 2
        session.add(
            Harvest(source_id=source.id, started_at=NOON, cause="dns", error="no host")
        )
        source_id = source.id
    assert warned(sessions, NOON) == []

    with sessions.begin() as session:
        session.get_one(type(source), source_id).failures = 3

    assert warned(sessions, NOON) == [("acq", "no host")]
    assert warned(sessions, NOON + timedelta(hours=8)) == []
    # 20:30 UTC is midnight in Tehran.
    assert warned(sessions, NOON + timedelta(hours=8, minutes=31)) == [
        ("acq", "no host")
    ]


def test_a_source_that_works_is_not_told_of(sessions: Sessions) -> None:
    with sessions.begin() as session:
        make_source(session)

    assert warned(sessions, NOON) == []


@pytest.mark.parametrize(
    ("ago", "days"),
    [
        ([30, 29, 28, 27], 27),
        ([30, 20, 10], None),
        ([9, 8, 7, 6], None),
        ([30, 29], None),
        ([], None),
    ],
    ids=["daily, then nothing", "every ten days", "a week is short", "new", "never"],
)
def test_silence_is_measured_by_habit(ago: Sequence[int], days: int | None) -> None:
    found = silence([NOON - DAY * n for n in ago], at=NOON)

    assert found == (None if days is None else DAY * days)


def test_silence_is_told(sessions: Sessions) -> None:
    with sessions.begin() as session:
        source = make_source(session)
        session.add_all(
            Harvest(source_id=source.id, started_at=NOON - DAY * n, added=1)
            for n in (30, 29, 28)
        )

    assert warned(sessions, NOON) == [("acq", "nothing new for 28 days")]


def moves(targets: Sequence[str | None], every: timedelta) -> bool:
    move = None
    at = NOON
    for target in targets:
        at += every
        move = next_move(move, target, at=at)
    return move is not None and is_settled(move, at=at)


@pytest.mark.parametrize(
    ("targets", "every", "adopted"),
    [
        (["/new"] * 10, timedelta(hours=8), True),
        (["/new"] * 9, timedelta(hours=9), False),
        (["/new"] * 30, timedelta(hours=1), False),
        (["/new", "/other"] * 10, timedelta(hours=8), False),
        ([*["/new"] * 9, None, "/new"], timedelta(hours=8), False),
    ],
    ids=["ten in three days", "nine", "too fast", "flip-flop", "broken off"],
)
def test_a_move_is_adopted_when_it_is_settled(
    targets: Sequence[str | None], every: timedelta, adopted: bool
) -> None:
    assert moves(targets, every) is adopted
