import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from library.i18n.jalali import (
    PublicationYear,
    format_date,
    format_year,
    from_jalali,
    month_name,
    next_month_start,
    parse_date,
    parse_year,
    to_jalali,
    week_start,
)

CASES: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "data" / "persian_cases.json").read_text("utf-8")
)
TEHRAN = ZoneInfo("Asia/Tehran")
NOWRUZ_EVE = date(2025, 3, 20)
days = st.dates(date(1821, 3, 21), date(2121, 12, 31))


@pytest.mark.parametrize(("jalali", "gregorian"), CASES["jalali"])
def test_days_of_the_case_file(jalali: str, gregorian: str | None) -> None:
    year, month, day = map(int, jalali.split("-"))
    if gregorian is None:
        with pytest.raises(ValueError, match="day must be"):
            from_jalali(year, month, day)
        with pytest.raises(ValueError, match="day must be"):
            parse_date(jalali)
    else:
        known = date.fromisoformat(gregorian)
        assert from_jalali(year, month, day) == known
        assert to_jalali(known) == (year, month, day)
        assert parse_date(jalali) == known


@pytest.mark.parametrize("year", [1399, 1403, 1408])
def test_leap_years_have_a_30th_of_esfand(year: int) -> None:
    assert to_jalali(from_jalali(year, 12, 30)) == (year, 12, 30)
    assert next_month_start(from_jalali(year, 12, 30)) == from_jalali(year + 1, 1, 1)


@given(days)
def test_a_day_goes_both_ways(day: date) -> None:
    assert from_jalali(*to_jalali(day)) == day


@given(days)
def test_a_month_begins_on_its_first_day_and_after_this_one(day: date) -> None:
    start = next_month_start(day)

    assert to_jalali(start).day == 1
    assert 1 <= (start - day).days <= 31


@given(
    # From 1500 on a bare year can no longer be told from a Gregorian one.
    days.filter(lambda day: to_jalali(day).year < 1500),
    st.sampled_from(["en", "fa_IR"]),
    st.sampled_from([None, "persian"]),
)
def test_what_we_show_we_can_read(day: date, locale: str, digits: str | None) -> None:
    short = format_date(day, locale, "gregorian", length="short", digits=digits)
    jalali = [
        format_date(day, locale, "jalali", length=length, digits=digits)
        for length in ("long", "short")
    ]

    assert {parse_date(short), *map(parse_date, jalali)} == {day}


@pytest.mark.parametrize(
    ("locale", "calendar", "length", "shown"),
    [
        ("fa_IR", "jalali", "long", "۳۰ اسفند ۱۴۰۳"),
        ("fa_IR", "jalali", "short", "۱۴۰۳/۱۲/۳۰"),
        ("fa_IR", "jalali", "full", "پنجشنبه ۳۰ اسفند ۱۴۰۳"),
        ("fa_IR", "gregorian", "long", "۲۰ مارس ۲۰۲۵"),
        ("fa_IR", "gregorian", "short", "۲۰۲۵/۰۳/۲۰"),
        ("en", "jalali", "long", "30 Esfand 1403"),
        ("en", "jalali", "full", "Thursday, 30 Esfand 1403"),
        ("en", "gregorian", "long", "March 20, 2025"),
        ("en", "gregorian", "short", "2025-03-20"),
    ],
)
def test_format_date(locale: str, calendar: str, length: Any, shown: str) -> None:
    assert format_date(NOWRUZ_EVE, locale, calendar, length=length) == shown


def test_digits_are_a_choice_of_their_own() -> None:
    assert format_date(NOWRUZ_EVE, "fa_IR", "jalali", digits="latin") == "30 اسفند 1403"


def test_the_zone_decides_the_day_and_tehran_has_no_summer_time() -> None:
    before = datetime(2026, 7, 1, 20, 29, tzinfo=UTC)
    after = datetime(2026, 7, 1, 20, 30, tzinfo=UTC)

    told = [format_date(at, "en", "jalali", TEHRAN) for at in (before, after)]

    assert told == ["10 Tir 1405", "11 Tir 1405"]


@pytest.mark.parametrize(
    "moment", [datetime(2026, 7, 1), datetime(2026, 7, 1, tzinfo=UTC)]
)
def test_a_moment_without_a_readers_zone_has_no_day(moment: datetime) -> None:
    zone = TEHRAN if moment.tzinfo is None else None

    with pytest.raises(ValueError, match="zone"):
        format_date(moment, "en", zone=zone)


