"""Librarians are told of sources that need them, by mail and by webhook."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import update

from api.working.warning import WarningReport, warn
from library.db import Sessions
from library.errors import DeliveryFailed, FetchFailed
from library.settings import Settings
from library.staff import create_staff
from library.tables import Harvest, Source, Staff
from library.webhooks import Use, secret_of, signature
from tests.factories import NOON, make_branch, make_source
from tests.loopback import Answer, Site
from tests.notifier.mail_server import MailServer

DAY = timedelta(days=1)
NONE = WarningReport(0, 0)


@pytest.fixture
def told(settings: Settings, server: MailServer) -> Settings:
    return replace(settings, smtp_url=server.url)


@pytest.fixture(autouse=True)
def failing(sessions: Sessions) -> None:
    with sessions.begin() as session:
        source = make_source(session)
        source.failures = 3
        session.add(
            Harvest(source_id=source.id, started_at=NOON, cause="dns", error="no host")
        )


def add_librarian(sessions: Sessions, email: str, **sides: object) -> None:
    with sessions.begin() as session:
        create_staff(session, email, "A Librarian", at=NOON, **sides)  # type: ignore[arg-type]


def test_it_is_told_once_and_then_daily(
    sessions: Sessions, told: Settings, server: MailServer
) -> None:
    add_librarian(sessions, "ada@library.test")

    assert warn(sessions, told, at=NOON) == WarningReport(email=1, webhook=0)
    assert warn(sessions, told, at=NOON + timedelta(minutes=15)) == NONE
    assert warn(sessions, told, at=NOON + DAY) == WarningReport(email=1, webhook=0)

    first, second = server.taken
    assert first.recipient == "ada@library.test"
    assert first.message["Subject"] == "1 source needs a look"
    assert "acq" in first.message.get_body(("plain",)).get_content()  # type: ignore[union-attr]
    assert "no host" in first.message.get_body(("html",)).get_content()  # type: ignore[union-attr]
    assert first.message_id != second.message_id


def test_each_librarian_is_told_of_their_branch_in_their_language(
    sessions: Sessions, told: Settings, server: MailServer
) -> None:
    with sessions.begin() as session:
        other = make_branch(session, "other").id
    add_librarian(sessions, "all@library.test", language="fa_IR")
    add_librarian(sessions, "other@library.test", branch_id=other)
    add_librarian(sessions, "gone@library.test")
    with sessions.begin() as session:
        gone = Staff.email == "gone@library.test"
        session.execute(update(Staff).where(gone).values(active=False))

    warn(sessions, told, at=NOON)

    (taken,) = server.taken
    assert taken.recipient == "all@library.test"
    assert taken.message["Subject"] == "۱ منبع نیاز به رسیدگی دارد"
    assert 'dir="rtl"' in taken.message.get_body(("html",)).get_content()  # type: ignore[union-attr]


def test_without_librarians_the_contact_is_told(
    sessions: Sessions, told: Settings, server: MailServer
) -> None:
    warn(sessions, replace(told, contact="desk@library.test"), at=NOON)

    assert [one.recipient for one in server.taken] == ["desk@library.test"]


def test_a_test_installation_writes_to_those_it_names_alone(
    sessions: Sessions, told: Settings, server: MailServer
) -> None:
    add_librarian(sessions, "ada@library.test")

    warn(sessions, replace(told, deliver_only_to=("@other.test",)), at=NOON)

    assert server.taken == []


def test_a_mail_server_that_is_away_only_delays_it(
    sessions: Sessions, settings: Settings, told: Settings, server: MailServer
) -> None:
    add_librarian(sessions, "ada@library.test")

    with pytest.raises(DeliveryFailed):
        warn(sessions, replace(settings, smtp_url="smtp://127.0.0.1:1"), at=NOON)

    assert warn(sessions, told, at=NOON).email == 1
    assert len(server.taken) == 1


def test_one_address_that_is_refused_keeps_nobody_from_it(
    sessions: Sessions, told: Settings, server: MailServer
) -> None:
    server.script = lambda verb, to: (
        "550 5.1.1 unknown" if verb == "RCPT" and to.startswith("bad") else None
    )
    add_librarian(sessions, "bad@library.test")
    add_librarian(sessions, "ada@library.test")

    assert warn(sessions, told, at=NOON).email == 1
    assert warn(sessions, told, at=NOON) == NONE
    assert [one.recipient for one in server.taken] == ["ada@library.test"]


def test_the_webhook_is_called_signed_and_with_the_same_id_again(
    sessions: Sessions, told: Settings, site: Site
) -> None:
    states = iter([503, 204])
    url = site.serve("/hook", lambda _: Answer(status=next(states)))
    settings = replace(told, warn_webhook=url, fetch_allow=(site.place,))

    with pytest.raises(FetchFailed, match="503"):
        warn(sessions, settings, at=NOON)
    assert warn(sessions, settings, at=NOON) == WarningReport(email=0, webhook=1)
    assert warn(sessions, settings, at=NOON) == NONE

    first, second = site.asked
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    told_of = json.loads(second.body)
    assert told_of["type"] == "source.failing"
    assert told_of["data"]["sources"] == [
        {"code": "acq", "failures": 3, "why": "no host"}
    ]
    expected = signature(
        secret_of(settings, Use.WARNINGS),
        second.headers["webhook-id"],
        int(second.headers["webhook-timestamp"]),
        second.body,
    )
    assert second.headers["webhook-signature"].split()[0] == expected


def test_a_webhook_is_not_called_at_a_private_address(
    sessions: Sessions, told: Settings, site: Site
) -> None:
    settings = replace(told, warn_webhook=site.serve("/hook", b""))

    with pytest.raises(FetchFailed, match="not on the open internet"):
        warn(sessions, settings, at=NOON)

    assert site.asked == []


def test_nothing_is_told_of_sources_that_work(
    sessions: Sessions, told: Settings, server: MailServer
) -> None:
    with sessions.begin() as session:
        session.execute(update(Source).values(failures=0))

    assert warn(sessions, told, at=NOON) == NONE
    assert server.connections == 0
