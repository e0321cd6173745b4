"""What "less of this" in a message opens: a page that asks, and a button that acts."""

import math
from dataclasses import dataclass

from flask import Blueprint, render_template, request
from sqlalchemy.orm import Session

from api import context
from api.pages.shelf_words import LESS_OF, LESSENED
from api.web.cards import Card, make_cards
from api.web.security import opened_by_link
from library.clock import utc_now
from library.db import reading
from library.errors import NotAllowed, NotFound
from library.tables import Alert, Patron
from library.vocabulary import ReasonKind
from notifier.links import read_less
from profiles.interests import show_interest
from profiles.lessening import is_lessened, lessen, ref_of, restore

bp = Blueprint("less", __name__)


@dataclass(frozen=True)
class _Asked:
    """The reason a link names, of whose alert."""

    alert: Alert
    place: int
    kind: ReasonKind
    ref: str

    @property
    def patron_id(self) -> int:
        return self.alert.patron_id

    @property
    def does(self) -> str:
        """To what it is done, as the words for it are kept."""
        own = self.kind in {ReasonKind.INTEREST, ReasonKind.LOAN}
        return self.kind.value if own else "suppression"


@bp.get("/less/<token>")
def ask(token: str) -> str | tuple[str, int]:
    """Say what the button will do; nothing is stored."""
    return _page(token)


@bp.post("/less/<token>")
@opened_by_link
def act(token: str) -> str | tuple[str, int]:
    """Do it, or take it back; twice is as once."""
    undone = request.form.get("do") == "undo"
    try:
        with context.sessions().begin() as session:
            asked = _asked(session, token)
            patron_id, kind, ref = asked.patron_id, asked.kind, asked.ref
            if undone:
                restore(session, patron_id, kind, ref, seen=_seen())
            else:
                lessen(session, patron_id, kind, ref, seen=_seen(), at=utc_now())
    except (NotAllowed, NotFound):
        return _over()
    return _page(token, done="undone" if undone else "done")


def _page(token: str, *, done: str | None = None) -> str | tuple[str, int]:
    try:
        with reading(context.sessions()) as session:
            asked = _asked(session, token)
            context.speak_to(session.get_one(Patron, asked.patron_id).language)
            card = _card(session, asked)
            lessened = is_lessened(session, asked.patron_id, asked.kind, asked.ref)
            weight = _weight(session, asked)
    except (NotAllowed, NotFound):
        return _over()
    return render_template(
        "less.html",
        token=token,
        card=card,
        why=card.why[asked.place],
        asks=LESS_OF[asked.does],
        did=LESSENED[asked.does],
        done=done,
        lessened=lessened or done == "done",
        seen=_seen() if done == "done" and _seen() is not None else weight,
    )


def _asked(session: Session, token: str) -> _Asked:
    link = read_less(context.settings().secret, token, at=utc_now())
    alert = session.get(Alert, link.alert_id)
    if alert is None or link.place >= len(alert.reasons):
        raise NotFound("this alert is no longer there")
    named = ref_of(alert.reasons[link.place])
    if named is None:
        raise NotFound("less of this cannot be had")
    return _Asked(alert, link.place, *named)


def _card(session: Session, asked: _Asked) -> Card:
    work = (asked.alert.work_id, asked.alert.reasons)
    (card,) = make_cards(session, context.reader(), asked.patron_id, [work])
    return card


def _weight(session: Session, asked: _Asked) -> float | None:
    if asked.kind is not ReasonKind.INTEREST:
        return None
    return show_interest(session, asked.patron_id, int(asked.ref)).weight


def _seen() -> float | None:
    """Return the weight the form was shown with; None where it has none."""
    try:
        weight = float(request.form.get("seen", ""))
    except ValueError:
        return None
    return weight if math.isfinite(weight) else None


def _over() -> tuple[str, int]:
    return render_template("link_over.html"), 410
