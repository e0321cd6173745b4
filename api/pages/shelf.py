"""A patron's own page: shelves of works, each with its reasons and three answers."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from flask import Blueprint, render_template, request, url_for
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from api import context
from api.pages import layout, steps
from api.web import forms, notices
from api.web.cards import Card, explain, make_cards
from api.web.words import ALERTS, SAVED, SHELF_NOTES, SHELVES
from library.clock import utc_now
from library.db import reading
from library.errors import InvalidInput
from library.tables import Alert, Feedback, Patron
from library.vocabulary import Channel, Verdict
from notifier.contents import barred_works
from profiles import contacts
from recommender.shelves import shelf_for

bp = Blueprint("shelf", __name__)

ON_ONE_SHELF = 24
ON_A_PAGE = 50
_LATEST = 200
_LAST_PAGE = 10_000

Reasons = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Row:
    """A titled shelf as the page shows it."""

    code: str
    title: str
    note: str
    cards: list[Card]
    more: bool = False
    """Not all of it is shown here."""


@bp.get("/me", strict_slashes=False)
def show() -> str:
    """Show the patron's shelves, in the order the patron chose."""
    caller, at = context.me(), utc_now()
    suggested = shelf_for(
        context.sessions(), context.settings(), caller.patron_id, at=at
    )
    with reading(context.sessions()) as session:
        own = layout.of(session, caller.patron_id)
        found: dict[str, Sequence[tuple[int, Reasons]]] = {
            ALERTS: _alerted(session, caller.patron_id, limit=_LATEST),
            **{s.code: [(e.work_id, e.reasons) for e in s.entries] for s in suggested},
            SAVED: _saved(session, caller.patron_id),
        }
        rows = list(_rows(session, own.arranged(found), caller.patron_id))
        undo = steps.described(session, context.reader(), caller.patron_id)
        offer = steps.offered_suppression(session, caller.patron_id)
        point = contacts.address_of(session, caller.patron_id, Channel.EMAIL)
    return render_template(
        "shelf.html",
        rows=rows,
        layout=own,
        titles=SHELVES,
        undo=undo,
        offer=offer,
        point=point,
        level=3,
    )


@bp.get("/me/alerts")
def alerts() -> str:
    """Show all that the patron was told of and has not answered, page by page."""
    caller = context.me()
    number = min(max(request.args.get("page", 1, type=int), 1), _LAST_PAGE)
    with reading(context.sessions()) as session:
        skipped = (number - 1) * ON_A_PAGE
        found = _alerted(
            session, caller.patron_id, limit=ON_A_PAGE + 1, skipped=skipped
        )
        here = {ALERTS: found[:ON_A_PAGE]}
        (row,) = _rows(session, here, caller.patron_id, most=ON_A_PAGE)
        undo = steps.described(session, context.reader(), caller.patron_id)
        offer = steps.offered_suppression(session, caller.patron_id)
        density = layout.of(session, caller.patron_id).density
    return render_template(
        "alerts.html",
        row=row,
        undo=undo,
        offer=offer,
        density=density,
        level=2,
        newer=number - 1,
        older=number + 1 if len(found) > ON_A_PAGE else None,
    )


@bp.post("/me/verdict")
def answer() -> Response:
    """Store the patron's answer to a work; it can be taken back."""
    caller = context.me()
    work_id = forms.whole("work", 1, forms.HIGHEST_ID)
    given = request.form.get("verdict") or None
    verdict = forms.choice("verdict", Verdict) if given else None
    with context.sessions().begin() as session:
        steps.give_verdict(session, caller.patron_id, work_id, verdict, at=utc_now())
    return _back()


@bp.post("/me/less")
def less() -> Response:
    """Let a reason count less, or no more; it can be taken back."""
    caller = context.me()
    kind, _colon, ref = request.form.get("reason", "").partition(":")
    if not ref:
        raise InvalidInput("reason: names nothing", field="reason")
    with context.sessions().begin() as session:
        steps.lessen(session, caller.patron_id, kind, ref, at=utc_now())
    return _back()


