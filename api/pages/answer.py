"""What a verdict link in a message opens: a page that asks, and a button that acts."""

from flask import Blueprint, render_template, request
from sqlalchemy.orm import Session

from api import context
from api.pages.shelf_words import VERDICTS
from api.web.cards import Card, make_cards
from api.web.security import opened_by_link
from library.clock import utc_now
from library.db import reading
from library.errors import NotAllowed, NotFound
from library.tables import Alert, Delivery, Patron
from library.vocabulary import Channel, Verdict
from notifier.links import VerdictLink, read_verdict
from profiles.feedback import record_verdict

bp = Blueprint("answer", __name__)


@bp.get("/answer/<token>")
def ask(token: str) -> str | tuple[str, int]:
    """Say what the button will do; nothing is stored."""
    return _page(token, done=None)


@bp.post("/answer/<token>")
@opened_by_link
def act(token: str) -> str | tuple[str, int]:
    """Store the verdict, or take it back; twice is as once."""
    try:
        link = _read(token)
    except NotAllowed:
        return _over()
    verdict = _chosen(link)
    with context.sessions().begin() as session:
        alert = session.get(Alert, link.alert_id)
        if alert is None:
            raise NotFound("this alert is no longer there")
        record_verdict(
            session,
            patron_id=alert.patron_id,
            work_id=alert.work_id,
            verdict=verdict,
            via=_carrier(session, alert),
            at=utc_now(),
        )
    return _page(token, done=verdict or "undone")


def _carrier(session: Session, alert: Alert) -> Channel:
    """Return by which channel the alert, and the link with it, came."""
    delivery = session.get(Delivery, alert.delivery_id) if alert.delivery_id else None
    return delivery.channel if delivery else Channel.EMAIL


def _chosen(link: VerdictLink) -> Verdict | None:
    given = request.form.get("verdict")
    if given == "none":
        return None
    return Verdict(given) if given in set(Verdict) else link.verdict


def _page(token: str, *, done: str | None) -> str | tuple[str, int]:
    try:
        link = _read(token)
    except NotAllowed:
        return _over()
    with reading(context.sessions()) as session:
        card = _card(session, link)
    if card is None:
        return _over()
    return render_template(
        "answer.html",
        card=card,
        token=token,
        asked=link.verdict,
        done=done,
        verdicts=VERDICTS,
    )


def _card(session: Session, link: VerdictLink) -> Card | None:
    alert = session.get(Alert, link.alert_id)
    if alert is None:
        return None
    context.speak_to(session.get_one(Patron, alert.patron_id).language)
    work = (alert.work_id, alert.reasons)
    cards = make_cards(session, context.reader(), alert.patron_id, [work])
    return cards[0] if cards else None


def _read(token: str) -> VerdictLink:
    return read_verdict(context.settings().secret, token, at=utc_now())


def _over() -> tuple[str, int]:
    return render_template("link_over.html"), 410
