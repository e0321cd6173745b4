"""Errors as problem details (RFC 9457), with a title in the caller's language."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from apiflask import HTTPError
from flask import Flask, Response, g, json, request
from werkzeug.exceptions import HTTPException

from api.context import settings
from library.errors import (
    Conflict,
    DeliveryFailed,
    FetchFailed,
    InvalidInput,
    MalformedRecord,
    NotAllowed,
    NotFound,
    ServiceError,
    TrainingFailed,
)
from library.i18n.messages import _, gettext, html_lang, nearest_locale

ROOT: Final = "/api/"
TYPES: Final = "/api/v1/problems/"
TITLES: Final = {
    400: _("The request cannot be read"),
    401: _("A key is needed"),
    403: _("This is not allowed"),
    404: _("There is no such thing"),
    405: _("This cannot be done here"),
    406: _("There is no such form of it"),
    409: _("Another change stands against it"),
    412: _("It has changed meanwhile"),
    413: _("That is too much at once"),
    415: _("This form of it is not understood"),
    422: _("A value cannot be used"),
    428: _("Say which state you have seen"),
    429: _("Too many calls"),
    500: _("Something broke on our side"),
    502: _("Another server did not do its part"),
}
_SLUGS: Final = {
    400: "bad-request",
    401: "no-key",
    403: "not-allowed",
    404: "not-found",
    405: "method-not-allowed",
    406: "not-acceptable",
    409: "conflict",
    412: "changed-meanwhile",
    413: "too-large",
    415: "unsupported-media-type",
    422: "invalid-input",
    428: "if-match-needed",
    429: "too-many-calls",
    500: "server-error",
    502: "upstream-failed",
}
_STATUS: Final[Mapping[type[ServiceError], int]] = {
    NotFound: 404,
    NotAllowed: 403,
    Conflict: 409,
    InvalidInput: 422,
    MalformedRecord: 422,
    TrainingFailed: 409,
    FetchFailed: 502,
    DeliveryFailed: 502,
}


@dataclass(frozen=True)
class Fault:
    """One value at fault: where it stands in the request, and why."""

    pointer: str
    detail: str


def register(app: Flask) -> None:
    """Make the application answer every error under /api/ with problem details."""
    app.before_request(_refuse_unknown_address)
    app.after_request(_name_request)


def answer_service_error(error: ServiceError) -> Response:
    """Answer what something outside the code is at fault for."""
    status = next((s for kind, s in _STATUS.items() if isinstance(error, kind)), 400)
    field = getattr(error, "field", "")
    faults = [Fault(f"#/{field}", str(error))] if field else []
    return problem(status, str(error), faults)


def answer_http_error(error: HTTPException) -> Response:
    """Answer what the framework refused, or a bug (which the log tells of)."""
    status = error.code or 500
    # The framework's own words only repeat the title, in English.
    own = error.description != type(error).description
    answer = problem(status, error.description if own and status < 500 else None)
    for name, value in error.get_headers():
        if name != "Content-Type":
            answer.headers[name] = value
    return answer


def answer_invalid(error: HTTPError) -> Response:
    """Answer values that do not fit the description of the request."""
    return problem(error.status_code, None, _faults(error.detail))


def problem(
    status: int, detail: str | None = None, faults: list[Fault] | None = None
) -> Response:
    """Return the answer for a status: title in the caller's language, facts beside."""
    known = status if status in TITLES else (500 if status >= 500 else 400)
    locale = caller_locale()
    body: dict[str, Any] = {
        "type": TYPES + _SLUGS[known],
        "title": gettext(locale, TITLES[known]),
        "status": status,
        "instance": request.path,
        "request_id": request_id(),
    }
    if detail:
        body["detail"] = detail
    if faults:
        body["errors"] = [vars(fault) for fault in faults]
    answer = Response(json.dumps(body), status, mimetype="application/problem+json")
    answer.headers["Content-Language"] = html_lang(locale)
    answer.headers["Vary"] = "Accept-Language"
    return answer


def meaning(slug: str) -> int:
    """Return the status a problem type goes with.

    Raises:
        NotFound: There is no such type.
    """
    found = next((status for status, s in _SLUGS.items() if s == slug), None)
    if found is None:
        raise NotFound(f"no problem type {slug}")
    return found


def caller_locale() -> str:
    """Return the first language the caller asks for that there are texts in."""
    for tag, _quality in request.accept_languages:
        locale = nearest_locale(tag)
        if html_lang(locale) == tag.lower().replace("_", "-").split("-")[0]:
            return locale
    return nearest_locale(settings().language)


def request_id() -> str:
    """Return this request's id, to be named when asking for help."""
    if "request_id" not in g:
        g.request_id = secrets.token_hex(8)
    return str(g.request_id)


def _refuse_unknown_address() -> Response | None:
    # Such a request belongs to no blueprint, so no handler of the API's would see it.
    error = request.routing_exception
    if (
        not request.path.startswith(ROOT)
        or error is None
        or error.code not in {404, 405}
    ):
        return None
    return answer_http_error(error)


def _name_request(response: Response) -> Response:
    if request.path.startswith(ROOT):
        response.headers["X-Request-Id"] = request_id()
    return response


def _faults(detail: object) -> list[Fault]:
    """Flatten {"json": {"a.b": ["why"]}} into pointers."""
    faults = []
    for location, fields in detail.items() if isinstance(detail, dict) else ():
        for name, reasons in fields.items():
            path = "" if name == "_schema" else name.replace(".", "/")
            pointer = f"?{path}" if location == "query" else f"#/{path}".rstrip("/")
            faults += [Fault(pointer, reason) for reason in reasons]
    return faults
