"""How a patron wants to be told, and in which language, calendar and digits."""

from collections.abc import Mapping
from datetime import UTC, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from flask import Blueprint, render_template, request, url_for
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from api import context
from api.web import forms, notices
from api.web.security import allow_own_scripts
from library.clock import utc_now
from library.db import reading
from library.errors import InvalidInput
from library.i18n import jalali, messages, numbers
from library.i18n.messages import _
from library.i18n.zones import weekend, zone_name, zone_names
from library.tables import Branch, Patron
from library.vocabulary import Channel, Rhythm
from notifier.push_keys import public_key
from profiles import contacts, devices, preferences
from profiles.devices import parse_device

bp = Blueprint("preferences", __name__)

RHYTHMS: Final = {
    Rhythm.DAILY: _("every day"),
    Rhythm.WEEKLY: _("every week"),
    Rhythm.MONTHLY: _("every month"),
    Rhythm.OFF: _("never"),
}
DAYS: Final = (
    *(_("Monday"), _("Tuesday"), _("Wednesday"), _("Thursday")),
    *(_("Friday"), _("Saturday"), _("Sunday")),
)
CHANNELS: Final = {
    Channel.EMAIL: _("by e-mail, and on my page"),
    Channel.PUSH: _("on my devices, and on my page"),
    Channel.WEBHOOK: _("in the library's app, and on my page"),
    Channel.PAGE: _("only on my page"),
}
CALENDARS: Final = {
    "": _("as usual in my language"),
    jalali.JALALI: _("Jalali"),
    jalali.GREGORIAN: _("Gregorian"),
}
DIGITS: Final = {
    "": _("as usual in my language"),
    numbers.PERSIAN_DIGITS: "۱۲۳۴",
    numbers.LATIN_DIGITS: "1234",
}
PAUSES: Final = (7, 30, 90)
LONGEST_PAUSE: Final = timedelta(days=2 * 366)


@bp.get("/me/preferences")
def show() -> str:
    """Show what the patron chose."""
    return page()


@bp.post("/me/preferences")
def change() -> Response | tuple[str, int]:
    """Store what the patron chose."""
    caller = context.me()
    try:
        quiet_from, quiet_to = _quiet_hours()
        chosen = preferences.Changes(
            rhythm=forms.choice("rhythm", Rhythm),
            weekday=forms.whole("weekday", 0, 6),
            hour=forms.whole("hour", 0, 23),
            zone=forms.text("zone"),
            channel=forms.choice("channel", Channel),
            at_least=forms.whole("at_least", 1, 100),
            quiet_from=quiet_from,
            quiet_to=quiet_to,
            discreet=forms.ticked("discreet"),
        )
        with context.sessions().begin() as session:
            preferences.speak(
                session,
                caller.patron_id,
                _chosen_language(),
                calendar=_one_of("calendar", CALENDARS) or None,
                digits=_one_of("digits", DIGITS) or None,
                at=utc_now(),
            )
            _make_known(session, caller.patron_id, chosen["channel"])
            preferences.change(session, caller.patron_id, at=utc_now(), **chosen)
    except InvalidInput as fault:
        return page(fault), 422
    notices.tell(messages.gettext(_chosen_language(), _("Your choices are stored.")))
    response = forms.see(url_for("preferences.show"))
    context.set_cookie(
        response, context.LANGUAGE_COOKIE, _chosen_language(), max_age=365 * 24 * 3600
    )
    return response


@bp.post("/me/pause")
def pause() -> Response | tuple[str, int]:
    """Send nothing for some days or until one, or go on now."""
    caller, at = context.me(), utc_now()
    try:
        with context.sessions().begin() as session:
            if forms.ticked("resume"):
                preferences.resume(session, caller.patron_id, at=at)
            else:
                until = _pause_end(session, caller.patron_id, at)
                preferences.pause(session, caller.patron_id, until=until)
    except InvalidInput as fault:
        return page(fault), 422
    return forms.see(url_for("preferences.show"))


def week(locale: str) -> list[int]:
    """Return the days of the week, 0 is Monday, as this language begins it."""
    first = 5 if locale == messages.PERSIAN else 0
    return [(first + n) % 7 for n in range(7)]


