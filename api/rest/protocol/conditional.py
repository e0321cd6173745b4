"""Changes only to the state the caller has seen, and answers only when it is new."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from flask import Response, request
from werkzeug.exceptions import PreconditionFailed, PreconditionRequired


def tag_of(state: Mapping[str, Any]) -> str:
    """Return the strong tag of a state, as JSON can hold it."""
    written = json.dumps(state, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(written.encode()).hexdigest()[:32]


def require_match(tag: str) -> None:
    """Let pass only a request made with this state in sight.

    Raises:
        PreconditionRequired: It does not say which state it has seen.
        PreconditionFailed: It has seen another.
    """
    if "If-Match" not in request.headers:
        raise PreconditionRequired("send If-Match with the ETag you have seen")
    if not request.if_match.contains(tag):
        raise PreconditionFailed("this has changed since; read it again")


def tagged(response: Response, tag: str) -> Response:
    """Add the tag; to a GET that knows this state already, answer 304."""
    response.set_etag(tag)
    response.headers["Cache-Control"] = "private, no-cache"
    response.make_conditional(request)
    return response
