"""Dates and years in both calendars: the one door to persiantools.

Stored dates are Gregorian and stored moments UTC; Jalali is for reading and writing.
"""

import re
from datetime import date, datetime, timedelta
from typing import Final, Literal, NamedTuple
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import format_date as babel_format_date
from persiantools.jdatetime import JalaliDate

from library.i18n.numbers import digits as in_digits
from library.text import fold

JALALI: Final = "jalali"
GREGORIAN: Final = "gregorian"
LUNAR: Final = "lunar"

Length = Literal["full", "long", "short"]

PERSIAN_MONTHS = (
    *("فروردین", "اردیبهشت", "خرداد", "تیر", "مرداد", "شهریور"),
    *("مهر", "آبان", "آذر", "دی", "بهمن", "اسفند"),
)
LATIN_MONTHS = (
    *("Farvardin", "Ordibehesht", "Khordad", "Tir", "Mordad", "Shahrivar"),
    *("Mehr", "Aban", "Azar", "Dey", "Bahman", "Esfand"),
)
_MONTH_NUMBERS = {
    fold(name): number
    for names in (PERSIAN_MONTHS, LATIN_MONTHS)
    for number, name in enumerate(names, 1)
}


class JalaliDay(NamedTuple):
    """A day of the Jalali calendar."""

    year: int
    month: int
    day: int


def to_jalali(day: date) -> JalaliDay:
    """Return the Jalali day of a Gregorian one, from the year 622 on."""
    found = JalaliDate(day)
    return JalaliDay(found.year, found.month, found.day)


def from_jalali(year: int, month: int, day: int) -> date:
    """Return the Gregorian day of a Jalali one.

    Raises:
        ValueError: There is no such day, as 1404-12-30.
    """
    found: date = JalaliDate(year, month, day).to_gregorian()
    return found


def month_name(month: int, locale: str) -> str:
    """Return the name of a Jalali month (1 to 12): «فروردین» or "Farvardin"."""
    names = PERSIAN_MONTHS if Locale.parse(locale).language == "fa" else LATIN_MONTHS
    return names[month - 1]


