"""Time zones by the names their readers know: «وقت ایران», "Germany (Berlin) Time".

And what is the custom where they are: which days of the week are off.
"""

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Final
from zoneinfo import available_timezones

from babel.core import Locale, UnknownLocaleError, get_global
from babel.dates import get_timezone_location

from library.text import sort_key

_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_NO_COUNTRY: Final = frozenset({None, "ZZ", "001"})
_AREAS: Final = (
    *("Africa/", "America/", "Antarctica/", "Asia/", "Atlantic/", "Australia/"),
    *("Europe/", "Indian/", "Pacific/"),
)


def zone_name(zone: str, locale: str) -> str:
    """Return what a zone is called in a language."""
    if zone == "UTC":
        return zone
    name = get_timezone_location(zone, locale=locale)
    city = get_timezone_location(zone, locale=locale, return_city=True)
    own = _city(zone, locale) or city.rpartition("/")[2]
    return name.replace(f"({city})", f"({own})")


def _city(zone: str, locale: str) -> str:
    """Return a zone's city, which the CLDR knows by the zone's first name of all."""
    aliases = get_global("zone_aliases")
    newest = aliases.get(zone, zone)
    names = [newest, *(old for old, new in aliases.items() if new == newest)]
    known = Locale.parse(locale).time_zones
    cities = (known[name].get("city") for name in names if name in known)
    return next(filter(None, cities), "")


@lru_cache(maxsize=8)
def zone_names(locale: str) -> Mapping[str, str]:
    """Return the zones of all places with what they are called, in the order of that.

    Of several under one name, as a city that was renamed has, the first stands for all.
    """
    places = sorted(one for one in available_timezones() if one.startswith(_AREAS))
    first: dict[str, str] = {}
    for zone in ("UTC", *places):
        first.setdefault(zone_name(zone, locale), zone)
    ordered = sorted(first, key=sort_key)
    return MappingProxyType({first[name]: name for name in ordered})


def weekend(zone: str, own: str | None = None) -> frozenset[int]:
    """Return the days off, Monday 0: Friday alone in Asia/Tehran.

    Args:
        zone: By the custom of its country; of one of none, as UTC, nothing is known.
        own: The days a branch names instead, as "thu,fri".

    Raises:
        ValueError: One of them is no day.
    """
    if own is not None:
        return frozenset(_DAYS.index(day.strip().lower()) for day in own.split(","))
    country = get_global("zone_territories").get(zone)
    if country in _NO_COUNTRY:
        return frozenset()
    try:
        place = Locale.parse(f"und_{country}")
    except UnknownLocaleError:
        return frozenset()
    first, last = place.weekend_start, place.weekend_end
    return frozenset((first + n) % 7 for n in range((last - first) % 7 + 1))
