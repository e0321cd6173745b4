"""What a setting's value has to look like, so that a wrong one is named at the start.

Else it is met at night: mail that goes nowhere, links that lead to nothing.
"""

from collections.abc import Callable, Iterable
from difflib import get_close_matches
from typing import Any, Final
from urllib.parse import urlsplit
from zoneinfo import available_timezones

from library.addresses import is_email
from library.i18n.messages import locales

_LIKE: Final = 0.6
"""From here on two names are likely one and its slip."""


def fault_of(name: str, value: object) -> str | None:
    """Return what is wanted of a setting where `value` cannot be it; else None."""
    if name not in _WANTED:
        return None
    fits, wanted = _WANTED[name]
    return None if fits(value) else wanted


def slips(given: Iterable[str], known: Iterable[str]) -> dict[str, str]:
    """Return the names that are none of ours but nearly, each with the one meant."""
    names = list(known)
    near = {
        name: get_close_matches(name, names, n=1, cutoff=_LIKE)
        for name in given
        if name not in names
    }
    return {name: found[0] for name, found in sorted(near.items()) if found}


def _is_address(*schemes: str) -> Callable[[str], bool]:
    def fits(value: str) -> bool:
        try:
            parts = urlsplit(value)
            return parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
        except ValueError:  # of the port, or of brackets
            return False

    return fits


def _from(least: float) -> Callable[[float], bool]:
    return lambda value: value >= least


def _or_empty(fits: Callable[[str], bool]) -> Callable[[str], bool]:
    return lambda value: not value or fits(value)


_WEB = _is_address("http", "https")
_WANTED: Final[dict[str, tuple[Callable[[Any], bool], str]]] = {
    "database_url": (
        _or_empty(lambda url: url.startswith(("postgres", "sqlite:"))),
        "postgresql://user:password@host/name",
    ),
    "broker_url": (
        _or_empty(lambda url: "://" in url),
        "amqp://user:password@host or redis://host",
    ),
    "smtp_url": (
        _or_empty(_is_address("smtp", "smtps")),
        "smtp://user:password@host:587?starttls=1 or smtps://…",
    ),
    "base_url": (_WEB, "https://host, as patrons' browsers reach it"),
    "contact": (is_email, "an e-mail address"),
    "bounce_address": (_or_empty(is_email), "an e-mail address"),
    "bounce_mailbox": (
        _or_empty(lambda at: "://" not in at or _is_address("imap", "imaps")(at)),
        "imaps://user:password@host/FOLDER, or a folder",
    ),
    "domain_rate": (_from(0), "0 or more"),
    "hourly_rate": (_from(0), "0 or more"),
    "daily_brake": (_from(0), "0 or more"),
    "language": (lambda tag: tag in locales(), "one of " + ", ".join(locales())),
    "zone": (lambda zone: zone in available_timezones(), "a zone, as Asia/Tehran"),
    "warn_webhook": (_or_empty(_WEB), "https://host/path"),
    "app_url": (_or_empty(_WEB), "https://host/path"),
    "allowance": (_from(0), "0 or more"),
    "message_cap": (_from(0), "0 or more"),
    "digest_limit": (_from(1), "1 or more"),
}