@bp.post("/me/undo")
def undo() -> Response:
    """Take the latest action back."""
    caller = context.me()
    if step := notices.take_back():
        with context.sessions().begin() as session:
            steps.undo(session, caller.patron_id, step, at=utc_now())
    return _back()


@bp.post("/me/dismiss")
def dismiss() -> Response:
    """Put the notice of what can be undone away."""
    context.me()
    notices.dismiss()
    return _back()


@bp.post("/me/layout")
def arrange() -> Response:
    """Move, hide or show a shelf, change the density, or reset all."""
    caller = context.me()
    with context.sessions().begin() as session:
        layout.change(
            session,
            caller.patron_id,
            tuple(SHELVES),
            request.form.get("do", ""),
            request.form.get("shelf", ""),
        )
    return forms.see(url_for("shelf.show", _anchor="arrange"))


def _rows(
    session: Session,
    shelves: Mapping[str, Sequence[tuple[int, Reasons]]],
    patron: int,
    *,
    most: int = ON_ONE_SHELF,
) -> Iterator[Row]:
    """Yield the shelves with their cards; a work stands on the first it is on."""
    reader = context.reader()
    offered = {work_id for works in shelves.values() for work_id, _why in works}
    left_out = barred_works(
        session, session.get_one(Patron, patron), offered, at=utc_now()
    )
    # All at once: a query per shelf and side of a card would be forty.
    plain = make_cards(session, reader, patron, [(w, ()) for w in sorted(offered)])
    cards = {card.work_id: card for card in plain}
    placed: set[int] = set()
    for code, works in shelves.items():
        out = placed if code == SAVED else placed | left_out
        fitting = [
            replace(cards[work_id], why=explain(reader, reasons))
            for work_id, reasons in works
            if work_id in cards
            and work_id not in out
            and _belongs(cards[work_id], code)
        ]
        shown = fitting[:most]
        placed.update(card.work_id for card in shown)
        title = reader.say(SHELVES.get(code, code))
        yield Row(
            code,
            title,
            reader.say(SHELF_NOTES[code]) if code in SHELF_NOTES else "",
            shown,
            more=code == ALERTS and len(fitting) > most,
        )


def _belongs(card: Card, code: str) -> bool:
    """Tell whether a work, as it was answered, still stands on a shelf."""
    return card.verdict is None or (card.verdict is Verdict.WANTED and code == SAVED)


def _alerted(
    session: Session, patron_id: int, *, limit: int, skipped: int = 0
) -> list[tuple[int, Reasons]]:
    rows = session.execute(
        select(Alert.work_id, Alert.reasons)
        .outerjoin(
            Feedback,
            (Feedback.patron_id == Alert.patron_id)
            & (Feedback.work_id == Alert.work_id),
        )
        .where(
            Alert.patron_id == patron_id,
            Alert.withdrawn_at.is_(None),
            Feedback.id.is_(None),
        )
        .order_by(Alert.created_at.desc(), Alert.score.desc(), Alert.id)
        .limit(limit)
        .offset(skipped)
    )
    return list(rows)


def _saved(session: Session, patron_id: int) -> list[tuple[int, Reasons]]:
    rows: Iterable[tuple[int, Reasons | None]] = session.execute(
        select(Feedback.work_id, Alert.reasons)
        .outerjoin(
            Alert,
            (Feedback.patron_id == Alert.patron_id)
            & (Feedback.work_id == Alert.work_id),
        )
        .where(Feedback.patron_id == patron_id, Feedback.verdict == Verdict.WANTED)
        .order_by(Feedback.given_at.desc(), Feedback.id.desc())
        .limit(ON_ONE_SHELF)
    )
    return [(work_id, reasons or ()) for work_id, reasons in rows]


def _back() -> Response:
    path = request.form.get("next", "")
    return forms.see(context.own_path(path, url_for("shelf.show")))
