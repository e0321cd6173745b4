"""A patron's private feed, at an address that only the patron knows."""

from flask import Blueprint, request, url_for
from flask import session as browser
from werkzeug.wrappers import Response

from api import context
from api.web import forms
from api.web.error_pages import page
from library.clock import utc_now
from library.db import reading
from library.errors import NotFound
from notifier.feeds import ATOM, JSON, end, feed, renew
from notifier.links import feed_url

bp = Blueprint("feed", __name__)


@bp.get("/feed/<token>")
def show(token: str) -> Response | tuple[str, int]:
    """Answer with Atom, or with JSON Feed for who asks for it."""
    wants_json = (
        request.args.get("format") == "json"
        or request.accept_mimetypes.best_match([ATOM, JSON], ATOM) == JSON
    )
    try:
        with reading(context.sessions()) as session:
            found = feed(
                session,
                context.settings(),
                token,
                at=utc_now(),
                content_type=JSON if wants_json else ATOM,
            )
    except NotFound:
        return page(410)
    return Response(found.body, content_type=f"{found.content_type}; charset=utf-8")


@bp.post("/me/feed")
def change() -> Response:
    """Make a new address, which ends the old one, or end it altogether."""
    caller = context.me()
    with context.sessions().begin() as session:
        if forms.ticked("end"):
            end(session, caller.patron_id)
        else:
            token = renew(session, caller.patron_id)
            # Only its hash is kept, so it can be shown this once.
            browser["feed"] = feed_url(context.settings(), token)
    return forms.see(url_for("my_data.show", _anchor="feed"))
