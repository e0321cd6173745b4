"""Interests: said once however they are spelled, weighed, switched, removed."""

from datetime import date, timedelta

import pytest
from sqlalchemy import select

from library.clock import utc_now
from library.db import Sessions
from library.settings import Settings
from library.tables import Interest, Patron
from library.vocabulary import InterestKind, Rhythm
from tests.browsing import Browser, signed_in
from tests.factories import ada, cy, make_interest, make_work


@pytest.fixture
def patron(sessions: Sessions) -> Patron:
    with sessions.begin() as session:
        return ada(session)


@pytest.fixture
def browser(settings: Settings, sessions: Sessions, patron: Patron) -> Browser:
    return signed_in(settings, sessions, patron)


def stored(sessions: Sessions) -> list[Interest]:
    with sessions() as session:
        return list(session.scalars(select(Interest).order_by(Interest.id)))


def test_adds_an_interest(browser: Browser, sessions: Sessions) -> None:
    page = browser.press(browser.open("/me/interests"), "Add", label="نجوم")

    assert "Added: نجوم" in page.main
    assert [(i.kind, i.label) for i in stored(sessions)] == [("subject", "نجوم")]


def test_another_spelling_adds_nothing_and_points_at_the_one_there(
    browser: Browser, sessions: Sessions
) -> None:
    page = browser.press(browser.open("/me/interests"), "Add", label="کتابداری")
    response = browser.client.post(
        "/me/interests",
        data={
            "form": page.find("//main//input[@name='form']/@value")[0],
            "kind": "subject",
            "label": "كتابداري",
        },
    )

    (interest,) = stored(sessions)
    assert response.location.endswith(f"#interest-{interest.id}")
    assert "is among your interests already" in browser.open("/me/interests").main


def test_a_label_without_a_letter_keeps_what_was_typed(
    browser: Browser, sessions: Sessions
) -> None:
    page = browser.press(browser.open("/me/interests"), "Add", label="?!")

    assert page.status == 422
    assert page.find("//*[@role='alert']//a[@href='#label']")
    assert page.find("//input[@id='label']/@value") == ["?!"]
    assert stored(sessions) == []


def test_weight_state_and_end_are_stored_from_either_calendar(
    browser: Browser, sessions: Sessions, patron: Patron
) -> None:
    with sessions.begin() as session:
        make_interest(session, patron, "Astronomy")

    browser.press(
        browser.open("/me/interests"),
        "Store: Astronomy",
        weight="2.0",
        active="-",
        ends_on="۱۴۰۵/۱۲/۲۹",
    )

    (interest,) = stored(sessions)
    assert (interest.weight, interest.active, interest.alerts) == (2.0, False, True)
    assert str(interest.ends_on) == "2027-03-20"


def test_an_end_can_be_taken_back(
    browser: Browser, sessions: Sessions, patron: Patron
) -> None:
    with sessions.begin() as session:
        interest = make_interest(session, patron, "Astronomy")
        interest.ends_on = date(2027, 3, 20)

    page = browser.open("/me/interests")
    assert page.find(f"//input[@id='ends-{interest.id}']/@value") == ["2027-03-20"]
    browser.press(page, "Store: Astronomy", ends_on="")

    assert [i.ends_on for i in stored(sessions)] == [None]


def test_an_end_stands_in_the_patrons_calendar_and_is_read_back_so(
    browser: Browser, sessions: Sessions, patron: Patron
) -> None:
    with sessions.begin() as session:
        make_interest(session, patron, "Astronomy").ends_on = date(2027, 3, 20)
        session.get_one(Patron, patron.id).calendar = "jalali"
        session.get_one(Patron, patron.id).digits = "persian"

    page = browser.open("/me/interests")
    assert page.find("//input[@name='ends_on']/@value") == ["۱۴۰۵/۱۲/۲۹"]
    browser.press(page, "Store: Astronomy")

    assert [str(i.ends_on) for i in stored(sessions)] == ["2027-03-20"]


