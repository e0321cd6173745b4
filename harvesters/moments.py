"""Days and moments of library systems, in their branch's time zone, to UTC."""

import re
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from library.i18n.jalali import parse_date
from library.text import fold

_TIME = re.compile(r"[T\s](\d{1,2}):(\d{2})(?::(\d{2}))?")
_ISO = re.compile(r"\d{4}-\d\d-\d\d")
_EARLIEST = date(1800, 1, 1)
_NOON = time(12)


def moment_of(text: str, zone: ZoneInfo, *, at: datetime) -> datetime | None:
    """Return the moment a cell names; a day alone counts as its noon.

    Noon, so that the day is the same one in UTC; a loan of today is not in the future.

    Args:
        text: A day in either calendar, perhaps with a time; blank is None.
        zone: Whose wall clock it is.
        at: Now.

    Raises:
        ValueError: It is no day, or an impossible one; the words say why.
    """
    if not text:
        return None
    moment = _moment(text, zone)
    if moment <= at:
        return moment
    if moment.astimezone(zone).date() <= at.astimezone(zone).date() + timedelta(days=1):
        return at
    raise ValueError(f"{text} is in the future")


def day_of(text: str) -> date | None:
    """Return the day a cell names; blank is None.

    Raises:
        ValueError: It is no day.
    """
    return _day(text) if text else None


@lru_cache(maxsize=100_000)
def _moment(text: str, zone: ZoneInfo) -> datetime:
    day = _day(text)
    if day < _EARLIEST:
        raise ValueError(f"{text} is before {_EARLIEST.year}")
    found = _TIME.search(fold(text).upper())
    if found is None:
        return datetime.combine(day, _NOON, zone).astimezone(UTC)
    hour, minute, second = (int(part or 0) for part in found.groups())
    return datetime.combine(day, time(hour, minute, second), zone).astimezone(UTC)


@lru_cache(maxsize=100_000)
def _day(text: str) -> date:
    if _ISO.fullmatch(text) and not text.startswith(("12", "13", "14")):
        return date.fromisoformat(text)
    return parse_date(text)
