"""Fewer messages: one POST does what was chosen, opening the page does nothing."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from library.clock import utc_now
from library.db import Sessions
from library.settings import Settings
from library.tables import Delivery, Interest, Patron, Pause, Preference
from library.vocabulary import Channel, Purpose, Rhythm
from notifier.links import leave_token, undo_token
from profiles import preferences
from profiles.interests import set_rhythm
from tests.browsing import Browser, Page, visitor
from tests.factories import NOON, ada, make_interest


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


def test_less_often_holds_for_an_interest_with_a_rhythm_of_its_own(
    browser: Browser,
    settings: Settings,
    sessions: Sessions,
    patron: Patron,
    delivery: Delivery,
) -> None:
    with sessions.begin() as session:
        for name, rhythm in (("Football", Rhythm.DAILY), ("Chess", Rhythm.MONTHLY)):
            interest = make_interest(session, patron, name)
            set_rhythm(session, patron.id, interest.id, rhythm, at=utc_now())

    browser.press(browser.open(link(settings, delivery)), "Once a week")

    with sessions() as session:
        own = session.execute(select(Interest.label, Interest.rhythm)).all()
    assert dict(own) == {"Football": None, "Chess": Rhythm.MONTHLY}


def test_a_pause_is_thirty_days(
    browser: Browser, settings: Settings, sessions: Sessions, delivery: Delivery
) -> None:
    browser.press(browser.open(link(settings, delivery)), "Pause for 30 days")

    with sessions() as session:
        (until,) = session.scalars(select(Pause.until)).all()
    assert until is not None
    assert abs(until - utc_now() - timedelta(days=30)) < timedelta(minutes=1)


def buttons(page: Page) -> list[str]:
    return [str(value) for value in page.find("//main//button/@value")]


OFFERED = {
    Rhythm.DAILY: ["weekly", "monthly", "pause", "all"],
    Rhythm.WEEKLY: ["monthly", "pause", "all"],
    Rhythm.MONTHLY: ["pause", "all"],
    Rhythm.OFF: [],
}


@pytest.mark.parametrize("rhythm", Rhythm)
def test_only_fewer_messages_are_offered(
    browser: Browser,
    settings: Settings,
    sessions: Sessions,
    delivery: Delivery,
    rhythm: Rhythm,
) -> None:
    with sessions.begin() as session:
        preferences.change(session, delivery.patron_id, at=utc_now(), rhythm=rhythm)

    page = browser.open(link(settings, delivery))

    assert buttons(page) == OFFERED[rhythm]
    assert ("You get no messages" in page.main) == (rhythm is Rhythm.OFF)


@pytest.mark.parametrize("rhythm", [Rhythm.MONTHLY, Rhythm.OFF])
def test_an_old_page_does_not_bring_more(
    browser: Browser,
    settings: Settings,
    sessions: Sessions,
    patron: Patron,
    delivery: Delivery,
    rhythm: Rhythm,
) -> None:
    address = link(settings, delivery, "all")
    with sessions.begin() as session:
        preferences.change(session, patron.id, at=utc_now(), rhythm=rhythm)
        preferences.pause(session, patron.id, until=None)

    browser.post(address, {"choice": "weekly"})
    browser.post(address, {"choice": "pause"})

    assert preference(sessions, patron).rhythm is rhythm
    with sessions() as session:
        assert session.scalars(select(Pause.until)).all() == [None]


@pytest.mark.parametrize(
    "pressed",
    [
        "Once a week",
        "Once a month",
        "Pause for 30 days",
        "No more about Football",
        "No more messages about new works",
    ],
)
def test_a_slip_is_put_right_without_signing_in(
    browser: Browser,
    settings: Settings,
    sessions: Sessions,
    patron: Patron,
    delivery: Delivery,
    pressed: str,
) -> None:
    with sessions.begin() as session:
        interest = make_interest(session, patron, "Football")
        preferences.change(session, patron.id, at=utc_now(), rhythm=Rhythm.DAILY)
        set_rhythm(session, patron.id, interest.id, Rhythm.DAILY, at=utc_now())
        preferences.pause(session, patron.id, until=NOON)
    address = link(settings, delivery, f"interest:{interest.id}")
    before = held(sessions, patron)

    page = browser.press(browser.open(address), pressed)
    assert held(sessions, patron) != before
    page = browser.press(page, "Undo")

    assert "All is as it was before." in page.main
    assert held(sessions, patron) == before
    assert "undo" not in buttons(page)


def held(sessions: Sessions, patron: Patron) -> tuple[object, ...]:
    with sessions() as session:
        (interest,) = session.scalars(select(Interest)).all()
        paused = preferences.pauses(session, patron.id, at=utc_now())
    return preference(sessions, patron).rhythm, interest.rhythm, interest.alerts, paused


@pytest.mark.parametrize("before", ["", "1~{}~99999.x", None])
def test_nothing_is_put_back_but_what_we_said_it_was(
    browser: Browser,
    settings: Settings,
    sessions: Sessions,
    patron: Patron,
    delivery: Delivery,
    before: str | None,
) -> None:
    said = '{"rhythm": "daily", "own": [], "paused": null, "alerts": null}'
    of_another = undo_token(settings.secret, delivery.id + 1, said)

    answer = browser.post(
        link(settings, delivery),
        {"choice": "undo", "before": of_another if before is None else before},
    )

    assert answer.status == 410
    assert preference(sessions, patron).rhythm is Rhythm.WEEKLY


def test_who_starts_again_is_told_on_the_next_day_of_the_rhythm(
    sessions: Sessions, patron: Patron
) -> None:
    with sessions.begin() as session:
        preferences.change(session, patron.id, at=NOON, rhythm=Rhythm.OFF)
        row = preferences.change(session, patron.id, at=NOON, rhythm=Rhythm.WEEKLY)

    assert row.next_digest_at == NOON + timedelta(days=5, hours=20)


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
