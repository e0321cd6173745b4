"""What the link to fewer messages opens, and the one-click POST of mail programs."""

import json
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, Final

from flask import Blueprint, render_template, request
from sqlalchemy.orm import Session

from api import context
from api.web.security import opened_by_link
from library.clock import utc_now
from library.db import reading
from library.errors import NotAllowed, NotFound
from library.i18n.messages import _
from library.tables import Delivery, Interest, InterestProfile, Patron
from library.vocabulary import Rhythm
from notifier.links import LeaveLink, read_leave, read_undo, undo_token
from profiles import preferences
from profiles.interests import change_interest, set_rhythm, slow_down, slower
from profiles.preferences import EVERYTHING

bp = Blueprint("leave", __name__)

DONE: Final = {
    "weekly": _("You will hear from us once a week."),
    "monthly": _("You will hear from us once a month."),
    "pause": _("You will hear nothing for 30 days."),
    "interest": _("This interest brings you no more messages."),
    "all": _("You will get no more messages about new works."),
    "undo": _("All is as it was before."),
}
PAUSE = timedelta(days=30)


@bp.get("/leave/<token>")
def ask(token: str) -> str | tuple[str, int]:
    """Offer less often, a pause, without this interest, or none at all."""
    return _page(token)


@bp.post("/leave/<token>")
@opened_by_link
def act(token: str) -> str | tuple[str, int]:
    """Do what was chosen; a mail program's one click stops what the link names."""
    try:
        link = _read(token)
        choice = request.form.get("choice") or _named(link)
        undo = None
        with context.sessions().begin() as session:
            delivery = session.get(Delivery, link.delivery_id)
            if delivery:  # else the patron was erased: there is nothing left to stop
                before = _state(session, delivery.patron_id, link)
                choice = _do(session, delivery.patron_id, link, choice)
                session.flush()
                if before != _state(session, delivery.patron_id, link):
                    undo = before
    except NotAllowed:
        return _over()
    return _page(token, done=choice, undo=None if choice == "undo" else undo)


def _named(link: LeaveLink) -> str:
    return "interest" if _interest_id(link) else "all"


def _do(session: Session, patron_id: int, link: LeaveLink, choice: str) -> str:
    """Do it; return what was done."""
    at, interest_id = utc_now(), _interest_id(link)
    if choice in {"weekly", "monthly"}:
        return _slow_down(session, patron_id, Rhythm(choice), at)
    if choice == "pause":
        paused = preferences.pauses(session, patron_id, at=at).get(EVERYTHING, at)
        if paused < at + PAUSE:
            preferences.pause(session, patron_id, until=at + PAUSE)
    elif choice == "undo":
        _put_back(session, patron_id, link, at)
    elif choice == "interest" and interest_id:
        if _interest(session, patron_id, interest_id):
            change_interest(session, patron_id, interest_id, alerts=False)
    else:
        preferences.change(session, patron_id, at=at, rhythm=Rhythm.OFF)
        return "all"
    return choice


def _slow_down(session: Session, patron_id: int, wanted: Rhythm, at: datetime) -> str:
    """Let messages come less often, and never more often than they do."""
    if wanted in slower(session, patron_id):
        now = preferences.get(session, patron_id).rhythm
        if now is not Rhythm.MONTHLY:
            preferences.change(session, patron_id, at=at, rhythm=wanted)
        slow_down(session, patron_id, wanted, at=at)
    rhythm = preferences.get(session, patron_id).rhythm
    return "all" if rhythm is Rhythm.OFF else rhythm.value


def _state(session: Session, patron_id: int, link: LeaveLink) -> dict[str, Any]:
    """Return all that a choice may change, as JSON can hold it."""
    paused = preferences.pauses(session, patron_id, at=utc_now()).get(EVERYTHING)
    interest = _interest(session, patron_id, _interest_id(link))
    return {
        "rhythm": preferences.get(session, patron_id).rhythm,
        "own": [
            (one.id, one.rhythm) for one in preferences.own_rhythms(session, patron_id)
        ],
        "paused": paused.isoformat() if paused else None,
        "alerts": interest.alerts if interest else None,
    }


def _put_back(session: Session, patron_id: int, link: LeaveLink, at: datetime) -> None:
    token = request.form.get("before", "")
    said = read_undo(context.settings().secret, token, link.delivery_id, at=at)
    before = json.loads(said)
    preferences.change(session, patron_id, at=at, rhythm=Rhythm(before["rhythm"]))
    for interest_id, rhythm in before["own"]:
        with suppress(NotFound):  # removed since
            set_rhythm(session, patron_id, interest_id, Rhythm(rhythm), at=at)
    if before["paused"] is None:
        preferences.resume(session, patron_id, at=at)
    else:
        until = datetime.fromisoformat(before["paused"])
        preferences.pause(session, patron_id, until=until)
    interest = _interest(session, patron_id, _interest_id(link))
    if interest and before["alerts"] is not None:
        change_interest(session, patron_id, interest.id, alerts=before["alerts"])


def _page(
    token: str, *, done: str | None = None, undo: dict[str, Any] | None = None
) -> str | tuple[str, int]:
    try:
        link = _read(token)
    except NotAllowed:
        return _over()
    settings, at = context.settings(), utc_now()
    interest, offered, is_off, paused = None, list(Rhythm), False, None
    with reading(context.sessions()) as session:
        delivery = session.get(Delivery, link.delivery_id)
        if delivery:
            patron = session.get_one(Patron, delivery.patron_id)
            context.speak_to(patron.language)
            interest = _interest(session, patron.id, _interest_id(link))
            offered = slower(session, patron.id)
            is_off = preferences.get(session, patron.id).rhythm is Rhythm.OFF
            paused = preferences.pauses(session, patron.id, at=at).get(EVERYTHING)
    before = json.dumps(undo) if undo else None
    return render_template(
        "leave.html",
        token=token,
        interest=interest,
        offered=offered,
        is_off=is_off,
        paused=paused,
        done=DONE.get(done) if done else None,
        before=before and undo_token(settings.secret, link.delivery_id, before, at=at),
    )


def _interest(
    session: Session, patron_id: int, interest_id: int | None
) -> Interest | None:
    found = session.get(Interest, interest_id) if interest_id else None
    if found is None:
        return None
    profile = session.get_one(InterestProfile, found.interest_profile_id)
    return found if profile.patron_id == patron_id else None


def _interest_id(link: LeaveLink) -> int | None:
    kind, _colon, number = link.scope.partition(":")
    return int(number) if kind == "interest" and number.isdecimal() else None


def _read(token: str) -> LeaveLink:
    return read_leave(context.settings().secret, token, at=utc_now())


def _over() -> tuple[str, int]:
    return render_template("link_over.html"), 410
