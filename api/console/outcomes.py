"""What came of what was shown, by place, by model version, and by arm of a trial."""

from datetime import timedelta

from flask import Blueprint, render_template
from sqlalchemy import select

from api import context
from library.clock import utc_now
from library.db import reading
from library.i18n.messages import _
from library.tables import Experiment
from library.vocabulary import Channel
from recommender.uptake import WITHIN, arms_uptake, uptake

bp = Blueprint("outcomes", __name__, url_prefix="/console")

SHOWN_FOR = timedelta(days=90)
EXPERIMENTS = 5
"""The newest are shown."""
PLACES = {
    Channel.EMAIL.value: _("E-mail"),
    Channel.PAGE.value: _("Personal page"),
    Channel.FEED.value: _("Private feed"),
    Channel.PUSH.value: _("Device"),
    Channel.WEBHOOK.value: _("Library's app"),
}


@bp.get("/outcomes")
def show() -> str:
    """Tell how much of what was shown was borrowed or held afterwards."""
    context.librarian()
    at = utc_now()
    with reading(context.sessions()) as session:
        lines = uptake(session, since=at - SHOWN_FOR, until=at)
        newest = select(Experiment).order_by(Experiment.starts_at.desc())
        trials = [
            (row, arms_uptake(session, row, at=at))
            for row in session.scalars(newest.limit(EXPERIMENTS))
        ]
    return render_template(
        "console/outcomes.html",
        lines=lines,
        trials=trials,
        places=PLACES,
        days=SHOWN_FOR.days,
        within=WITHIN.days,
    )
