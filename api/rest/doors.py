"""The doors of the API: who may come in, in what transaction, and what is noted.

A view behind `reads` gets a transaction in which the database refuses every change;
one behind `writes` a transaction that is committed with its answer, and one behind
`acts` none, because the function it calls has its own. Behind `signed` no key is asked
for: the body is signed by the source that posts it.
"""

from collections.abc import Callable
from datetime import datetime
from functools import wraps
from typing import Any, Final, cast

from flask import Flask, Response, current_app, g, json, request
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session
from werkzeug.datastructures import WWWAuthenticate
from werkzeug.exceptions import TooManyRequests, Unauthorized

from api.auth.keys import KeyCaller, caller_of
from api.context import sessions, settings
from api.rest.protocol import idempotency, limits
from harvesters.pushing import Signed, admit
from library import audit
from library.clock import utc_now
from library.db import reading
from library.errors import NotAllowed, NotFound

Inner = Callable[..., object]
"""A view whose answer is a model or row, until `output` makes a response of it."""
View = Callable[..., ResponseReturnValue]
LIMIT: Final = "HAMKHAN_CALLS_PER_MINUTE"
SIGNATURE: Final = ("Hamkhan-Source", "Hamkhan-Time", "Hamkhan-Signature")
"""Headers of a signed body: the source's code, seconds since 1970, HMAC in hex."""
_GREATEST_ID: Final = 2**31 - 1
_REPLAYED_HEADERS: Final = ("ETag", "Location")


def reads(family: str) -> Callable[[Inner], View]:
    """Let keys with `read:family` in; the view gets (session, caller)."""

    def decorate(view: Inner) -> View:
        @wraps(view)
        def behind(**arguments: Any) -> ResponseReturnValue:
            caller = _come_in(f"read:{family}", arguments)
            with reading(sessions()) as session:
                answer = _response(view(session, caller, **arguments))
            _write_down_reads(caller)
            return answer

        return _marked(behind, f"read:{family}")

    return decorate


def writes(family: str) -> Callable[[Inner], View]:
    """Let keys with `write:family` in; the view gets (session, caller).

    A POST with an Idempotency-Key is done once.
    """

    def decorate(view: Inner) -> View:
        @wraps(view)
        def behind(**arguments: Any) -> ResponseReturnValue:
            caller = _come_in(f"write:{family}", arguments)
            with sessions().begin() as session:
                once = _once(caller)
                kept = once and idempotency.begin(session, once, at=utc_now())
                if kept:
                    return _replayed(kept)
                answer = _response(view(session, caller, **arguments))
                if once:
                    idempotency.finish(session, once, _kept(answer))
            return answer

        return _marked(behind, f"write:{family}")

    return decorate


def acts(family: str) -> Callable[[Inner], View]:
    """Let keys with `write:family` in; the view gets (caller), and no transaction."""

    def decorate(view: Inner) -> View:
        @wraps(view)
        def behind(**arguments: Any) -> ResponseReturnValue:
            return _response(view(_come_in(f"write:{family}", arguments), **arguments))

        return _marked(behind, f"write:{family}")

    return decorate


def signed(view: Inner) -> View:
    """Let bodies in that a source has signed; the view gets (session, source)."""

    @wraps(view)
    def behind(**arguments: Any) -> ResponseReturnValue:
        at = utc_now()
        told = Signed(*(request.headers.get(name, "") for name in SIGNATURE))
        try:
            with sessions().begin() as session:
                source = admit(session, settings(), told, request.get_data(), at=at)
                _count(session, f"push:{source.code}", at=at)
                _refuse_if_used_up()
                return _response(view(session, source, **arguments))
        except NotAllowed as error:
            raise Unauthorized(
                f"{error}; it goes into {', '.join(SIGNATURE)}",
                www_authenticate=WWWAuthenticate("signature", {"realm": "hamkhan"}),
            ) from error

    behind.is_signed = True  # type: ignore[attr-defined]
    return behind


