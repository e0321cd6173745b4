"""Fewer messages: one POST does what was chosen, opening the page does nothing."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from library.clock import utc_now
from library.db import Sessions
from library.settings import Settings
from library.tables import Delivery, Interest, Patron, Pause, Preference
from library.vocabulary import Channel, Purpose, Rhythm
from notifier.links import leave_token
from tests.browsing import Browser, visitor
from tests.factories import ada, make_interest


@pytest.fixture
def browser(settings: Settings, sessions: Sessions) -> Browser:
    return visitor(settings, sessions)


@pytest.fixture
def patron(sessions: Sessions) -> Patron:
    with sessions.begin() as session:
        return ada(session)


@pytest.fixture
def delivery(sessions: Sessions, patron: Patron) -> Delivery:
    at = utc_now()
    with sessions.begin() as session:
        row = Delivery(
            patron_id=patron.id,
            purpose=Purpose.DIGEST,
            channel=Channel.EMAIL,
            due_at=at,
            not_after=at + timedelta(days=1),
            message_id="<one@test>",
            created_at=at,
        )
        session.add(row)
    return row


def link(settings: Settings, delivery: Delivery, scope: str = "digest") -> str:
    return f"/leave/{leave_token(settings.secret, delivery.id, scope)}"


def preference(sessions: Sessions, patron: Patron) -> Preference:
    with sessions() as session:
        return session.get_one(Preference, patron.id)


def test_the_mail_programs_one_click_needs_no_cookie_and_can_be_repeated(
    settings: Settings, sessions: Sessions, patron: Patron, delivery: Delivery
) -> None:
    for _ in range(2):
        answer = visitor(settings, sessions).client.post(
            link(settings, delivery), data={"List-Unsubscribe": "One-Click"}
        )
        assert answer.status_code == 200  # and no redirect

    assert preference(sessions, patron).rhythm is Rhythm.OFF


def test_opening_the_page_changes_nothing(
    browser: Browser,
    settings: Settings,
    sessions: Sessions,
    patron: Patron,
    delivery: Delivery,
) -> None:
    page = browser.open(link(settings, delivery))

    assert "Nothing changes until you press a button." in page.main
    assert preference(sessions, patron).rhythm is Rhythm.WEEKLY


def test_less_often_is_less_often_and_no_more(
    browser: Browser,
    settings: Settings,
    sessions: Sessions,
    patron: Patron,
    delivery: Delivery,
) -> None:
    page = browser.press(browser.open(link(settings, delivery)), "Once a month")

    assert "You will hear from us once a month." in page.main
    assert preference(sessions, patron).rhythm is Rhythm.MONTHLY


def test_a_pause_is_thirty_days(
    browser: Browser, settings: Settings, sessions: Sessions, delivery: Delivery
) -> None:
    browser.press(browser.open(link(settings, delivery)), "Pause for 30 days")

    with sessions() as session:
        (until,) = session.scalars(select(Pause.until)).all()
    assert until is not None
    assert abs(until - utc_now() - timedelta(days=30)) < timedelta(minutes=1)


def test_this_interest_only_leaves_the_rest_alone(
    browser: Browser,
    settings: Settings,
    sessions: Sessions,
    patron: Patron,
    delivery: Delivery,
) -> None:
    with sessions.begin() as session:
        interest = make_interest(session, patron, "Football")
    address = link(settings, delivery, f"interest:{interest.id}")

    browser.press(browser.open(address), "No more about Football")

    with sessions() as session:
        assert not session.get_one(Interest, interest.id).alerts
    assert preference(sessions, patron).rhythm is Rhythm.WEEKLY


def test_one_click_on_an_interests_link_stops_that_interest(
    browser: Browser,
    settings: Settings,
    sessions: Sessions,
    patron: Patron,
    delivery: Delivery,
) -> None:
    with sessions.begin() as session:
        interest = make_interest(session, patron, "Football")
    address = link(settings, delivery, f"interest:{interest.id}")

    browser.post(address, {"List-Unsubscribe": "One-Click"})

    with sessions() as session:
        assert not session.get_one(Interest, interest.id).alerts
    assert preference(sessions, patron).rhythm is Rhythm.WEEKLY


def test_a_link_of_an_erased_patron_still_answers(
    browser: Browser, settings: Settings, sessions: Sessions, delivery: Delivery
) -> None:
    with sessions.begin() as session:
        session.delete(session.get_one(Patron, delivery.patron_id))

    assert browser.post(link(settings, delivery), {}).status == 200


def test_an_altered_link_is_refused(browser: Browser) -> None:
    assert browser.open("/leave/WzEsImFsbCJd.x").status == 410
    assert browser.post("/leave/WzEsImFsbCJd.x", {}).status == 410