def next_month_start(day: date) -> date:
    """Return the first day of the Jalali month after the one `day` is in."""
    year, month, _ = to_jalali(day)
    return from_jalali(year + month // 12, month % 12 + 1, 1)


def week_start(day: date, locale: str) -> date:
    """Return the first day of the week `day` is in: a Saturday in fa_IR."""
    return day - timedelta((day.weekday() - Locale.parse(locale).first_week_day) % 7)


def format_date(
    value: date,
    locale: str,
    calendar: str = GREGORIAN,
    zone: ZoneInfo | None = None,
    *,
    length: Length = "long",
    digits: str | None = None,
) -> str:
    """Return a day as its reader expects it, «۳۰ اسفند ۱۴۰۳» or "30 Esfand 1403".

    Args:
        value: A day, or an aware moment.
        locale: Language of the names.
        calendar: "jalali" or "gregorian", as the patron chose.
        zone: Where the reader is; needed for a moment, as it decides the day.
        length: "full" names the weekday, "short" is all numbers, year first.
        digits: "persian" or "latin"; the locale's if None.

    Raises:
        ValueError: A moment without a zone, its own or the reader's.
    """
    day = _local_day(value, zone) if isinstance(value, datetime) else value
    if length == "short":
        text = _short(day, locale, calendar)
    elif calendar == JALALI:
        text = _long_jalali(day, locale, full=length == "full")
    else:
        text = babel_format_date(day, length, locale)
    return in_digits(text, locale, digits)


def _local_day(moment: datetime, zone: ZoneInfo | None) -> date:
    if moment.tzinfo is None or zone is None:
        raise ValueError("a moment is on a day only in a zone")
    return moment.astimezone(zone).date()


def _short(day: date, locale: str, calendar: str) -> str:
    if calendar == JALALI:
        return "{:04}/{:02}/{:02}".format(*to_jalali(day))
    slashes = Locale.parse(locale).language == "fa"
    return day.isoformat().replace("-", "/") if slashes else day.isoformat()


def _long_jalali(day: date, locale: str, *, full: bool) -> str:
    year, month, number = to_jalali(day)
    text = f"{number} {month_name(month, locale)} {year}"
    if not full:
        return text
    weekday = babel_format_date(day, "EEEE", locale)
    return f"{weekday} {text}" if locale == "fa_IR" else f"{weekday}, {text}"


_NUMBERS = re.compile(r"(\d{1,4})([-/.])(\d{1,2})\2(\d{1,4})(?:[t ]\d\d?:.*)?")
_WORDS = re.compile(r"(\d{1,2}) ([^\W\d]+(?: [^\W\d]+)?),? (\d{4})")


def parse_date(text: str, prefer: str | None = None) -> date:
    """Read a day in either calendar and any digits.

    ISO, or Jalali if the year is 1200 to 1499; the separator is `-`, `/` or `.`; the
    year may also stand last, and a Jalali month may be a name. A time after it is
    passed over.

    Args:
        text: What was typed or imported.
        prefer: "gregorian" where such a year is known not to be Jalali.

    Raises:
        ValueError: It is no day, or there is no such day.
    """
    plain = fold(text).replace("\u2212", "-")
    named = _WORDS.fullmatch(plain)
    if named and named[2] in _MONTH_NUMBERS:
        return from_jalali(int(named[3]), _MONTH_NUMBERS[named[2]], int(named[1]))
    found = _NUMBERS.fullmatch(plain)
    if found is None:
        raise ValueError(f"not a date: {text!r}")
    first, month, last = found[1], int(found[3]), found[4]
    if len(last) == 4 and len(first) <= 2:
        first, last = last, first
    if len(first) != 4:
        raise ValueError(f"no year of four digits: {text!r}")
    jalali = _is_jalali(int(first)) and prefer != GREGORIAN
    return (from_jalali if jalali else date)(int(first), month, int(last))


def _is_jalali(year: int) -> bool:
    return 1200 <= year <= 1499


_YEAR = re.compile(
    r"(?<!\d)(\d{4})(?:\s*[-\u2013/]\s*(\d{4}))?(?!\d)"
    r"\s*(?:(?:ه\s?\.?\s?)?(ق|م|ش)(?!\w)|(میلادی|قمری|شمسی|خورشیدی))?"
)
_CALENDARS = {"م": GREGORIAN, "ق": LUNAR, "ش": JALALI, "خ": JALALI}
_PERSIAN = frozenset({"fa", "per", "fas", "prs"})
_JALALI_OFFSET = 621
# Outside of these a catalogue means "not known", as 9999.
_FIRST_YEAR, _LAST_YEAR = 1000, 2199


class PublicationYear(NamedTuple):
    """When a bib record says its edition appeared; None where it does not say."""

    raw: str
    calendar: str | None
    greg_from: int | None
    greg_to: int | None


def parse_year(raw: str, language: str | None) -> PublicationYear:
    """Read a year of publication.

    In a Persian record 1200 to 1499 is Jalali unless marked م (Gregorian) or ق (lunar:
    kept as it is, with no Gregorian year). A span runs from its first year to its last.

    Args:
        raw: As the source gave it ("c2003", «[۱۳۸۹]», "1389-1391", "1410ق.").
        language: Language code of the record.
    """
    found = _YEAR.search(fold(raw))
    if found is None or not _FIRST_YEAR <= int(found[1]) <= _LAST_YEAR:
        return PublicationYear(raw, None, None, None)
    first, last = int(found[1]), int(found[2] or found[1])
    calendar = _calendar(found[3] or found[4], first, language)
    if calendar == LUNAR:
        return PublicationYear(raw, LUNAR, None, None)
    if calendar == JALALI:
        first, last = first + _JALALI_OFFSET, last + _JALALI_OFFSET + 1
    return PublicationYear(raw, calendar, first, max(first, last))


def _calendar(mark: str | None, year: int, language: str | None) -> str:
    if mark:
        return _CALENDARS[mark[0]]
    persian = re.split("[-_]", (language or "").lower())[0] in _PERSIAN
    return JALALI if persian and _is_jalali(year) else GREGORIAN


def format_year(year: PublicationYear, locale: str, digits: str | None = None) -> str:
    """Return a year as shown beside a title: «۱۳۸۹ (۲۰۱۰–۱۱)», "2003".

    What could not be read is shown as the source gave it.
    """
    start, end = year.greg_from, year.greg_to
    if start is None or end is None:
        return in_digits(year.raw, locale, digits)
    text = _span(start, end)
    if year.calendar == JALALI:
        own = _span(start - _JALALI_OFFSET, end - _JALALI_OFFSET - 1)
        text = f"{own} ({text})"
    return in_digits(text, locale, digits)


def _span(start: int, end: int) -> str:
    if start == end:
        return str(start)
    same_century = start // 100 == end // 100
    return f"{start}\u2013{end % 100:02}" if same_century else f"{start}\u2013{end}"
