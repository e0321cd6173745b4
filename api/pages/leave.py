"""What the link to fewer messages opens, and the one-click POST of mail programs."""

from datetime import timedelta
from typing import Final

from flask import Blueprint, render_template, request
from sqlalchemy.orm import Session

from api import context
from api.web.security import opened_by_link
from library.clock import utc_now
from library.db import reading
from library.errors import NotAllowed
from library.i18n.messages import _
from library.tables import Delivery, Interest, InterestProfile, Patron
from library.vocabulary import Rhythm
from notifier.links import LeaveLink, read_leave
from profiles import preferences
from profiles.interests import change_interest

bp = Blueprint("leave", __name__)

DONE: Final = {
    "weekly": _("You will hear from us once a week."),
    "monthly": _("You will hear from us once a month."),
    "pause": _("You will hear nothing for 30 days."),
    "interest": _("This interest brings you no more messages."),
    "all": _("You will get no more messages about new works."),
}
PAUSE = timedelta(days=30)


@bp.get("/leave/<token>")
def ask(token: str) -> str | tuple[str, int]:
    """Offer less often, a pause, without this interest, or none at all."""
    return _page(token, done=None)


@bp.post("/leave/<token>")
@opened_by_link
def act(token: str) -> str | tuple[str, int]:
    """Do what was chosen; a mail program's one click stops what the link names."""
    try:
        link = _read(token)
    except NotAllowed:
        return _over()
    choice = request.form.get("choice") or ("interest" if _interest_id(link) else "all")
    with context.sessions().begin() as session:
        delivery = session.get(Delivery, link.delivery_id)
        if delivery:  # else the patron was erased: there is nothing left to stop
            choice = _stop(session, delivery.patron_id, link, choice)
    return _page(token, done=choice)


def _stop(session: Session, patron_id: int, link: LeaveLink, choice: str) -> str:
    """Do it; return what was done."""
    at, interest_id = utc_now(), _interest_id(link)
    if choice in {"weekly", "monthly"}:
        preferences.change(session, patron_id, at=at, rhythm=Rhythm(choice))
    elif choice == "pause":
        preferences.pause(session, patron_id, until=at + PAUSE)
    elif choice == "interest" and interest_id:
        if _interest(session, patron_id, interest_id):
            change_interest(session, patron_id, interest_id, alerts=False)
    else:
        preferences.change(session, patron_id, at=at, rhythm=Rhythm.OFF)
        return "all"
    return choice


def _page(token: str, *, done: str | None) -> str | tuple[str, int]:
    try:
        link = _read(token)
    except NotAllowed:
        return _over()
    interest = None
    with reading(context.sessions()) as session:
        delivery = session.get(Delivery, link.delivery_id)
        if delivery:
            patron = session.get_one(Patron, delivery.patron_id)
            context.speak_to(patron.language)
            interest = _interest(session, patron.id, _interest_id(link))
    return render_template(
        "leave.html",
        token=token,
        interest=interest,
        done=DONE.get(done) if done else None,
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
