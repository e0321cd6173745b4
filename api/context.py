"""What a request knows: the database, who calls, and how this reader is spoken to."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Final, cast
from zoneinfo import ZoneInfo

from flask import current_app, g, request
from werkzeug.wrappers import Response

from api.auth.principal import PatronCaller, StaffCaller, patron_of, staff_of
from library.clock import utc_now
from library.db import Sessions, reading
from library.errors import ServiceError
from library.i18n import jalali, messages, numbers
from library.runtime import Runtime
from library.settings import Settings

LANGUAGE_COOKIE: Final = "hamkhan-language"
THEME_COOKIE: Final = "hamkhan-theme"
PATRON_COOKIE: Final = "hamkhan"
STAFF_COOKIE: Final = "hamkhan-staff"


class SignInNeeded(ServiceError):
    """The page is for somebody who is signed in."""


@dataclass(frozen=True)
class Reader:
    """How a page speaks to who reads it: language, calendar, digits, time zone."""

    locale: str
    calendar: str | None = None
    digits: str | None = None
    zone: str = "UTC"

    @property
    def direction(self) -> str:
        """Which way the page runs: "rtl" or "ltr"."""
        return messages.direction(self.locale)

    @property
    def lang(self) -> str:
        """The `lang` of the page."""
        return messages.html_lang(self.locale)

    def say(self, message: str, **values: object) -> str:
        """Return a message in this reader's language."""
        return messages.gettext(self.locale, message, **values)

    def num(self, value: float) -> str:
        """Return a number in this reader's digits."""
        return numbers.num(value, self.locale, self.digits)

    def percent(self, share: float) -> str:
        """Return a share of one as a percentage in this reader's digits."""
        return numbers.percent(share, self.locale, self.digits, decimals=1)

    def in_digits(self, text: str) -> str:
        """Return a text with its digits as this reader likes them."""
        return numbers.digits(text, self.locale, self.digits)

    def day(self, value: date, length: jalali.Length = "long") -> str:
        """Return a day, or the day of a moment, in this reader's calendar."""
        usual = jalali.JALALI if self.locale == messages.PERSIAN else jalali.GREGORIAN
        return jalali.format_date(
            value,
            self.locale,
            self.calendar or usual,
            ZoneInfo(self.zone),
            length=length,
            digits=self.digits,
        )

    def moment(self, value: datetime) -> str:
        """Return the day and the time of day of a moment."""
        local = value.astimezone(ZoneInfo(self.zone))
        comma = "،" if self.locale == messages.PERSIAN else ","
        return f"{self.day(value)}{comma} {self.in_digits(f'{local:%H:%M}')}"

    def year(self, raw: str, language: str | None) -> str:
        """Return a year of publication, in both calendars where it is Jalali."""
        found = jalali.parse_year(raw, language)
        return jalali.format_year(found, self.locale, self.digits)


def here() -> Runtime:
    """Return the settings and sessions the application was made with."""
    return cast(Runtime, current_app.extensions["hamkhan"])


def sessions() -> Sessions:
    """Return the application's sessions."""
    return here().sessions


def settings() -> Settings:
    """Return the application's settings."""
    return here().settings


def me() -> PatronCaller:
    """Return the patron who is signed in.

    Raises:
        SignInNeeded: Nobody is.
    """
    if (caller := patron_here()) is None:
        raise SignInNeeded("sign in first")
    return caller


def librarian() -> StaffCaller:
    """Return the librarian who is signed in.

    Raises:
        SignInNeeded: Nobody is.
    """
    if (caller := staff_here()) is None:
        raise SignInNeeded("sign in first")
    return caller


def patron_here() -> PatronCaller | None:
    """Return the patron who is signed in, if any; asked of the database once."""
    if "patron" not in g:
        token = request.cookies.get(cookie_name(PATRON_COOKIE))
        with reading(sessions()) as session:
            g.patron = token and patron_of(session, token, at=utc_now())
    return cast(PatronCaller | None, g.patron or None)


def staff_here() -> StaffCaller | None:
    """Return the librarian who is signed in, if any; asked of the database once."""
    if "staff" not in g:
        token = request.cookies.get(cookie_name(STAFF_COOKIE))
        with reading(sessions()) as session:
            g.staff = token and staff_of(session, token, at=utc_now())
    return cast(StaffCaller | None, g.staff or None)


def in_console() -> bool:
    """Tell whether this is a librarian's page."""
    return request.path == "/console" or request.path.startswith("/console/")


def reader() -> Reader:
    """Return how to speak to who reads this page.

    What they chose when signed in counts first, then what this browser chose, then
    what it asks for, then the library's own language.
    """
    if "reader" not in g:
        g.reader = _reader()
    return cast(Reader, g.reader)


def speak_to(language: str) -> None:
    """Use a patron's language on a page that knows them by a link alone."""
    if patron_here() is None and chosen_language() is None:
        zone = settings().zone
        g.reader = Reader(messages.nearest_locale(language), zone=zone)


def say(message: str, **values: object) -> str:
    """Return a message in the reader's language."""
    return reader().say(message, **values)


def chosen_language() -> str | None:
    """Return the language this browser chose before, if there are texts for it."""
    chosen = request.cookies.get(cookie_name(LANGUAGE_COOKIE))
    return chosen if chosen in messages.locales() else None


def cookie_name(name: str) -> str:
    """Return a cookie's name; over https only this host can have set it."""
    return f"__Host-{name}" if over_https() else name


def over_https() -> bool:
    """Tell whether patrons' browsers reach the pages over https."""
    return settings().base_url.startswith("https:")


def set_cookie(
    response: Response, name: str, value: str, *, max_age: int | None = None
) -> None:
    """Set a cookie as all of ours are: for this host, never for scripts."""
    response.set_cookie(
        cookie_name(name),
        value,
        max_age=max_age,
        secure=over_https(),
        httponly=True,
        samesite="Lax",
    )


def drop_cookie(response: Response, name: str) -> None:
    """Take a cookie back."""
    response.delete_cookie(
        cookie_name(name), secure=over_https(), httponly=True, samesite="Lax"
    )


def _reader() -> Reader:
    zone = settings().zone
    if in_console():
        if staff := staff_here():
            return Reader(messages.nearest_locale(staff.language), zone=zone)
    elif patron := patron_here():
        locale = messages.nearest_locale(patron.language)
        return Reader(locale, patron.calendar, patron.digits, patron.zone)
    return Reader(chosen_language() or _asked_language(), zone=zone)


def _asked_language() -> str:
    for tag, _ in request.accept_languages:
        if (locale := messages.nearest_locale(tag)) != messages.ENGLISH or (
            tag.lower().startswith("en")
        ):
            return locale
    return messages.nearest_locale(settings().language)


def theme() -> str:
    """Return the colours this browser chose: "light", "dark", or "auto"."""
    chosen = request.cookies.get(cookie_name(THEME_COOKIE), "")
    return chosen if chosen in {"light", "dark"} else "auto"


def this_page() -> str:
    """Return the address to come back to after a switch of language or colours."""
    if request.method == "GET" and request.url_rule is not None:
        return request.full_path.rstrip("?")
    return "/console" if in_console() else "/"


def own_path(path: str, otherwise: str) -> str:
    """Return `path` if it lies on this site, else the other one."""
    fine = path.startswith("/") and not path.startswith(("//", "/\\"))
    return path if fine and path.isprintable() else otherwise
