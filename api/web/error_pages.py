"""Errors as pages in the reader's language, with an id to name when asking for help."""

import logging
import secrets
from typing import Final

from flask import Flask, g, redirect, render_template, request, url_for
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response

from api.context import Reader, SignInNeeded, in_console, reader, settings
from library.errors import Conflict, InvalidInput, NotAllowed, NotFound, ServiceError
from library.i18n.messages import _, nearest_locale

log = logging.getLogger(__name__)

WORDS: Final = {
    400: (_("That did not work"), _("The page sent something we could not read.")),
    403: (
        _("Not allowed"),
        _("This is not yours to see or do, or the page was open too long."),
    ),
    404: (_("Not found"), _("There is no such page, or it has moved.")),
    405: (_("Not found"), _("This address cannot be opened like that.")),
    409: (_("Something changed meanwhile"), _("Look at the page again, then retry.")),
    410: (_("No longer there"), _("This address was replaced or has ended.")),
    413: (_("Too large"), _("That is more than we take at once.")),
    422: (_("Please check what you entered"), _("One of the values cannot be used.")),
    429: (_("Too many tries"), _("Please wait a little, then try again.")),
    500: (
        _("Something broke on our side"),
        _("It is not your fault. Please try again, and tell us if it stays so."),
    ),
    503: (_("Being looked after"), _("We are working on it and are back soon.")),
}
_STATUS: Final = {NotFound: 404, NotAllowed: 403, Conflict: 409, InvalidInput: 422}


def register(app: Flask) -> None:
    """Make the application answer errors of pages; those of the API are its own."""
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(ServiceError, _service)
    app.register_error_handler(SignInNeeded, _sign_in_first)


def page(status: int) -> tuple[str, int]:
    """Render the page for a status; one we have no words for speaks as a 400 or 500."""
    known = status if status in WORDS else (500 if status >= 500 else 400)
    _make_sure_of_reader()
    title, text = WORDS[known]
    reference = secrets.token_hex(4)
    log.warning("%s answered %s, reference %s", request.endpoint, status, reference)
    return (
        render_template("error.html", title=title, text=text, reference=reference),
        status,
    )


def _http(error: HTTPException) -> HTTPException | tuple[str, int]:
    if error.code is None or error.code < 400 or request.path.startswith("/api/"):
        return error
    return page(error.code)


def _service(error: ServiceError) -> tuple[str, int]:
    status = next((s for kind, s in _STATUS.items() if isinstance(error, kind)), 400)
    return page(status)


def _sign_in_first(_error: SignInNeeded) -> Response:
    door = "console_sign_in.ask" if in_console() else "sign_in.ask"
    back = request.full_path.rstrip("?") if request.method == "GET" else None
    return redirect(url_for(door, next=back), 303)


def _make_sure_of_reader() -> None:
    # With the database gone there is nobody to ask who reads, yet a page is due.
    try:
        reader()
    except SQLAlchemyError:
        g.reader = Reader(nearest_locale(settings().language), zone=settings().zone)
        g.patron = g.staff = None
