"""What a patron said no to, and the way back; with the works they have read."""

from dataclasses import dataclass
from datetime import datetime

from flask import Blueprint, render_template, url_for
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from api import context
from api.web import forms
from library.clock import utc_now
from library.db import reading
from library.errors import InvalidInput
from library.i18n.messages import _
from library.tables import Feedback, Work
from library.vocabulary import Channel, SuppressionKind, Verdict
from profiles.feedback import record_verdict
from profiles.suppression import lift, list_suppressions, suppress

bp = Blueprint("hidden", __name__)

KINDS = {
    SuppressionKind.CREATOR: _("Creator"),
    SuppressionKind.SUBJECT: _("Subject"),
    SuppressionKind.SERIES: _("Series"),
}


@dataclass(frozen=True)
class Answered:
    """A work with the verdict it got."""

    work: Work
    verdict: Verdict
    given_at: datetime


@bp.get("/me/hidden")
def show() -> str:
    """List what is hidden, and what was read already."""
    return _page()


@bp.post("/me/hidden/show")
def show_again() -> Response:
    """Take a verdict back, so that the work can come again."""
    caller = context.me()
    with context.sessions().begin() as session:
        record_verdict(
            session,
            patron_id=caller.patron_id,
            work_id=forms.whole("work", 1, forms.HIGHEST_ID),
            verdict=None,
            via=Channel.PAGE,
            at=utc_now(),
        )
    return forms.see(url_for("hidden.show"))


@bp.post("/me/hidden/lift")
def end() -> Response:
    """End a wish to see no more of something."""
    caller = context.me()
    with context.sessions().begin() as session:
        lift(session, caller.patron_id, forms.whole("wish", 1, forms.HIGHEST_ID))
    return forms.see(url_for("hidden.show"))


@bp.post("/me/hidden/add")
def add() -> Response | tuple[str, int]:
    """Keep a wish to see no more of something."""
    caller = context.me()
    try:
        kind, name = forms.choice("kind", SuppressionKind), forms.text("name")
        with context.sessions().begin() as session:
            suppress(session, caller.patron_id, kind, name, name, utc_now())
    except InvalidInput as error:
        # Whatever is wrong with what was typed is wrong with its one field.
        return _page(InvalidInput(str(error), field="name")), 422
    return forms.see(url_for("hidden.show"))


def _page(fault: InvalidInput | None = None) -> str:
    caller = context.me()
    with reading(context.sessions()) as session:
        wishes = list_suppressions(session, caller.patron_id)
        answered = _answered(session, caller.patron_id)
    return render_template(
        "hidden.html",
        wishes=[w for w in wishes if w.kind is not SuppressionKind.WORK],
        hidden=[a for a in answered if a.verdict is Verdict.NOT_FOR_ME],
        read=[a for a in answered if a.verdict is Verdict.READ_ALREADY],
        kinds=KINDS,
        fault=fault,
    )


def _answered(session: Session, patron_id: int) -> list[Answered]:
    rows = session.execute(
        select(Work, Feedback.verdict, Feedback.given_at)
        .join(Feedback, Feedback.work_id == Work.id)
        .where(Feedback.patron_id == patron_id)
        .order_by(Feedback.given_at.desc(), Feedback.id.desc())
    )
    return [Answered(*row) for row in rows]