def is_signed(view: object) -> bool:
    """Tell whether a view takes signed bodies instead of a key."""
    return getattr(view, "is_signed", False)


def takes(content_type: str) -> Callable[[View], View]:
    """Say that a view reads the whole body itself, of this type."""

    def decorate(view: View) -> View:
        view.content_type = content_type  # type: ignore[attr-defined]
        return view

    return decorate


def taken_by(view: object) -> str | None:
    """Return the type of body that a view reads itself; None if it reads none."""
    return getattr(view, "content_type", None)


def note_read(patron_id: int) -> None:
    """Have the audit say that this patron's data were read."""
    g.setdefault("patrons_read", []).append(patron_id)


def scope_of(view: object) -> str | None:
    """Return the scope a view asks for; None if it is open to all."""
    return getattr(view, "scope", None)


def tell_limits(app: Flask) -> None:
    """Have every answer to a key say what is left of its calls."""
    app.after_request(_tell_limits)


def _marked(view: View, scope: str) -> View:
    view.scope = scope  # type: ignore[attr-defined]
    return view


def _response(answer: object) -> Response:
    return current_app.make_response(cast(ResponseReturnValue, answer))


def _come_in(scope: str, arguments: dict[str, Any]) -> KeyCaller:
    at = utc_now()
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    with sessions().begin() as session:
        known = scheme.lower() == "bearer" and caller_of(session, token.strip(), at=at)
        if not known:
            raise Unauthorized(
                "send a valid key: Authorization: Bearer hamkhan_…",
                www_authenticate=WWWAuthenticate("bearer", {"realm": "hamkhan"}),
            )
        _count(session, known.name, at=at)
    _refuse_if_used_up()
    known.needs(scope)
    _check_ids(arguments)
    return known


def _count(session: Session, caller: str, *, at: datetime) -> None:
    limit = cast(int, current_app.config[LIMIT])
    g.allowance = limits.take(session, caller, limit=limit, at=at)


def _refuse_if_used_up() -> None:
    if g.allowance.used_up:
        raise TooManyRequests(f"{g.allowance.limit} calls a minute")


def _check_ids(arguments: dict[str, Any]) -> None:
    # No column can hold more; the database would take it for a fault of ours.
    for name, value in arguments.items():
        if isinstance(value, int) and value > _GREATEST_ID:
            raise NotFound(f"no {name.removesuffix('_id')} {value}")


def _once(caller: KeyCaller) -> idempotency.Request | None:
    key = request.headers.get("Idempotency-Key")
    if key is None or request.method != "POST":
        return None
    route = f"POST {request.path}"[:200]
    return idempotency.Request(caller.name, key, route, request.get_data())


def _kept(answer: Response) -> idempotency.Answer:
    headers = {n: answer.headers[n] for n in _REPLAYED_HEADERS if n in answer.headers}
    body = answer.get_json() if answer.is_json else None
    return idempotency.Answer(answer.status_code, headers, body)


def _replayed(kept: idempotency.Answer) -> Response:
    body = None if kept.body is None else json.dumps(kept.body)
    answer = Response(body, kept.status, mimetype="application/json")
    answer.headers.update(kept.headers)
    answer.headers["Idempotency-Replayed"] = "true"
    return answer


def _write_down_reads(caller: KeyCaller) -> None:
    patron_ids: list[int] = g.pop("patrons_read", [])
    if not patron_ids:
        return
    with sessions().begin() as session:
        for patron_id in patron_ids:
            audit.record(
                session,
                "patron.read",
                at=utc_now(),
                by=caller.actor,
                after={"route": request.endpoint},
                patron=audit.patron_hash(settings().secret, patron_id),
            )


def _tell_limits(response: Response) -> Response:
    allowance: limits.Allowance | None = g.get("allowance")
    if allowance:
        response.headers.update(limits.headers(allowance))
    return response
