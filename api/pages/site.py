"""The front door, the privacy page, and the switches of language and colours."""

from flask import Blueprint, render_template, request, url_for
from sqlalchemy import func, select
from werkzeug.wrappers import Response

from api import context
from api.pages.consents import WORDINGS
from api.web import forms
from library.clock import utc_now
from library.db import reading
from library.i18n import messages
from library.tables import Acquisition, Branch, Patron, Work
from profiles import preferences

bp = Blueprint("site", __name__)

YEAR = 365 * 24 * 3600


@bp.get("/")
def front() -> str:
    """Say what this is, and let the reader in."""
    with reading(context.sessions()) as session:
        works = session.scalar(select(func.count()).select_from(Work)) or 0
        new = session.scalar(select(func.count(func.distinct(Acquisition.work_id))))
    return render_template("front.html", works=works, new=new or 0)


@bp.get("/privacy")
def privacy() -> str:
    """Say what is kept and why, from the settings in force."""
    with reading(context.sessions()) as session:
        branches = session.scalars(select(Branch).order_by(Branch.id)).all()
    return render_template(
        "privacy.html",
        settings=context.settings(),
        branches=branches,
        wordings=WORDINGS,
    )


@bp.post("/language")
def language() -> Response:
    """Change the language of this browser, and of the patron's mail; stay here."""
    chosen = messages.nearest_locale(request.form.get("language"))
    if caller := context.patron_here():
        with context.sessions().begin() as session:
            patron = session.get_one(Patron, caller.patron_id)
            preferences.speak(
                session,
                patron.id,
                chosen,
                calendar=patron.calendar,
                digits=patron.digits,
                at=utc_now(),
            )
    response = _back()
    context.set_cookie(response, context.LANGUAGE_COOKIE, chosen, max_age=YEAR)
    return response


@bp.post("/theme")
def theme() -> Response:
    """Change the colours of this browser."""
    response = _back()
    chosen = request.form.get("theme", "")
    context.set_cookie(response, context.THEME_COOKIE, chosen, max_age=YEAR)
    return response


def _back() -> Response:
    path = request.form.get("next", "")
    return forms.see(context.own_path(path, url_for("site.front")))
