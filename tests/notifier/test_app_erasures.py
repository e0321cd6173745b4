"""The library's own app is told whom the library erased."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from api.commands.doctor import examine_channels
from library.clock import utc_now
from library.db import Sessions, reading
from library.runtime import Runtime
from library.settings import Settings
from library.tables import Patron, Setting
from library.vocabulary import Channel
from notifier.app_erasures import tell_app
from profiles import contacts, devices
from profiles.privacy import erase
from profiles.untold import waiting
from tests.factories import NOON, ada, bo, cy
from tests.loopback import Answer
from tests.notifier.app_server import AppServer, app_server
from tests.notifier.cast import MINUTE, Outbox, alert, deliver, matched

KEY = "canary-4711"


@pytest.fixture
def app(settings: Settings) -> Iterator[AppServer]:
    with app_server(settings) as server:
        yield server


@pytest.fixture
def patron(sessions: Sessions) -> Patron:
    """Ada, whom the app knows."""
    with sessions.begin() as session:
        patron = ada(session)
        patron.external_id = KEY
        devices.name_to_app(session, patron.id, at=NOON)
        return patron


def still_to_tell(sessions: Sessions) -> int:
    with reading(sessions) as session:
        return len(list(waiting(session)))


def test_the_app_is_told_once_whom_to_forget(
    sessions: Sessions, app: AppServer, patron: Patron
) -> None:
    receipt = erase(sessions, app.settings, patron.id, at=NOON)

    assert tell_app(sessions, app.settings, at=NOON) == 1
    assert tell_app(sessions, app.settings, at=NOON + MINUTE) == 0

    ((called, told),) = app.calls
    assert called == f"erased-{receipt.number}"
    assert told == {
        "type": "patron.erased",
        "timestamp": NOON.isoformat(),
        "data": {"patron": {"system": "test", "id": KEY}},
    }
    assert still_to_tell(sessions) == 0


def test_an_app_that_is_away_is_told_afterwards_under_the_same_id(
    sessions: Sessions, app: AppServer, patron: Patron
) -> None:
    erase(sessions, app.settings, patron.id, at=NOON)
    app.answers = [Answer(status=503), Answer(status=422), Answer(status=401)]
    minutes = (0, 0.5, 1, 5, 6, 20, 21)

    told = [
        tell_app(sessions, app.settings, at=NOON + minute * MINUTE)
        for minute in minutes
    ]

    assert told == [0, 0, 0, 0, 0, 0, 1]
    assert len(app.calls) == 1


def test_who_left_the_app_is_forgotten_there_too_and_gone_is_enough(
    sessions: Sessions, app: AppServer, patron: Patron
) -> None:
    with sessions.begin() as session:
        point = contacts.address_of(session, patron.id, Channel.WEBHOOK)
        assert point is not None
        contacts.stop(session, point.id, at=NOON)
    erase(sessions, app.settings, patron.id, at=NOON)
    app.answers = [Answer(status=410)]

    assert tell_app(sessions, app.settings, at=NOON) == 1

    assert still_to_tell(sessions) == 0


def test_until_it_is_told_nothing_names_the_patron(
    sessions: Sessions, app: AppServer, patron: Patron
) -> None:
    erase(sessions, app.settings, patron.id, at=NOON)

    with reading(sessions) as session:
        rows = [(row.name, row.value) for row in session.scalars(select(Setting))]
    assert still_to_tell(sessions) == 1
    assert KEY not in repr(rows)


def test_an_app_that_does_not_know_the_patron_hears_nothing(
    sessions: Sessions, app: AppServer
) -> None:
    with sessions.begin() as session:
        stranger = bo(session)

    erase(sessions, app.settings, stranger.id, at=NOON)

    assert still_to_tell(sessions) == 0


def test_a_test_installation_tells_nobody(
    sessions: Sessions, app: AppServer, patron: Patron
) -> None:
    erase(sessions, app.settings, patron.id, at=NOON)
    only_us = replace(app.settings, deliver_only_to=("@library.test",))

    assert tell_app(sessions, only_us, at=NOON) == 0

    assert (app.calls, still_to_tell(sessions)) == ([], 1)


def test_a_copied_database_tells_nobody(
    sessions: Sessions, app: AppServer, patron: Patron
) -> None:
    with sessions.begin() as session:
        matched(session, cy(session), ["Contact"])
    alert(sessions, app.settings)
    deliver(sessions, app.settings, Outbox())
    erase(sessions, app.settings, patron.id, at=NOON)
    elsewhere = replace(app.settings, home=app.settings.home / "elsewhere")

    assert tell_app(sessions, elsewhere, at=NOON) == 0

    assert app.calls == []


def test_the_doctor_says_so_when_the_app_hears_nothing_for_a_day(
    sessions: Sessions, app: AppServer, patron: Patron
) -> None:
    runtime = Runtime(app.settings, sessions)
    erase(sessions, app.settings, patron.id, at=utc_now() - timedelta(days=2))

    finding = examine_channels(runtime)

    assert not finding.ok
    assert "was not told of 1 erasures" in finding.found
