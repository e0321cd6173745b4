"""What guards every page: headers, and a token in each form."""

import hmac
import secrets
from collections.abc import Callable
from typing import Any, Final, TypeVar

from flask import Flask, Response, current_app, g, request, session
from werkzeug.exceptions import Forbidden

from api.context import over_https

CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; style-src 'self'; font-src 'self'; img-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
OWN_SCRIPTS: Final = "; script-src 'self'; worker-src 'self'"
OWN_WORKER: Final = "; connect-src 'self'"
"""A worker goes by the policy of its own file: it may speak to us alone."""
View = TypeVar("View", bound=Callable[..., Any])

_HEADERS: Final = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
_SAFE: Final = {"GET", "HEAD", "OPTIONS"}


def guard(app: Flask) -> None:
    """Make the application check every form and send the headers."""
    app.before_request(_check_form)
    app.after_request(_add_headers)


def opened_by_link(view: View) -> View:
    """Mark a view whose address is itself the secret: it needs no token beside.

    Nothing of a cookie is used there, so no other site gains by posting to it, and a
    mail program that unsubscribes by one POST, or a browser's worker, has no token.
    """
    view.opened_by_link = True  # type: ignore[attr-defined]
    return view


def allow_own_scripts() -> None:
    """Let the page that answers this request load scripts from our own files."""
    g.own_scripts = True


def form_token() -> str:
    """Return the token that each form of this browser carries."""
    if "form" not in session:
        session["form"] = secrets.token_urlsafe(24)
    return str(session["form"])


def _check_form() -> None:
    # The API takes no cookies, so there is nothing of a browser's to misuse.
    if request.method in _SAFE or request.path.startswith("/api/"):
        return
    view = current_app.view_functions.get(request.endpoint or "")
    if view is None or getattr(view, "opened_by_link", False):
        return
    expected = str(session.get("form", ""))
    given = request.form.get("form", "")
    if not expected or not hmac.compare_digest(given.encode(), expected.encode()):
        raise Forbidden("form token")


def _add_headers(response: Response) -> Response:
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    if request.endpoint == "static":
        response.headers["Content-Security-Policy"] += OWN_WORKER
    if "own_scripts" in g:
        response.headers["Content-Security-Policy"] += OWN_SCRIPTS
    if over_https():
        response.headers["Strict-Transport-Security"] = "max-age=31536000"
    if request.endpoint != "static":
        response.headers.setdefault("Cache-Control", "no-store")
    return response
