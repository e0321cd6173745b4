"""The library's own app gets each digest once, as data, signed."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from library.db import Sessions, reading
from library.settings import Settings
from library.tables import ContactPoint, Guardian, Patron
from library.vocabulary import Channel, ConsentPurpose, DeliveryState, ReasonKind
from notifier.channels.app import call_id
from notifier.delivery import DeliveryReport, deliver_due
from notifier.links import LessLink, read_less
from profiles import devices, preferences
from profiles.causes import Cause
from tests import loopback
from tests.factories import NOON, ada, bo, cy, make_patron, make_work
from tests.loopback import Answer, Guard
from tests.notifier.app_server import AppServer, app_server
from tests.notifier.cast import (
    MINUTE,
    alert,
    alerts,
    deliveries,
    make_match,
    matched,
    only,
    reason,
)

HOUR = timedelta(hours=1)


@pytest.fixture
def app(settings: Settings) -> Iterator[AppServer]:
    with app_server(settings) as server:
        yield server


@pytest.fixture
def guard(monkeypatch: pytest.MonkeyPatch) -> Iterator[Guard]:
    with loopback.guarded(monkeypatch) as watching:
        yield watching


def digests_for(sessions: Sessions, app: AppServer, *patrons: Patron) -> None:
    """Make a digest of two works for each, who chose the app."""
    for patron in patrons:
        with sessions.begin() as session:
            matched(session, patron, [f"For {patron.name}", f"Also {patron.name}"])
            devices.name_to_app(session, patron.id, at=NOON)
            preferences.change(session, patron.id, at=NOON, channel=Channel.WEBHOOK)
    alert(sessions, app.settings)


def post(
    sessions: Sessions, app: AppServer, at: timedelta = timedelta()
) -> DeliveryReport:
    return deliver_due(sessions, app.settings, at=NOON + at, worker="w1")


def people(sessions: Sessions, count: int) -> list[Patron]:
    with sessions.begin() as session:
        return [
            make_patron(session, f"P{n}", consents=tuple(ConsentPurpose))
            for n in range(count)
        ]


def test_the_app_gets_the_digest_as_data(sessions: Sessions, app: AppServer) -> None:
    with sessions.begin() as session:
        patron = ada(session)
    digests_for(sessions, app, patron)

    assert post(sessions, app).sent == 1

    ((called, told),) = app.calls
    delivery = only(sessions)
    assert called == call_id(delivery.message_id) == delivery.message_id[1:41]
    assert told["type"] == "digest"
    assert told["timestamp"] == delivery.created_at.isoformat()
    data = told["data"]
    assert data["patron"] == {"system": "test", "id": "ada"}
    assert (data["language"], data["direction"], data["total"]) == ("en", "ltr", 2)
    first = data["works"][0]
    assert first["title"] == "For Ada"
    ((text, less),) = (tuple(reason.values()) for reason in first["reasons"])
    assert "Cosmos" in text
    token = less.removeprefix(f"{app.settings.base_url}/less/")
    named = read_less(app.settings.secret, token, at=NOON)
    assert named == LessLink(alerts(sessions)[0].id, 0)
    assert set(first["answers"]) == {"wanted", "read_already", "not_for_me"}
    assert data["page"] == f"{app.settings.base_url}/me"
    assert data["leave"].startswith(f"{app.settings.base_url}/leave/")


def test_where_more_is_new_than_fits_the_page_is_that_of_all(
    sessions: Sessions, app: AppServer
) -> None:
    with sessions.begin() as session:
        patron = ada(session)
    digests_for(sessions, app, patron)

    short = replace(app.settings, digest_limit=1)
    deliver_due(sessions, short, at=NOON, worker="w1")

    ((_, told),) = app.calls
    data = told["data"]
    assert (len(data["works"]), data["total"]) == (1, 2)
    assert data["page"] == f"{app.settings.base_url}/me/alerts"


def test_what_cannot_be_lessened_has_no_link(
    sessions: Sessions, app: AppServer
) -> None:
    with sessions.begin() as session:
        patron = ada(session)
        match = make_match(session, patron, make_work(session, "Solaris"))
        match.reasons = [reason("", ReasonKind.POPULAR)]
        devices.name_to_app(session, patron.id, at=NOON)
        preferences.change(session, patron.id, at=NOON, channel=Channel.WEBHOOK)
    alert(sessions, app.settings)

    post(sessions, app)

    ((_, told),) = app.calls
    (said,) = told["data"]["works"][0]["reasons"]
    assert said["text"]
    assert said["less"] is None


def test_in_persian_its_words_are_persian(sessions: Sessions, app: AppServer) -> None:
    with sessions.begin() as session:
        patron = cy(session)
    digests_for(sessions, app, patron)

    post(sessions, app)

    ((_, told),) = app.calls
    assert (told["data"]["language"], told["data"]["direction"]) == ("fa", "rtl")
    assert told["data"]["subject"].startswith("تازه برای شما")


def test_of_the_discreet_it_learns_how_many_and_not_which(
    sessions: Sessions, app: AppServer
) -> None:
    with sessions.begin() as session:
        patron = ada(session)
        preferences.change(session, patron.id, at=NOON, discreet=True)
    digests_for(sessions, app, patron)

    post(sessions, app)

    ((_, told),) = app.calls
    assert (told["data"]["total"], told["data"]["works"]) == (2, [])
    assert "For Ada" not in str(told)


def test_down_an_hour_it_gets_each_message_afterwards_once_with_its_id(
    sessions: Sessions, app: AppServer
) -> None:
    patrons = people(sessions, 12)
    digests_for(sessions, app, *patrons)
    app.up = False
    for minutes in range(0, 60, 5):
        assert post(sessions, app, minutes * MINUTE).sent == 0
    tried = [asked.headers["webhook-id"] for asked in app.site.asked]
    app.up = True

    for minutes in range(60, 180, 5):
        post(sessions, app, minutes * MINUTE)

    ids = {call_id(one.message_id) for one in deliveries(sessions)}
    assert len(ids) == 12
    assert set(tried) == ids
    assert all(tried.count(one) == 4 for one in ids)  # at once, then 1, 5, 15 minutes
    assert sorted(called for called, _ in app.calls) == sorted(ids)
    assert all(one.state is DeliveryState.SENT for one in deliveries(sessions))


def test_an_answer_that_never_came_makes_a_copy_with_the_same_id(
    sessions: Sessions, app: AppServer
) -> None:
    digests_for(sessions, app, *people(sessions, 1))
    keeps_silent = Answer(write=lambda _: None)
    app.answers.append(keeps_silent)

    assert post(sessions, app).retried == 1
    assert post(sessions, app, 11 * MINUTE).sent == 1

    first, second = (asked.headers["webhook-id"] for asked in app.site.asked)
    assert first == second
    assert app.site.asked[0].body == app.site.asked[1].body


def test_with_another_secret_nothing_is_taken_and_nothing_lost(
    sessions: Sessions, app: AppServer
) -> None:
    digests_for(sessions, app, *people(sessions, 3))
    other = replace(app.settings, secret="another")

    deliver_due(sessions, other, at=NOON, worker="w1")
    assert len(app.site.asked) == 1  # it refuses us: the others need not be tried
    assert post(sessions, app, 6 * MINUTE).sent == 3

    assert len(app.taken) == 3


def test_a_patron_who_left_the_app_is_told_by_mail(
    sessions: Sessions, app: AppServer
) -> None:
    (patron,) = people(sessions, 1)
    digests_for(sessions, app, patron)
    app.answers.append(Answer(status=410))

    post(sessions, app)
    post(sessions, app, 2 * MINUTE)

    assert only(sessions).cause == Cause.STOPPED
    with reading(sessions) as session:
        row = preferences.get(session, patron.id)
        assert devices.reached_by(session, row, app=True) is Channel.EMAIL


def test_an_app_on_a_refused_address_is_never_called(
    sessions: Sessions, app: AppServer, guard: Guard
) -> None:
    digests_for(sessions, app, *people(sessions, 2))

    closed = replace(app.settings, fetch_allow=())
    deliver_due(sessions, closed, at=NOON, worker="w1")

    assert app.site.asked == []
    assert post(sessions, app, 6 * MINUTE).sent == 2


def test_without_an_app_the_choice_of_it_means_mail(
    sessions: Sessions, app: AppServer
) -> None:
    (patron,) = people(sessions, 1)
    digests_for(sessions, app, patron)
    none = replace(app.settings, app_url="")

    deliver_due(sessions, none, at=NOON, worker="w1")
    deliver_due(sessions, none, at=NOON + timedelta(days=30), worker="w1")

    assert only(sessions).cause == Cause.EXPIRED
    with reading(sessions) as session:
        row = preferences.get(session, patron.id)
        assert devices.reached_by(session, row, app=False) is Channel.EMAIL


def test_a_child_has_no_app_of_its_own(sessions: Sessions, app: AppServer) -> None:
    with sessions.begin() as session:
        child, guardian = ada(session), bo(session)
        session.add(Guardian(patron_id=child.id, guardian_id=guardian.id))
        session.flush()

        ways = devices.offered(session, child.id, app=True)

    assert ways == [Channel.EMAIL, Channel.PAGE]


def test_known_to_the_app_twice_is_known_once(sessions: Sessions) -> None:
    with sessions.begin() as session:
        patron = ada(session)
        for _ in range(2):
            devices.name_to_app(session, patron.id, at=NOON)

        rows = session.scalars(
            select(ContactPoint).where(ContactPoint.channel == Channel.WEBHOOK)
        ).all()

    assert [row.address for row in rows] == ["test:ada"]
