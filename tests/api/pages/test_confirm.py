"""A new address: a link is sent there, and only its button makes it the patron's."""

import pytest
from sqlalchemy import select

from api.auth.attempts import PER_IDENTITY
from library.clock import utc_now
from library.db import Sessions
from library.settings import Settings
from library.tables import ContactPoint, Delivery, Patron
from library.vocabulary import Channel, Purpose
from notifier.delivery import deliver_due
from notifier.links import confirm_token
from profiles import contacts
from tests.browsing import Browser, Page, signed_in, visitor
from tests.factories import ada
from tests.notifier.cast import Outbox

NEW = "ada.new@patrons.test"


@pytest.fixture
def patron(sessions: Sessions) -> Patron:
    with sessions.begin() as session:
        return ada(session)


@pytest.fixture
def browser(settings: Settings, sessions: Sessions, patron: Patron) -> Browser:
    return signed_in(settings, sessions, patron)


def ask(browser: Browser, address: str = NEW) -> Page:
    page = browser.open("/me/preferences")
    within = "//form[@action='/me/address']"
    return browser.press(page, "Send me a link", within=within, address=address)


def point(sessions: Sessions, address: str = NEW) -> ContactPoint:
    with sessions() as session:
        found = select(ContactPoint).where(ContactPoint.address == address)
        return session.scalars(found).one()


def best(sessions: Sessions, patron: Patron) -> str:
    with sessions() as session:
        found = contacts.address_of(session, patron.id, Channel.EMAIL)
    assert found
    return found.address


def test_the_link_that_was_sent_makes_the_address_the_patrons(
    settings: Settings, sessions: Sessions, patron: Patron, browser: Browser
) -> None:
    said = ask(browser)
    assert "Press the button in that message" in said.text
    assert f"{NEW} waits for you" in said.main
    assert best(sessions, patron) == "ada@patrons.test"

    outbox = Outbox()
    deliver_due(
        sessions,
        settings,
        at=utc_now(),
        worker="w1",
        channels={Channel.EMAIL: outbox},
    )
    (message,) = outbox.taken
    assert message.to.address == NEW
    link = message.text.split(settings.base_url)[1].split()[0]
    stranger = visitor(settings, sessions)
    page = stranger.open(link)
    assert NEW in page.main
    assert best(sessions, patron) == "ada@patrons.test"

    done = stranger.press(page, "Confirm this address")

    assert "Messages now go to" in done.main
    assert best(sessions, patron) == NEW
    later = stranger.open(link)
    assert "This address is confirmed already." in later.main
    assert later.find("//main//button") == []
    again = stranger.post(link, {})
    assert "Messages now go to" in again.main


def test_looking_changes_nothing(
    settings: Settings, sessions: Sessions, patron: Patron, browser: Browser
) -> None:
    ask(browser)
    token = confirm_token(settings.secret, point(sessions).id)

    for _ in range(3):
        browser.client.get(f"/confirm/{token}")
        browser.client.head(f"/confirm/{token}")

    assert point(sessions).verified_at is None


@pytest.mark.parametrize("how", ["changed", "another installation's", "gone"])
def test_a_link_that_does_not_hold_says_so_kindly(
    settings: Settings, sessions: Sessions, browser: Browser, how: str
) -> None:
    ask(browser)
    point_id = point(sessions).id
    token = {
        "changed": confirm_token(settings.secret, point_id)[:-1],
        "another installation's": confirm_token("another secret", point_id),
        "gone": confirm_token(settings.secret, point_id + 1),
    }[how]

    for page in (
        browser.open(f"/confirm/{token}"),
        browser.post(f"/confirm/{token}", {}),
    ):
        assert page.status == 410
        assert "This link no longer works" in page.main
    assert point(sessions).verified_at is None


def test_a_flood_of_fifty_sends_few(
    settings: Settings, sessions: Sessions, browser: Browser
) -> None:
    pages = [ask(browser, f"someone{n}@patrons.test") for n in range(50)]

    assert {page.status for page in pages} == {200, 429}
    with sessions() as session:
        sent = session.scalars(
            select(Delivery).where(Delivery.purpose == Purpose.CONFIRM)
        ).all()
        points = session.scalars(select(ContactPoint)).all()
    assert len(sent) == PER_IDENTITY
    assert len(points) == PER_IDENTITY + 1


def test_a_stopped_address_starts_again_when_it_is_confirmed(
    settings: Settings, sessions: Sessions, patron: Patron, browser: Browser
) -> None:
    with sessions.begin() as session:
        contacts.stop(session, point(sessions, "ada@patrons.test").id, at=utc_now())
    assert "came back, so we stopped" in browser.open("/me/preferences").main

    ask(browser, "ada@patrons.test")
    assert point(sessions, "ada@patrons.test").verified_at is None
    token = confirm_token(settings.secret, point(sessions, "ada@patrons.test").id)
    browser.press(browser.open(f"/confirm/{token}"), "Confirm this address")

    row = point(sessions, "ada@patrons.test")
    assert row.verified_at is not None
    assert row.stopped_at is None


@pytest.mark.parametrize("typed", ["", "no address", "a@b@c,d", "a b@c.test"])
def test_what_is_no_address_is_named(
    sessions: Sessions, browser: Browser, typed: str
) -> None:
    page = ask(browser, typed)

    assert page.status == 422
    with sessions() as session:
        assert len(session.scalars(select(ContactPoint)).all()) == 1
