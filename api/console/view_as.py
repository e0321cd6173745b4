"""A patron's page as the patron sees it, with scores and the rules in force.

Looking is a POST: each look is in the audit, and the patron's name is in no address.
"""

from flask import Blueprint, render_template
from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from api import context
from api.console.asked_for import NOBODY, patron_asked_for
from api.console.rules import ACTIONS
from api.web import forms
from api.web.cards import Card, make_cards
from api.web.words import SHELVES
from library.clock import utc_now
from library.db import reading
from library.errors import ServiceError
from library.tables import Rule
from recommender.shelves import Shelf, shelf_for

bp = Blueprint("view_as", __name__, url_prefix="/console")


@bp.get("/view-as")
def ask() -> str:
    """Ask for whom."""
    context.librarian()
    return render_template("console/view_as.html", patron_seen=None, fault=None)


@bp.post("/view-as")
def look() -> str | tuple[str, int]:
    """Show the patron's shelves, and write the look down."""
    caller, at = context.librarian(), utc_now()
    ref = forms.text("patron")
    try:
        with context.sessions().begin() as session:
            patron = patron_asked_for(session, caller, ref, "patron.viewed_as")
    except ServiceError:
        html = render_template("console/view_as.html", patron_seen=None, fault=NOBODY)
        return html, 422
    shelves = shelf_for(context.sessions(), context.settings(), patron.id, at=at)
    with reading(context.sessions()) as session:
        rows = [(shelf.code, _scored(session, patron.id, shelf)) for shelf in shelves]
        rules = session.scalars(
            select(Rule)
            .where(
                Rule.starts_at <= at,
                Rule.ends_at > at,
                or_(Rule.branch_id.is_(None), Rule.branch_id == patron.branch_id),
                or_(Rule.category.is_(None), Rule.category == patron.category),
            )
            .order_by(Rule.id)
        ).all()
    return render_template(
        "console/view_as.html",
        patron_seen=patron,
        rows=rows,
        rules=rules,
        actions=ACTIONS,
        titles=SHELVES,
        fault=None,
    )


def _scored(session: Session, patron_id: int, shelf: Shelf) -> list[tuple[Card, float]]:
    works = [(entry.work_id, entry.reasons) for entry in shelf.entries]
    scores = {entry.work_id: entry.score for entry in shelf.entries}
    cards = make_cards(session, context.reader(), patron_id, works)
    return [(card, scores[card.work_id]) for card in cards]
