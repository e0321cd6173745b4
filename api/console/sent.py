"""What was sent, to whom, with what result; to send again or to cancel."""

from flask import Blueprint, render_template, request, url_for
from sqlalchemy import select
from werkzeug.wrappers import Response

from api import context
from api.console.asked_for import NOBODY, patron_asked_for
from api.web import forms, notices
from api.web.words import CAUSES, CHANNELS, STATES
from library import audit
from library.clock import utc_now
from library.db import reading
from library.errors import NotAllowed, NotFound, ServiceError
from library.i18n.messages import _
from library.tables import Delivery, Patron
from library.vocabulary import DeliveryState
from notifier.ledger import cancel, ledger, masked, resend
from notifier.outbox import OPEN

bp = Blueprint("sent", __name__, url_prefix="/console")

SHOWN = 200


@bp.get("/sent")
def show() -> str:
    """List the latest deliveries, of one state if asked."""
    asked = request.args.get("state", "")
    return _page(DeliveryState(asked) if asked in set(DeliveryState) else None)


@bp.post("/sent")
def of_patron() -> str | tuple[str, int]:
    """List one patron's alone, and write the look down; the address names nobody."""
    caller = context.librarian()
    try:
        with context.sessions().begin() as session:
            patron = patron_asked_for(
                session, caller, forms.text("patron"), "patron.messages_viewed"
            )
    except ServiceError:
        return _page(fault=NOBODY), 422
    return _page(patron=patron)


def _page(
    state: DeliveryState | None = None,
    *,
    patron: Patron | None = None,
    fault: str | None = None,
) -> str:
    caller = context.librarian()
    with reading(context.sessions()) as session:
        rows = ledger(
            session,
            patron_id=patron.id if patron else None,
            branch_id=caller.branch_id,
            limit=SHOWN,
            state=state,
        )
        patrons = {
            patron.id: patron
            for patron in session.scalars(
                select(Patron).where(Patron.id.in_({row.patron_id for row in rows}))
            )
        }
    return render_template(
        "console/sent.html",
        rows=rows,
        most=SHOWN,
        patrons=patrons,
        states=STATES,
        asked=state,
        seen=patron,
        fault=fault,
        masked=masked,
        causes=CAUSES,
        channels=CHANNELS,
        waiting=DeliveryState.PENDING,
        settled=set(DeliveryState).difference(OPEN),
    )


@bp.post("/sent/<int:delivery_id>/again")
def again(delivery_id: int) -> Response:
    """Deliver again, as a message of its own."""
    return _act(delivery_id, "again")


@bp.post("/sent/<int:delivery_id>/cancel")
def stop(delivery_id: int) -> Response:
    """Cancel a delivery that is not out yet."""
    return _act(delivery_id, "cancel")


def _act(delivery_id: int, what: str) -> Response:
    caller, at = context.librarian(), utc_now()
    with context.sessions().begin() as session:
        delivery = session.get(Delivery, delivery_id)
        if delivery is None:
            raise NotFound(f"no delivery {delivery_id}")
        patron = session.get_one(Patron, delivery.patron_id)
        if caller.branch_id not in (None, patron.branch_id):
            raise NotAllowed("another branch's patron")
        if what == "again":
            resend(session, delivery_id, at)
        else:
            cancel(session, delivery_id, at)
        audit.record(
            session,
            f"delivery.{what}",
            at=at,
            by=audit.Actor(staff_id=caller.staff_id),
            table="delivery",
            row_id=delivery_id,
            patron=audit.patron_hash(context.settings().secret, patron.id),
        )
    notices.tell(context.say(_("Done. The list shows it.")))
    return forms.see(url_for("sent.show"))