@pytest.mark.parametrize(
    ("days", "says", "button"),
    [
        (-1, "Ended on", "Bring it back: Astronomy"),
        (7, "Ends on", "Let it go on: Astronomy"),
    ],
    ids=["ended", "ends in a week"],
)
def test_an_end_is_told_and_taken_back_by_one_press(
    browser: Browser,
    sessions: Sessions,
    patron: Patron,
    days: int,
    says: str,
    button: str,
) -> None:
    end = utc_now().date() + timedelta(days)
    with sessions.begin() as session:
        make_interest(session, patron, "Astronomy").ends_on = end

    page = browser.open("/me/interests")
    assert says in page.main
    page = browser.press(page, button)

    assert says not in page.main
    assert [i.ends_on for i in stored(sessions)] == [None]


def test_an_end_that_is_far_off_is_no_warning(
    browser: Browser, sessions: Sessions, patron: Patron
) -> None:
    with sessions.begin() as session:
        interest = make_interest(session, patron, "Astronomy")
        interest.ends_on = utc_now().date() + timedelta(days=9)

    page = browser.open("/me/interests")

    assert "Ends on" not in page.main
    # Enter in a field presses it.
    assert page.find(f"//form[@id='interest-{interest.id}']//button")[0].text == "Store"


def test_what_is_no_day_is_pointed_at_and_kept(
    browser: Browser, sessions: Sessions, patron: Patron
) -> None:
    with sessions.begin() as session:
        interest = make_interest(session, patron, "Astronomy")

    page = browser.press(
        browser.open("/me/interests"), "Store: Astronomy", ends_on="Nowruz"
    )

    assert page.status == 422
    assert page.find(f"//*[@role='alert']//a[@href='#ends-{interest.id}']")
    assert page.find(f"//input[@id='ends-{interest.id}']/@value") == ["Nowruz"]
    (why,) = page.find(f"//input[@id='ends-{interest.id}']/@aria-describedby")
    assert "In either calendar" in page.find(f"//*[@id='{why}']")[0].text_content()
    assert [i.ends_on for i in stored(sessions)] == [None]


def test_a_creator_can_be_followed(
    browser: Browser, sessions: Sessions, patron: Patron
) -> None:
    with sessions.begin() as session:
        make_interest(session, patron, "Ursula Le Guin", kind=InterestKind.CREATOR)

    page = browser.open("/me/interests")
    page = browser.press(page, "Store: Ursula Le Guin", follow="1")
    assert [i.follow for i in stored(sessions)] == [True]

    browser.press(page, "Store: Ursula Le Guin", follow="-")
    assert [i.follow for i in stored(sessions)] == [False]


def test_an_interest_has_a_rhythm_of_its_own_and_loses_it_again(
    browser: Browser, sessions: Sessions, patron: Patron
) -> None:
    with sessions.begin() as session:
        make_interest(session, patron, "Astronomy")

    page = browser.open("/me/interests")
    page = browser.press(page, "Store: Astronomy", rhythm="monthly")
    (interest,) = stored(sessions)
    assert interest.rhythm is Rhythm.MONTHLY
    assert interest.next_digest_at is not None
    assert "The next message is due on" in browser.open("/me/preferences").main

    browser.press(page, "Store: Astronomy", rhythm="")
    (interest,) = stored(sessions)
    assert (interest.rhythm, interest.next_digest_at) == (None, None)


def test_removes_an_interest(
    browser: Browser, sessions: Sessions, patron: Patron
) -> None:
    with sessions.begin() as session:
        make_interest(session, patron, "Astronomy")

    browser.press(browser.open("/me/interests"), "Remove: Astronomy")

    assert stored(sessions) == []


def test_anothers_interest_is_not_there(browser: Browser, sessions: Sessions) -> None:
    with sessions.begin() as session:
        theirs = make_interest(session, cy(session), "Secrets")
    page = browser.open("/me/interests")
    token = page.find("//main//input[@name='form']/@value")[0]

    refused = browser.post(f"/me/interests/{theirs.id}", {"form": token, "remove": "1"})

    assert refused.status == 404
    assert "Secrets" not in page.main
    assert len(stored(sessions)) == 1


def test_much_used_subjects_are_one_press_away(
    browser: Browser, sessions: Sessions
) -> None:
    with sessions.begin() as session:
        make_work(session, "Cosmos", subjects=["Astronomy"])

    browser.press(browser.open("/me/interests"), "+ Astronomy")

    assert [i.label for i in stored(sessions)] == ["Astronomy"]
