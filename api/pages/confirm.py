"""A new address: asked for by a patron, and theirs once a link sent there was used."""

from flask import Blueprint, render_template, url_for
from werkzeug.wrappers import Response

from api import context
from api.pages import preferences
from api.web import forms, notices
from api.web.error_pages import page
from api.web.limits import within_limits
from api.web.security import opened_by_link
from library.clock import utc_now
from library.db import reading
from library.errors import InvalidInput, NotAllowed
from library.i18n.messages import _
from library.tables import ContactPoint, Patron
from library.vocabulary import Channel
from notifier.asked_for import queue_confirm
from notifier.links import read_confirm
from profiles import contacts

bp = Blueprint("confirm", __name__)


@bp.post("/me/address")
def add() -> Response | tuple[str, int]:
    """Send a link to an address that a patron wants to be reached at."""
    caller, at = context.me(), utc_now()
    point = None
    try:
        address = forms.text("address", longest=254)
        with context.sessions().begin() as session:
            if within_limits(session, "confirm", address) and within_limits(
                session, "confirm-by", str(caller.patron_id)
            ):
                point = contacts.ask_for(
                    session, caller.patron_id, Channel.EMAIL, address, at=at
                )
                if point.verified_at is None:
                    queue_confirm(session, context.settings(), point, at=at)
    except InvalidInput as fault:
        return preferences.page(fault), 422
    if point is None:
        return page(429)
    notices.tell(
        context.say(_("We wrote to this address. Press the button in that message."))
        if point.verified_at is None
        else context.say(_("This address is confirmed already."))
    )
    return forms.see(url_for("preferences.show"))


@bp.get("/confirm/<token>")
def ask(token: str) -> str | tuple[str, int]:
    """Say which address would be confirmed; nothing is stored."""
    return _page(token, done=False)


@bp.post("/confirm/<token>")
@opened_by_link
def act(token: str) -> str | tuple[str, int]:
    """Take the address as its patron's own; twice is as once."""
    point_id = _read(token)
    with context.sessions().begin() as session:
        found = session.get(ContactPoint, point_id) if point_id else None
        if found and (found.verified_at is None or found.stopped_at):
            contacts.verify(session, found.id, at=utc_now())
    return _page(token, done=True)


def _page(token: str, *, done: bool) -> str | tuple[str, int]:
    point_id = _read(token)
    with reading(context.sessions()) as session:
        point = session.get(ContactPoint, point_id) if point_id else None
        if point:
            context.speak_to(session.get_one(Patron, point.patron_id).language)
    if point is None:
        return render_template("link_over.html"), 410
    return render_template(
        "confirm.html",
        token=token,
        address=point.address,
        done=done,
        so_already=point.verified_at is not None and point.stopped_at is None,
    )


def _read(token: str) -> int | None:
    try:
        return read_confirm(context.settings().secret, token, at=utc_now())
    except NotAllowed:
        return None
