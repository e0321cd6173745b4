"""DL19: librarians are told when messages stand still, and only then."""

import json
import threading
from dataclasses import replace
from datetime import timedelta

import pytest

from api.working.watching import AGAIN, Seen, keep_looking, look, looked, news
from library.db import Sessions, reading
from library.runtime import Runtime
from library.settings import Settings
from library.staff import create_staff
from library.tables import Setting
from library.vocabulary import StaffRole
from notifier.canary import PATIENCE, Standstill
from tests.factories import NOON
from tests.loopback import Answer, Site
from tests.notifier.cast import MINUTE
from tests.notifier.mail_server import MailServer
from tests.notifier.served import EVERY, served

HOUR = timedelta(hours=1)
PARTS = pytest.mark.parametrize(
    ("stopped", "said"),
    [
        ("schedule", "No worker has done its turns for 15 minutes."),
        ("alerts", "No messages have been made for 15 minutes."),
        ("mail", "The mail server could not be reached for 15 minutes."),
    ],
)


@pytest.fixture
def house(
    sessions: Sessions, settings: Settings, server: MailServer, site: Site
) -> Settings:
    """An installation whose librarians read mail, and a webhook."""
    with sessions.begin() as session:
        for name, role in (("ada", StaffRole.SYSTEMS), ("bo", StaffRole.LIBRARIAN)):
            email = f"{name}@library.test"
            create_staff(session, email, name.title(), role=role, at=NOON)
    url = site.serve("/hook", lambda _: Answer(status=204))
    return replace(
        settings, smtp_url=server.url, warn_webhook=url, fetch_allow=(site.place,)
    )


def kinds(site: Site) -> list[str]:
    return [json.loads(asked.body)["type"] for asked in site.asked]


def subjects(server: MailServer) -> list[str]:
    return [str(one.message["Subject"]) for one in server.taken]


@PARTS
def test_each_part_that_stands_still_is_told_once_and_its_end_too(
    sessions: Sessions,
    house: Settings,
    server: MailServer,
    site: Site,
    stopped: str,
    said: str,
) -> None:
    def watch(at: object) -> None:
        look(sessions, house, at=at)  # type: ignore[arg-type]

    served(sessions, house, stopped=stopped, end=45, after=watch)
    assert (subjects(server), kinds(site)) == ([], [])

    served(sessions, house, stopped=stopped, begin=45, end=120, after=watch)
    assert [one.recipient for one in server.taken] == ["ada@library.test"]
    assert subjects(server) == ["No messages go out"]
    plain = server.taken[0].message.get_body(("plain",))
    assert plain is not None
    assert said in plain.get_content()
    assert kinds(site) == ["service.standing"]

    served(sessions, house, begin=120, end=180, after=watch)
    assert subjects(server) == ["No messages go out", "Messages go out again"]
    assert kinds(site) == ["service.standing", "service.going"]


def test_where_all_parts_go_on_nobody_is_told(
    sessions: Sessions, house: Settings, server: MailServer, site: Site
) -> None:
    served(sessions, house, after=lambda at: look(sessions, house, at=at))

    assert (subjects(server), kinds(site)) == ([], [])


def test_where_mail_itself_is_what_fails_the_webhook_tells(
    sessions: Sessions, house: Settings, server: MailServer, site: Site
) -> None:
    away = replace(house, smtp_url="smtp://127.0.0.1:1")

    served(sessions, away, stopped="mail", after=lambda at: look(sessions, away, at=at))
    assert kinds(site) == ["service.standing"]

    # Back again, and nobody is told by mail of the end of what no mail told of.
    served(
        sessions, house, begin=60, end=90, after=lambda at: look(sessions, house, at=at)
    )
    assert kinds(site) == ["service.standing", "service.going"]
    assert subjects(server) == []


def test_it_is_told_again_daily_and_not_more_often(
    sessions: Sessions, house: Settings, server: MailServer, site: Site
) -> None:
    at = served(sessions, house, after=lambda at: look(sessions, house, at=at))
    end = at + timedelta(days=2, hours=1)
    while at < end:
        look(sessions, house, at=at)
        at += EVERY

    assert subjects(server) == ["No messages go out"] * 3
    ids = [one.message_id for one in server.taken]
    assert len(set(ids)) == 3


def test_who_starts_a_service_that_was_stopped_is_told_nothing(
    sessions: Sessions, house: Settings, server: MailServer
) -> None:
    served(sessions, house, after=lambda at: look(sessions, house, at=at))

    begin = 60 + 3 * 24 * 60
    look(sessions, house, at=NOON + begin * MINUTE)
    served(
        sessions,
        house,
        begin=begin + 1,
        end=begin + 60,
        after=lambda at: look(sessions, house, at=at),
    )

    assert subjects(server) == []


def test_of_several_processes_one_looks_in_a_minute(
    sessions: Sessions, house: Settings, server: MailServer
) -> None:
    def watch(at: object) -> None:
        for _ in range(3):
            look(sessions, house, at=at)  # type: ignore[arg-type]

    served(sessions, house, stopped="alerts", end=90, after=watch)

    assert subjects(server) == ["No messages go out"]


def test_a_librarian_is_told_in_their_language(
    sessions: Sessions, settings: Settings, server: MailServer
) -> None:
    with sessions.begin() as session:
        create_staff(session, "cy@library.test", "Cy", language="fa_IR", at=NOON)
    house = replace(settings, smtp_url=server.url)

    served(
        sessions,
        house,
        stopped="alerts",
        after=lambda at: look(sessions, house, at=at),
    )

    assert subjects(server) == ["هیچ پیامی فرستاده نمی‌شود"]


STILL = Standstill.ALERTS


@pytest.mark.parametrize(
    ("told", "still", "expected"),
    [
        pytest.param({}, STILL, STILL, id="trouble nobody was told of"),
        pytest.param({"email": -HOUR}, STILL, "nothing", id="told an hour ago"),
        pytest.param({"email": -AGAIN}, STILL, STILL, id="told a day ago"),
        pytest.param({"webhook": -HOUR}, STILL, STILL, id="told by another way"),
        pytest.param({"email": -HOUR}, None, None, id="over, and was told of"),
        pytest.param({}, None, "nothing", id="over, and nobody was told"),
    ],
)
def test_what_is_news(
    told: dict[str, timedelta], still: Standstill | None, expected: object
) -> None:
    seen = Seen(
        NOON,
        NOON - HOUR,
        since=NOON - HOUR,
        told={way: NOON + ago for way, ago in told.items()},
    )

    found = news(seen, still, still, "email")

    assert (found.what if found else "nothing") == expected


def test_a_look_is_believed_after_the_canarys_time_alone() -> None:
    seen, believed = looked(None, STILL, NOON)
    while seen.last < NOON + PATIENCE:
        assert believed is None
        seen, believed = looked(seen, STILL, seen.last + EVERY)
    assert believed is STILL
    assert seen.since == NOON + PATIENCE

    _, believed = looked(seen, STILL, seen.last + HOUR)  # nobody looked for an hour
    assert believed is None


def test_the_thread_goes_on_looking_until_it_is_stopped(
    sessions: Sessions, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.working.watching.EVERY", timedelta(milliseconds=20))
    stop = threading.Event()
    thread = threading.Thread(
        target=keep_looking, args=(Runtime(settings, sessions), stop)
    )
    thread.start()
    for _ in range(500):
        with reading(sessions) as session:
            if session.get(Setting, "watch"):
                break
        stop.wait(0.02)
    stop.set()
    thread.join(60)

    assert not thread.is_alive()
    with reading(sessions) as session:
        assert session.get_one(Setting, "watch").value["told"] == {}