def clock(value: int | None) -> str:
    """Return minutes after midnight as a time field has them; empty when None."""
    return "" if value is None else f"{value // 60:02}:{value % 60:02}"


def _quiet_hours() -> tuple[int | None, int | None]:
    start, end = forms.minutes("quiet_from"), forms.minutes("quiet_to")
    if (start is None) != (end is None):
        raise InvalidInput("quiet hours need both ends", field="quiet_to")
    return start, end


def _pause_end(session: Session, patron_id: int, at: datetime) -> datetime:
    """Return when the pause that was asked for ends: a day begins where the patron is.

    Raises:
        InvalidInput: It is no day to come.
    """
    if forms.ticked("days"):
        return at + timedelta(days=forms.whole("days", 1, 366))
    try:
        day = jalali.parse_date(forms.text("until"))
    except ValueError as error:
        raise InvalidInput(str(error), field="until") from error
    zone = ZoneInfo(preferences.get(session, patron_id).zone)
    until = datetime.combine(day, time(), zone)
    if not at < until < at + LONGEST_PAUSE:
        raise InvalidInput("until: not a day of the next two years", field="until")
    return until.astimezone(UTC)


def _make_known(session: Session, patron_id: int, channel: Channel) -> None:
    if channel not in devices.offered(session, patron_id, app=_has_app()):
        raise InvalidInput("channel: there is no way to it", field="channel")
    if channel is Channel.WEBHOOK:
        devices.name_to_app(session, patron_id, at=utc_now())


def _has_app() -> bool:
    return bool(context.settings().app_url)


def _chosen_language() -> str:
    return messages.nearest_locale(request.form.get("language"))


def _one_of(name: str, choices: Mapping[str, str]) -> str:
    given = request.form.get(name, "")
    if given not in choices:
        raise InvalidInput(f"{name}: not one of the choices", field=name)
    return given


def page(fault: InvalidInput | None = None) -> str:
    """Render the page, after a form of it was refused with the field at fault."""
    caller, at = context.me(), utc_now()
    locale = context.reader().locale
    with reading(context.sessions()) as session:
        row = preferences.get(session, caller.patron_id)
        ways = devices.offered(session, caller.patron_id, app=_has_app())
        channel = devices.reached_by(session, row, app=_has_app())
        own_devices = devices.devices_of(session, caller.patron_id)
        guarded = devices.is_guarded(session, caller.patron_id)
        paused = preferences.pauses(session, caller.patron_id, at=at)
        point = contacts.address_of(session, caller.patron_id, Channel.EMAIL)
        waiting = contacts.unconfirmed(session, caller.patron_id)
        patron = session.get_one(Patron, caller.patron_id)
        branch = session.get_one(Branch, patron.branch_id)
        own = preferences.own_rhythms(session, caller.patron_id)
    clocks = [row.next_digest_at, *(interest.next_digest_at for interest in own)]
    allow_own_scripts()
    return render_template(
        "preferences.html",
        now=row,
        channel=channel,
        calendar=patron.calendar or "",
        digit_set=patron.digits or "",
        clock=clock,
        zone=zone_name(row.zone, locale),
        zones={row.zone: zone_name(row.zone, locale), **zone_names(locale)},
        month_ahead=at + timedelta(days=30),
        next_digest_at=min(filter(None, clocks), default=None),
        paused=paused.get(preferences.EVERYTHING),
        point=point,
        waiting=waiting,
        fault=fault,
        rhythms=RHYTHMS,
        days=[(day, DAYS[day]) for day in week(locale)],
        weekend=weekend(branch.zone, branch.weekend),
        channels={way: CHANNELS[way] for way in ways},
        instead=row.channel is not channel,
        devices=[(one, parse_device(one.address).endpoint) for one in own_devices],
        push_key=None if guarded else public_key(context.settings()),
        calendars=CALENDARS,
        digit_sets=DIGITS,
        pause_days=PAUSES,
        spoken=[
            (x, messages.language_name(messages.html_lang(x), x))
            for x in messages.locales()
        ],
    )
