"""Addresses to which nothing is sent any more, and why; to be sent to again."""

from flask import Blueprint, render_template, url_for
from werkzeug.wrappers import Response

from api import context
from api.web import forms, notices
from api.web.words import TROUBLES
from library import audit
from library.clock import utc_now
from library.db import reading
from library.errors import NotAllowed
from library.i18n.messages import _
from library.tables import Patron
from notifier.ledger import masked
from profiles import contacts

bp = Blueprint("stopped", __name__, url_prefix="/console")


@bp.get("/stopped")
def show() -> str:
    """List the addresses that were stopped, the latest first."""
    caller = context.librarian()
    with reading(context.sessions()) as session:
        rows = contacts.stopped(session, branch_id=caller.branch_id)
    return render_template(
        "console/stopped.html", rows=rows, masked=masked, troubles=TROUBLES
    )


@bp.post("/stopped/<int:contact_point_id>/lift")
def lift(contact_point_id: int) -> Response:
    """Send there again, and forget what was counted."""
    caller = context.librarian()
    with context.sessions().begin() as session:
        point = contacts.restart(session, contact_point_id)
        patron = session.get_one(Patron, point.patron_id)
        if caller.branch_id not in (None, patron.branch_id):
            raise NotAllowed("another branch's patron")
        audit.record(
            session,
            contacts.LIFTED,
            at=utc_now(),
            by=audit.Actor(staff_id=caller.staff_id),
            patron=audit.patron_hash(context.settings().secret, patron.id),
        )
    notices.tell(context.say(_("Messages go there again.")))
    return forms.see(url_for("stopped.show"))