@pytest.mark.parametrize(
    ("typed", "day"),
    [
        pytest.param("1404/06/31", date(2025, 9, 22), id="Jalali"),
        pytest.param("۱۴۰۴/۶/۳۱", date(2025, 9, 22), id="Persian digits"),
        pytest.param("١٤٠٤.٠٦.٣١", date(2025, 9, 22), id="Arabic digits, dots"),
        pytest.param("31-06-1404", date(2025, 9, 22), id="year last"),
        pytest.param("2025-09-22", date(2025, 9, 22), id="ISO"),
        pytest.param("2025-09-22T23:59:59Z", date(2025, 9, 22), id="ISO with time"),
        pytest.param("1404/06/31 10:20", date(2025, 9, 22), id="Jalali with time"),
        pytest.param("۳۰ اسفند ۱۴۰۳", NOWRUZ_EVE, id="month by name"),
        pytest.param("30 Esfand 1403", NOWRUZ_EVE, id="month in Latin letters"),
    ],
)
def test_parse_date(typed: str, day: date) -> None:
    assert parse_date(typed) == day


def test_an_early_gregorian_day_can_be_asked_for() -> None:
    assert parse_date("1455-02-23", prefer="gregorian") == date(1455, 2, 23)


@pytest.mark.parametrize(
    "typed",
    ["", "soon", "1404-13-01", "2025-02-30", "25/03/04", "0000-01-01", "2025-09/22"],
)
def test_what_is_no_day_is_refused(typed: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_date(typed)


@given(st.text())
def test_junk_is_refused_and_nothing_worse(text: str) -> None:
    try:
        assert isinstance(parse_date(text), date)
    except ValueError:
        assert parse_year(text, "fa").raw == text


@pytest.mark.parametrize(
    ("raw", "language", "calendar", "span"),
    [
        pytest.param("1389", "fa", "jalali", (2010, 2011), id="Persian record"),
        pytest.param("[۱۳۸۹]", "per", "jalali", (2010, 2011), id="brackets"),
        pytest.param("1389-1391", "fa", "jalali", (2010, 2013), id="span"),
        pytest.param("1389م.", "fa", "gregorian", (1389, 1389), id="marked Gregorian"),
        pytest.param("۱۴۱۰ هـ.ق", "fa", "lunar", (None, None), id="marked lunar"),
        pytest.param("1410 قمری", "fa", "lunar", (None, None), id="lunar in full"),
        pytest.param("1389 ش", "en", "jalali", (2010, 2011), id="marked Jalali"),
        pytest.param("1489", "lat", "gregorian", (1489, 1489), id="incunable"),
        pytest.param("c2003", "eng", "gregorian", (2003, 2003), id="copyright"),
        pytest.param("2003-2005", None, "gregorian", (2003, 2005), id="years"),
        pytest.param("2010", "fa", "gregorian", (2010, 2010), id="Persian, modern"),
        pytest.param("9999", "en", None, (None, None), id="not known"),
        pytest.param("19--", "en", None, (None, None), id="century"),
        pytest.param("", "fa", None, (None, None), id="empty"),
    ],
)
def test_parse_year(
    raw: str,
    language: str | None,
    calendar: str | None,
    span: tuple[int | None, int | None],
) -> None:
    assert parse_year(raw, language) == PublicationYear(raw, calendar, *span)


@pytest.mark.parametrize(
    ("raw", "locale", "shown"),
    [
        ("1389", "fa_IR", "۱۳۸۹ (۲۰۱۰–۱۱)"),
        ("1389", "en", "1389 (2010–11)"),
        ("1378", "en", "1378 (1999–2000)"),
        ("2003", "fa_IR", "۲۰۰۳"),
        ("1410 ق", "fa_IR", "۱۴۱۰ ق"),
    ],
)
def test_format_year(raw: str, locale: str, shown: str) -> None:
    assert format_year(parse_year(raw, "fa"), locale) == shown


def test_a_persian_week_begins_on_saturday() -> None:
    saturday = date(2026, 11, 21)

    assert {week_start(date(2026, 11, n), "fa_IR") for n in range(21, 28)} == {saturday}
    assert week_start(saturday, "en") == date(2026, 11, 16)


def test_months_have_names_in_both_scripts() -> None:
    assert (month_name(1, "fa_IR"), month_name(12, "en")) == ("فروردین", "Esfand")
