"""The devices on which a patron is told: asked for, listed, renewed, removed."""

import re
from typing import Final
from urllib.parse import urlsplit

from flask import Blueprint, request, url_for
from werkzeug.wrappers import Response

from api import context
from api.web import forms, notices
from api.web.error_pages import page
from api.web.limits import within_limits
from api.web.security import opened_by_link
from library.clock import utc_now
from library.errors import InvalidInput
from library.i18n.messages import _
from library.settings import Settings
from library.vocabulary import Channel
from notifier.push_keys import is_ours
from profiles import devices, preferences
from profiles.devices import Device

bp = Blueprint("devices", __name__)

LONGEST: Final = 800
# In this order: most browsers also say the names of those they descend from.
_BROWSERS: Final = {
    "Edg": "Edge",
    "OPR": "Opera",
    "SamsungBrowser": "Samsung Internet",
    "Firefox": "Firefox",
    "FxiOS": "Firefox",
    "CriOS": "Chrome",
    "Chrome": "Chrome",
    "Safari": "Safari",
}
_SYSTEMS: Final = {
    "Android": "Android",
    "iPhone": "iPhone",
    "iPad": "iPad",
    "Windows": "Windows",
    "Mac OS X": "Mac",
    "CrOS": "ChromeOS",
    "Linux": "Linux",
}


@bp.post("/me/devices")
def add() -> Response | tuple[str, int]:
    """Tell the patron on this device from now on."""
    caller, at = context.me(), utc_now()
    device = _device(context.settings())
    with context.sessions().begin() as session:
        if not within_limits(session, "device", str(caller.patron_id)):
            return page(429)
        name = device_name(request.user_agent.string)
        devices.add(session, caller.patron_id, device, name, at=at)
        preferences.change(session, caller.patron_id, at=at, channel=Channel.PUSH)
    notices.tell(context.say(_("New works are told on this device from now on.")))
    return forms.see(_back())


@bp.post("/me/devices/remove")
def remove() -> Response:
    """Forget a device; another button asks again."""
    caller = context.me()
    with context.sessions().begin() as session:
        number = forms.whole("device", 1, forms.HIGHEST_ID)
        devices.remove(session, caller.patron_id, number)
    notices.tell(context.say(_("That device is told nothing any more.")))
    return forms.see(_back())


@bp.post("/devices/renew")
@opened_by_link
def renew() -> tuple[str, int]:
    """Take a device's new address: its browser's worker says the one before, too."""
    device, before = _device(context.settings()), _posted_device("before_")
    with context.sessions().begin() as session:
        devices.renew(session, before, device, at=utc_now())
    return "", 204


def device_name(user_agent: str) -> str:
    """Return a short name of a browser and its system; empty for an unknown one."""
    found = (
        next((name for word, name in names.items() if word in user_agent), "")
        for names in (_BROWSERS, _SYSTEMS)
    )
    return " · ".join(filter(None, found))


def _device(settings: Settings) -> Device:
    device = _posted_device()
    parts = urlsplit(device.endpoint)
    if parts.scheme != "https" and parts.netloc not in settings.fetch_allow:
        raise InvalidInput("endpoint: https is wanted", field="endpoint")
    if not is_ours(settings, device.asked_under):
        raise InvalidInput("asked_under: the page is too old", field="asked_under")
    return device


def _posted_device(prefix: str = "") -> Device:
    names = ("endpoint", "p256dh", "auth", "asked_under")
    return Device(*(_posted(f"{prefix}{name}") for name in names))


def _posted(name: str) -> str:
    given = request.form.get(name, "")
    if len(given) > LONGEST or not re.fullmatch(r"[!-~]+", given):
        raise InvalidInput(f"{name}: cannot be used", field=name)
    return given


def _back() -> str:
    return url_for("preferences.show", _anchor="devices")
