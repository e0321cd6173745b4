"""Signing a librarian in and out."""

from flask import Blueprint, render_template, request, url_for
from flask import session as browser
from werkzeug.wrappers import Response

from api import context
from api.auth import principal, staff
from api.auth.attempts import PER_ADDRESS, PER_IDENTITY, allowed
from api.web import forms
from api.web.error_pages import page
from library.clock import utc_now
from library.i18n.messages import _

bp = Blueprint("console_sign_in", __name__, url_prefix="/console")


@bp.get("/sign-in")
def ask() -> str | Response:
    """Ask for address and password."""
    back = context.own_path(request.args.get("next", ""), url_for("sources.show"))
    if context.staff_here():
        return forms.see(back)
    return render_template("console/sign_in.html", back=back)


@bp.post("/sign-in")
def enter() -> Response | str | tuple[str, int]:
    """Let a librarian in whose password fits."""
    email, password = forms.text("email"), request.form.get("password", "")
    back = context.own_path(request.form.get("next", ""), url_for("sources.show"))
    if not _within_limits(email):
        return page(429)
    with context.sessions().begin() as session:
        token = staff.sign_in(session, email, password, at=utc_now())
    if token is None:
        fault = _("Address and password do not fit.")
        return render_template("console/sign_in.html", back=back, fault=fault), 422
    browser.clear()
    response = forms.see(back)
    context.set_cookie(response, context.STAFF_COOKIE, token)
    return response


@bp.post("/sign-out")
def leave() -> Response:
    """Sign this browser out of the console."""
    token = request.cookies.get(context.cookie_name(context.STAFF_COOKIE))
    if token:
        with context.sessions().begin() as session:
            principal.end(session, token)
    browser.clear()
    response = forms.see(url_for("console_sign_in.ask"))
    context.drop_cookie(response, context.STAFF_COOKIE)
    return response


def _within_limits(email: str) -> bool:
    at, settings = utc_now(), context.settings()
    who = request.remote_addr or ""
    with context.sessions().begin() as session:
        by_address = allowed(
            session, settings, "console-from", who, limit=PER_ADDRESS, at=at
        )
        by_identity = allowed(
            session, settings, "console-for", email, limit=PER_IDENTITY, at=at
        )
    return by_address and by_identity
