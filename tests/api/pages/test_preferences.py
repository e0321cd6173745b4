"""How a patron wants to be told, and in which language, calendar and digits."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import delete, select

from library.clock import utc_now
from library.db import Sessions
from library.i18n.jalali import format_date
from library.settings import Settings
from library.tables import Branch, Patron, Pause, Preference
from library.vocabulary import Channel, Rhythm
from profiles import branches, preferences
from tests.browsing import Browser, Page, signed_in
from tests.factories import ada, cy


@pytest.fixture
def patron(sessions: Sessions) -> Patron:
    with sessions.begin() as session:
        return ada(session)


@pytest.fixture
def browser(settings: Settings, sessions: Sessions, patron: Patron) -> Browser:
    return signed_in(settings, sessions, patron)


def choose(browser: Browser, **fields: str) -> Page:
    return browser.press(browser.open("/me/preferences"), "Store", **fields)


def preference(sessions: Sessions, patron: Patron) -> Preference:
    with sessions() as session:
        return session.get_one(Preference, patron.id)


def test_fields_of_a_row_end_on_one_line(browser: Browser) -> None:
    page = browser.open("/me/preferences")

    below = page.find("//div[@class='row']/div/*[self::input or self::select][last()]")
    assert len(below) > 5
    assert all(field.getnext() is None for field in below)


def test_stores_what_was_chosen(
    browser: Browser, sessions: Sessions, patron: Patron
) -> None:
    choose(
        browser,
        rhythm="monthly",
        weekday="6",
        hour="21",
        channel="page",
        at_least="۳",
        quiet_from="22:30",
        quiet_to="07:00",
        discreet="1",
    )

    row = preference(sessions, patron)
    assert (row.rhythm, row.weekday, row.hour) == (Rhythm.MONTHLY, 6, 21)
    assert (row.channel, row.at_least, row.discreet) == (Channel.PAGE, 3, True)
    assert (row.quiet_from, row.quiet_to) == (22 * 60 + 30, 7 * 60)


def test_storing_the_page_as_it_is_changes_nothing(
    browser: Browser, sessions: Sessions, patron: Patron
) -> None:
    choose(browser, rhythm="daily", quiet_from="22:00", quiet_to="07:00")
    before = vars(preference(sessions, patron)) | {"_sa_instance_state": None}

    choose(browser)

    after = vars(preference(sessions, patron)) | {"_sa_instance_state": None}
    assert after == before


@pytest.mark.parametrize(
    ("field", "typed"),
    [
        ("at_least", "0"),
        ("at_least", "many"),
        ("at_least", "²"),
        ("hour", "24"),
        ("quiet_from", "25:00"),
        ("quiet_from", "22:00"),
        ("rhythm", "hourly"),
        ("calendar", "maya"),
    ],
    ids=str,
)
def test_what_cannot_be_used_keeps_the_form_and_stores_nothing(
    browser: Browser, sessions: Sessions, patron: Patron, field: str, typed: str
) -> None:
    page = choose(browser, **{"discreet": "1", field: typed})

    assert page.status == 422
    assert page.find("//*[@role='alert']")
    assert page.find("//input[@name='discreet'][@checked]")
    assert not preference(sessions, patron).discreet


def test_why_a_value_was_refused_stands_beside_it_in_the_patrons_language(
    browser: Browser, sessions: Sessions, patron: Patron
) -> None:
    choose(browser, language="fa_IR")
    page = browser.open("/me/preferences")
    button = page.find("//main//form//button[@class='main']")[0].text_content()

    page = browser.press(page, button.strip(), at_least="many")
    (field,) = page.find("//input[@id='at_least'][@aria-invalid]")
    said = [page.find(f"//*[@id='{i}']") for i in field.get("aria-describedby").split()]
    unnamed = browser.press(page, button.strip(), at_least="1", calendar="maya")

    assert field.get("value") == "many"
    assert said[0][0].text_content() == "یک عدد صحیح از ۱ تا ۱۰۰."
    assert all(said)
    assert "not one of the choices" not in unnamed.main


def test_a_weeks_first_day_is_the_readers(
    settings: Settings, sessions: Sessions, browser: Browser
) -> None:
    with sessions.begin() as session:
        reads_persian = cy(session)
    persian = signed_in(settings, sessions, reads_persian)

    def days(reader: Browser) -> list[str]:
        page = reader.open("/me/preferences")
        return [o.text_content() for o in page.find("//select[@id='weekday']/option")]

    assert days(browser)[0] == "Monday"
    assert days(persian)[0] == "شنبه"


@pytest.mark.parametrize(
    ("zone", "own", "marked"),
    [
        ("Asia/Tehran", None, ["Friday (weekend)"]),
        ("Asia/Tehran", "thu,fri", ["Thursday (weekend)", "Friday (weekend)"]),
        ("UTC", None, []),
    ],
    ids=["custom", "the branch's own", "no place"],
)
def test_the_weekend_is_marked(
    browser: Browser, sessions: Sessions, zone: str, own: str | None, marked: list[str]
) -> None:
    with sessions.begin() as session:
        branches.change(session, "main", at=utc_now(), zone=zone, weekend=own)

    page = browser.open("/me/preferences")

    days = [o.text_content() for o in page.find("//select[@id='weekday']/option")]
    assert [day for day in days if "weekend" in day] == marked


def test_language_calendar_and_digits_are_three_choices(
    browser: Browser, sessions: Sessions, patron: Patron
) -> None:
    page = choose(browser, language="fa_IR", calendar="gregorian", digits="latin")

    assert page.tree.get("dir") == "rtl"
    assert "انتخاب‌های شما ذخیره شد." in page.main
    assert "08:00" in page.main
    with sessions() as session:
        row = session.get_one(Patron, patron.id)
        assert (row.language, row.calendar, row.digits) == (
            "fa_IR",
            "gregorian",
            "latin",
        )


def test_a_pause_has_an_end_and_can_be_ended(browser: Browser) -> None:
    page = browser.press(browser.open("/me/preferences"), "30 days")
    assert "Messages pause until" in page.main

    page = browser.press(page, "Go on now")
    assert "Messages pause until" not in page.main


def test_a_pause_lasts_until_a_day_begins_where_the_patron_is(
    browser: Browser, sessions: Sessions, patron: Patron
) -> None:
    choose(browser, zone="Asia/Tehran")
    day = utc_now().date() + timedelta(days=60)

    page = browser.press(
        browser.open("/me/preferences"),
        "Pause until then",
        until=format_date(day, "fa_IR", "jalali", length="short"),
    )

    assert "Messages pause until" in page.main
    with sessions() as session:
        (until,) = session.scalars(select(Pause.until)).all()
    assert until == datetime.combine(day, time(), ZoneInfo("Asia/Tehran"))


@pytest.mark.parametrize("typed", ["2020-01-01", "1404/01/01", "2999-01-01", "soon"])
def test_a_pause_needs_a_day_to_come(
    browser: Browser, sessions: Sessions, typed: str
) -> None:
    page = browser.press(
        browser.open("/me/preferences"), "Pause until then", until=typed
    )

    assert page.status == 422
    assert page.find("//*[@role='alert']//a[@href='#until']")
    assert page.find("//input[@id='until']/@value") == [typed]
    with sessions() as session:
        assert session.scalars(select(Pause)).all() == []


def test_the_time_zone_is_the_patrons_choice(
    browser: Browser, sessions: Sessions, patron: Patron
) -> None:
    page = browser.open("/me/preferences")
    named = page.find("//select[@id='zone']/option[@value='Asia/Tehran']/text()")
    assert named == ["Iran Time"]

    page = choose(browser, zone="Asia/Tehran")

    assert "Times are those of Iran Time." in page.main
    with sessions() as session:
        assert session.get_one(Preference, patron.id).zone == "Asia/Tehran"
    assert choose(browser, zone="Asia/Atlantis").status == 422


def test_a_zone_that_is_no_place_is_kept(
    browser: Browser, sessions: Sessions, patron: Patron
) -> None:
    with sessions.begin() as session:
        preferences.change(session, patron.id, at=utc_now(), zone="Etc/GMT+3")

    choose(browser)

    with sessions() as session:
        assert session.get_one(Preference, patron.id).zone == "Etc/GMT+3"


def test_switching_the_language_keeps_page_and_query_and_is_stored(
    browser: Browser, sessions: Sessions, patron: Patron
) -> None:
    page = browser.open("/me/preferences?from=mail")
    token = page.find("//input[@name='form']/@value")[0]
    back = page.find("//form[@action='/language']/input[@name='next']/@value")[0]

    response = browser.client.post(
        "/language", data={"form": token, "language": "fa_IR", "next": back}
    )

    assert response.location == "/me/preferences?from=mail"
    assert browser.open(response.location).tree.get("lang") == "fa"
    with sessions() as session:
        assert session.get_one(Patron, patron.id).language == "fa_IR"


def test_the_next_message_is_told_in_the_patrons_own_zone(
    settings: Settings, sessions: Sessions
) -> None:
    with sessions.begin() as session:
        reader = cy(session)
        row = session.get_one(Preference, reader.id)
        row.zone = "Asia/Tehran"
        row.next_digest_at = datetime(2026, 11, 28, 4, 30, tzinfo=UTC)

    page = signed_in(settings, sessions, reader).open("/me/preferences")

    assert "۷ آذر ۱۴۰۵، ۰۸:۰۰" in page.text


def test_the_hours_of_who_chose_no_zone_are_the_branchs(
    browser: Browser, sessions: Sessions, patron: Patron
) -> None:
    with sessions.begin() as session:
        session.execute(delete(Preference))
        session.scalars(select(Branch)).one().zone = "Asia/Tehran"
        pause = Pause(
            patron_id=patron.id,
            scope=preferences.EVERYTHING,
            until=datetime(2999, 1, 1, 22, tzinfo=UTC),
        )
        session.add(pause)

    assert "pause until January 2, 2999" in browser.open("/me/preferences").main
