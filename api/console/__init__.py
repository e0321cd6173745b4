"""What librarians see: sources, messages, models, rules, and a patron's page."""

from flask import Flask

from api import context
from api.console import (
    models,
    outcomes,
    rules,
    sent,
    sign_in,
    sources,
    stopped,
    view_as,
    works,
)
from api.web.words import CHANNELS, STANDSTILLS
from library.clock import utc_now
from library.db import reading
from notifier import canary
from notifier.resting import holds

ROOMS = (sign_in, sources, works, sent, stopped, models, outcomes, rules, view_as)


def register(app: Flask) -> None:
    """Add the librarians' pages to the application."""
    app.jinja_env.globals.update(standstill=_standstill, resting=_resting)
    for room in ROOMS:
        app.register_blueprint(room.bp)


def _standstill() -> str | None:
    """Return the warning that stands above every page of the console."""
    with reading(context.sessions()) as session:
        found = canary.standstill(session, at=utc_now())
    return STANDSTILLS[found] if found else None


def _resting() -> list[tuple[str, str]]:
    """Return the channels by which nothing leaves now, and why."""
    with reading(context.sessions()) as session:
        found = holds(session, at=utc_now())
    return [(CHANNELS[channel], why) for channel, why in found.items()]
