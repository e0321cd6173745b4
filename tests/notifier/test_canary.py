"""DL19: what stands still is told of after a quarter of an hour, and only then."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from library.db import Sessions, reading
from library.runtime import Runtime
from library.settings import Settings
from library.vocabulary import Channel
from notifier.canary import PATIENCE, Standstill, set_out, standstill
from notifier.delivery import deliver_due
from notifier.tasks import WORK
from tests.factories import NOON
from tests.notifier.cast import MINUTE, Outbox
from tests.notifier.served import EVERY, served, turn


def told(sessions: Sessions, at: datetime) -> Standstill | None:
    with reading(sessions) as session:
        return standstill(session, at=at)


def test_where_all_parts_go_on_nothing_is_told(
    sessions: Sessions, settings: Settings
) -> None:
    at = served(sessions, settings)

    assert told(sessions, at) is None


@pytest.mark.parametrize(
    ("stopped", "expected"),
    [
        ("schedule", Standstill.SCHEDULE),
        ("alerts", Standstill.ALERTS),
        ("mail", Standstill.MAIL),
    ],
)
def test_each_part_that_stands_still_is_told_of_in_time(
    sessions: Sessions, settings: Settings, stopped: str, expected: Standstill
) -> None:
    soon = served(sessions, settings, stopped=stopped, end=40)
    assert told(sessions, soon) is None

    later = served(sessions, settings, stopped=stopped, begin=40)
    assert told(sessions, later) is expected


def test_when_the_mail_server_is_back_all_is_well(
    sessions: Sessions, settings: Settings
) -> None:
    at = served(sessions, settings, stopped="mail")
    assert told(sessions, at) is Standstill.MAIL

    channels = {Channel.EMAIL: Outbox()}
    deliver_due(sessions, settings, at=at, worker="w1", channels=channels)

    assert told(sessions, at) is None


def test_a_channel_on_hold_takes_no_canary(
    sessions: Sessions, settings: Settings
) -> None:
    set_out(sessions, at=NOON)
    turn(sessions, "canary", NOON)
    turn(sessions, "alert", NOON)
    nowhere = replace(settings, smtp_url="smtp://127.0.0.1:1")

    deliver_due(sessions, nowhere, at=NOON, worker="w1")

    at = NOON + PATIENCE + MINUTE
    turn(sessions, "canary", at - MINUTE)
    turn(sessions, "alert", at - MINUTE)
    assert told(sessions, at) is Standstill.MAIL


def test_where_the_service_was_never_run_nothing_is_expected(
    sessions: Sessions,
) -> None:
    assert told(sessions, NOON + timedelta(days=9)) is None


def test_its_turn_lets_it_out_once(sessions: Sessions, settings: Settings) -> None:
    runtime = Runtime(settings, sessions)
    for at in (NOON, NOON + EVERY):
        WORK["canary"](runtime, {}, at=at, progress=lambda *_: None)
        turn(sessions, "canary", at)
        turn(sessions, "alert", at)

    late = NOON + PATIENCE + MINUTE
    assert told(sessions, late) is Standstill.MAIL
