"""Signing a patron in by a link or a code, and out again."""

from flask import Blueprint, render_template, request, url_for
from flask import session as browser
from werkzeug.wrappers import Response

from api import context
from api.auth import magic_link, principal
from api.web import forms
from api.web.error_pages import page
from api.web.limits import within_limits
from library.clock import utc_now
from library.db import reading
from library.i18n.messages import _

bp = Blueprint("sign_in", __name__)

_LONG = int(principal.LONG_STAY.total_seconds())


@bp.get("/sign-in")
def ask() -> str | Response:
    """Ask who is there."""
    back = context.own_path(request.args.get("next", ""), url_for("shelf.show"))
    if context.patron_here():
        return forms.see(back)
    return render_template("sign_in.html", back=back)


@bp.post("/sign-in")
def send() -> Response | tuple[str, int]:
    """Send a link and a code to whoever is named; known or not, the answer is one."""
    identity = forms.text("identity")
    back = context.own_path(request.form.get("next", ""), url_for("shelf.show"))
    if not identity:
        return _asked_again(back, _("Type your e-mail address or card number."))
    at = utc_now()
    with context.sessions().begin() as session:
        fine = within_limits(session, "ask", identity)
        if fine:
            magic_link.ask(session, context.settings(), identity, at=at)
    if not fine:
        return page(429)
    browser["asked"] = identity
    browser["back"] = back
    return forms.see(url_for("sign_in.code"))


@bp.get("/sign-in/code")
def code() -> str:
    """Say that a message is on its way, and take the code that stands in it."""
    return render_template("sign_in_code.html", identity=_identity(), fault=None)


@bp.post("/sign-in/code")
def use_code() -> Response | tuple[str, int]:
    """Let in who types the right code."""
    identity = _identity() or forms.text("identity")
    at = utc_now()
    typed, patron_id = forms.text("code"), None
    with context.sessions().begin() as session:
        if fine := within_limits(session, "code", identity):
            named = magic_link.patrons_named(session, identity)
            patron_id = magic_link.use_code(
                session, context.settings(), named, typed, at=at
            )
    if not fine:
        return page(429)
    if patron_id is None:
        fault = _("This code does not fit, or its time is up.")
        # Who was named on this very form is asked for again.
        html = render_template("sign_in_code.html", identity=_identity(), fault=fault)
        return html, 422
    return _let_in(patron_id)


@bp.get("/sign-in/<token>")
def confirm(token: str) -> str | tuple[str, int]:
    """Say who would be signed in; nothing is used up."""
    with reading(context.sessions()) as session:
        found = magic_link.waiting(session, token, at=utc_now())
    if found is None:
        return render_template("sign_in_over.html"), 410
    context.speak_to(found.language)
    return render_template("sign_in_confirm.html", token=token, name=found.name)


@bp.post("/sign-in/<token>")
def use_link(token: str) -> Response | tuple[str, int]:
    """Use the link up and let its patron in."""
    with context.sessions().begin() as session:
        patron_id = magic_link.use_link(session, token, at=utc_now())
    if patron_id is None:
        return render_template("sign_in_over.html"), 410
    return _let_in(patron_id)


@bp.post("/sign-out")
def sign_out() -> Response:
    """Sign this browser out."""
    token = request.cookies.get(context.cookie_name(context.PATRON_COOKIE))
    locale = context.reader().locale
    if token:
        with context.sessions().begin() as session:
            principal.end(session, token)
    browser.clear()
    response = forms.see(url_for("site.front"))
    context.drop_cookie(response, context.PATRON_COOKIE)
    context.set_cookie(response, context.LANGUAGE_COOKIE, locale)
    return response


def _let_in(patron_id: int) -> Response:
    own = forms.ticked("own_device")
    lasts = principal.LONG_STAY if own else principal.SHORT_STAY
    with context.sessions().begin() as session:
        token = principal.start(session, at=utc_now(), lasts=lasts, patron_id=patron_id)
    back = context.own_path(browser.get("back", ""), url_for("shelf.show"))
    browser.clear()  # nothing that another left in this browser goes on
    response = forms.see(back)
    max_age = _LONG if own else None
    context.set_cookie(response, context.PATRON_COOKIE, token, max_age=max_age)
    return response


def _asked_again(back: str, fault: str) -> tuple[str, int]:
    return render_template("sign_in.html", back=back, fault=fault), 422


def _identity() -> str | None:
    asked: str | None = browser.get("asked")
    return asked
