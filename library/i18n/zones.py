"""Time zones by the names their readers know: «وقت ایران», "Germany (Berlin) Time"."""

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Final
from zoneinfo import available_timezones

from babel.dates import get_timezone_location

from library.text import sort_key

_AREAS: Final = (
    *("Africa/", "America/", "Antarctica/", "Asia/", "Atlantic/", "Australia/"),
    *("Europe/", "Indian/", "Pacific/"),
)


def zone_name(zone: str, locale: str) -> str:
    """Return what a zone is called in a language."""
    return zone if zone == "UTC" else get_timezone_location(zone, locale=locale)


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
