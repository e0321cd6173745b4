"""Works and where each came from; a librarian joins and splits them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from flask import Blueprint, render_template, request, url_for
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from api import context
from api.web import forms, notices
from harvesters.regrouping import (
    join_works,
    recent_regroupings,
    split_work,
    undo_regrouping,
)
from library.audit import Actor
from library.clock import utc_now
from library.db import reading
from library.errors import InvalidInput, NotFound
from library.i18n.messages import _
from library.search import search_works
from library.tables import (
    BibRecord,
    Creator,
    JoinedWork,
    Regrouping,
    Source,
    Work,
    WorkCreator,
)
from library.vocabulary import RegroupingKind

bp = Blueprint("works", __name__, url_prefix="/console")

KINDS: Final = {
    RegroupingKind.JOIN: _("Joined: %(what)s"),
    RegroupingKind.SPLIT: _("Split off: %(what)s"),
}
_FOUND = 30


@dataclass(frozen=True)
class Edition:
    """A source's record of an edition, and what it said."""

    record: BibRecord
    source: Source

    @property
    def said(self) -> dict[str, Any]:
        """Title, creators and year as the source had them."""
        found: dict[str, Any] = self.record.raw.get("said", {})
        return found


@bp.get("/works")
def find() -> str:
    """Find works by words or ISBN."""
    context.librarian()
    query = request.args.get("q", "").strip()
    with reading(context.sessions()) as session:
        found = search_works(session, query, _FOUND) if query else []
    return render_template("console/works.html", query=query, found=found)


@bp.get("/works/<int:work_id>")
def show(work_id: int) -> str:
    """Show a work: its records by source, and what was done to it."""
    context.librarian()
    return _page(work_id)


@bp.post("/works/<int:work_id>/join")
def join(work_id: int) -> Response | tuple[str, int]:
    """Make another work part of this one."""
    by = _caller()
    try:
        other = forms.whole("other", 1, forms.HIGHEST_ID)
        with context.sessions().begin() as session:
            join_works(session, work_id, other, by=by, at=utc_now())
    except (InvalidInput, NotFound) as error:
        return _page(work_id, InvalidInput(str(error), field="other")), 422
    notices.tell(context.say(_("They are one work now.")))
    return forms.see(url_for("works.show", work_id=work_id))


@bp.post("/works/<int:work_id>/split")
def split(work_id: int) -> Response | tuple[str, int]:
    """Make the ticked records a work of their own."""
    by = _caller()
    ticked = [int(n) for n in request.form.getlist("record") if n.isdecimal()]
    try:
        with context.sessions().begin() as session:
            done = split_work(session, work_id, ticked, by=by, at=utc_now())
            made = done.other_id
    except InvalidInput as error:
        return _page(work_id, error), 422
    notices.tell(context.say(_("This is a work of its own now.")))
    return forms.see(url_for("works.show", work_id=made))


@bp.post("/regroupings/<int:regrouping_id>/undo")
def undo(regrouping_id: int) -> Response:
    """Take a join or split back."""
    with context.sessions().begin() as session:
        done = undo_regrouping(session, regrouping_id, by=_caller(), at=utc_now())
        work_id = done.work_id
    notices.tell(context.say(_("It is as it was before.")))
    return forms.see(url_for("works.show", work_id=work_id))


def _caller() -> Actor:
    return Actor(staff_id=context.librarian().staff_id)


def _page(work_id: int, fault: InvalidInput | None = None) -> str:
    query = request.args.get("q", "").strip()
    with reading(context.sessions()) as session:
        work = session.get(Work, work_id)
        if work is None:
            raise NotFound(f"no work {work_id}")
        joined = session.get(JoinedWork, work_id)
        found = search_works(session, query, _FOUND) if query else []
        return render_template(
            "console/work.html",
            work=work,
            part_of=session.get(Work, joined.into_id) if joined else None,
            creators=_creators(session, work_id),
            editions=_editions(session, work_id),
            done=_done(session, work_id),
            kinds=KINDS,
            query=query,
            found=[one for one in found if one.id != work_id],
            fault=fault,
        )


def _creators(session: Session, work_id: int) -> Sequence[str]:
    return session.scalars(
        select(Creator.name)
        .join(WorkCreator, WorkCreator.creator_id == Creator.id)
        .where(WorkCreator.work_id == work_id)
        .order_by(WorkCreator.position, Creator.id)
    ).all()


def _editions(session: Session, work_id: int) -> list[Edition]:
    rows = session.execute(
        select(BibRecord, Source)
        .join(Source, Source.id == BibRecord.source_id)
        .where(BibRecord.work_id == work_id)
        .order_by(Source.code, BibRecord.id)
    )
    return [Edition(record, source) for record, source in rows]


def _done(session: Session, work_id: int) -> list[tuple[Regrouping, Work]]:
    """Return what was done to a work, each with the other work in it."""
    return [
        (one, session.get_one(Work, _other(one, work_id)))
        for one in recent_regroupings(session, work_id)
    ]


def _other(done: Regrouping, work_id: int) -> int:
    return done.other_id if done.work_id == work_id else done.work_id
