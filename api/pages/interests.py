"""What a patron likes: terms with a weight, stated or concluded, on or off."""

from datetime import date, timedelta
from typing import Final

from flask import Blueprint, render_template, url_for
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from api import context
from api.web import forms, notices
from library.clock import utc_now
from library.db import reading
from library.errors import InvalidInput
from library.i18n import jalali
from library.i18n.messages import _
from library.tables import Subject, WorkSubject
from library.text import squash, title_direction
from library.vocabulary import InterestKind, InterestOrigin, Rhythm
from profiles.interests import (
    InterestThere,
    ProfileView,
    add_interest,
    change_interest,
    end_on,
    list_profiles,
    remove_interest,
    set_rhythm,
)
from profiles.rhythm import is_over, slot_of

bp = Blueprint("interests", __name__)

KINDS: Final = {
    InterestKind.SUBJECT: _("Subject"),
    InterestKind.CREATOR: _("Creator"),
    InterestKind.SERIES: _("Series"),
    InterestKind.KEYWORD: _("Word"),
}
WEIGHTS: Final = {
    0.5: _("a little"),
    1.0: _("normal"),
    2.0: _("a lot"),
    3.0: _("above all"),
}
ORIGINS: Final = {
    InterestOrigin.STATED: _("chosen by you"),
    InterestOrigin.INFERRED: _("concluded from your loans and answers"),
    InterestOrigin.STAFF: _("added by a librarian"),
}
RHYTHMS: Final = {
    "": _("with my other messages"),
    Rhythm.DAILY: _("every day"),
    Rhythm.WEEKLY: _("every week"),
    Rhythm.MONTHLY: _("every month"),
    Rhythm.OFF: _("only on my page"),
}
"""When an interest's alerts come; empty: at the patron's own rhythm."""
_SOON = timedelta(days=7)
"""How long before its end an interest is said to end."""
_IDEAS = 10
_COMPLETIONS = 60


@bp.get("/me/interests")
def show() -> str:
    """List the patron's interests, and offer some to begin with."""
    return _page()


@bp.post("/me/interests")
def add() -> Response | tuple[str, int]:
    """Add an interest; one that is there in another spelling is pointed at."""
    caller = context.me()
    try:
        kind = forms.choice("kind", InterestKind)
        label = forms.text("label")
        with context.sessions().begin() as session:
            added = add_interest(
                session, caller.patron_id, kind=kind, label=label, at=utc_now()
            )
    except InterestThere as there:
        text = _("“%(label)s” is among your interests already.")
        notices.tell(context.say(text, label=there.label), good=False)
        anchor = f"interest-{there.interest_id}"
        return forms.see(url_for("interests.show", _anchor=anchor))
    except InvalidInput as fault:
        return _page(fault), 422
    notices.tell(context.say(_("Added: %(label)s"), label=added.label))
    return forms.see(url_for("interests.show", _anchor=f"interest-{added.id}"))


@bp.post("/me/interests/<int:interest_id>")
def change(interest_id: int) -> Response | tuple[str, int]:
    """Change an interest, remove it, or let it go on without an end."""
    caller = context.me()
    try:
        with context.sessions().begin() as session:
            if forms.ticked("remove"):
                remove_interest(session, caller.patron_id, interest_id)
            elif forms.ticked("keep"):
                end_on(session, caller.patron_id, interest_id, None)
            else:
                _change(session, caller.patron_id, interest_id)
    except InvalidInput as fault:
        return _page(fault, changing=interest_id), 422
    anchor = None if forms.ticked("remove") else f"interest-{interest_id}"
    notices.tell(context.say(_("Your interests are stored.")))
    return forms.see(url_for("interests.show", _anchor=anchor))


def _change(session: Session, patron_id: int, interest_id: int) -> None:
    change_interest(
        session,
        patron_id,
        interest_id,
        weight=forms.decimal("weight", 0, 3),
        active=forms.ticked("active"),
        alerts=forms.ticked("alerts"),
        follow=forms.ticked("follow"),
    )
    end_on(session, patron_id, interest_id, _day(interest_id))
    own = forms.choice("rhythm", Rhythm) if forms.text("rhythm") else None
    set_rhythm(session, patron_id, interest_id, own, at=utc_now())


def _day(interest_id: int) -> date | None:
    typed = forms.text("ends_on")
    try:
        return jalali.parse_date(typed) if typed else None
    except ValueError as error:
        raise InvalidInput(str(error), field=f"ends-{interest_id}") from error


def _page(fault: InvalidInput | None = None, *, changing: int | None = None) -> str:
    caller, reader, at = context.me(), context.reader(), utc_now()
    with reading(context.sessions()) as session:
        profiles = list_profiles(session, caller.patron_id)
        ideas = _common_subjects(session, reader.direction, profiles)
    return render_template(
        "interests.html",
        profiles=[p for p in profiles if p.interests],
        ideas=ideas[:_IDEAS],
        completions=ideas,
        kinds=KINDS,
        weights=WEIGHTS,
        origins=ORIGINS,
        rhythms=RHYTHMS,
        fault=fault,
        changing=changing,
        over=lambda day: is_over(day, reader.zone, at=at),
        soon=slot_of(at, reader.zone) + _SOON,
    )


def _common_subjects(
    session: Session, direction: str, profiles: list[ProfileView]
) -> list[str]:
    """Return much-used subjects the patron has not, in the reader's script first."""
    there = {squash(i.label) for profile in profiles for i in profile.interests}
    uses = func.count(WorkSubject.work_id)
    rows = session.execute(
        select(Subject.label, Subject.squash)
        .join(WorkSubject)
        .where(Subject.scheme != "class")
        .group_by(Subject.id, Subject.label, Subject.squash)
        .order_by(uses.desc(), Subject.id)
        .limit(2 * _COMPLETIONS)
    )
    labels = [label for label, key in rows if key not in there]
    labels.sort(key=lambda label: title_direction(label, None) != direction)
    return labels[:_COMPLETIONS]
