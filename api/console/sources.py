"""Where bib records come from, and how each source's reading stands; failing first."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from flask import Blueprint, render_template, url_for
from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from api import context
from api.auth.principal import StaffCaller
from api.web import forms, notices
from harvesters.sources import start_over
from library import audit
from library.clock import utc_now
from library.db import reading
from library.errors import NotFound
from library.i18n.messages import _
from library.tables import BibRecord, Harvest, Rejection, Source
from library.vocabulary import SourceKind

bp = Blueprint("sources", __name__, url_prefix="/console")

RUNS = 20
REJECTIONS = 50
FILES = (SourceKind.CSV,)
"""Kinds that only an import brings: there is nothing to fetch."""


@dataclass(frozen=True)
class Health:
    """How a source stands."""

    source: Source
    last: Harvest | None
    last_success_at: datetime | None
    records: int
    fetched: bool

    @property
    def state(self) -> str:
        """One word: failing, waiting (never read), or fine."""
        if self.source.failures:
            return "failing"
        if self.fetched and self.last is None:
            return "waiting"
        return "fine"


@bp.get("", strict_slashes=False)
def show() -> str:
    """List the sources, failing ones first."""
    caller = context.librarian()
    with reading(context.sessions()) as session:
        health = [
            _health(session, source)
            for source in session.scalars(
                select(Source)
                .where(_of_branch(caller))
                .order_by(Source.failures.desc(), Source.code)
            )
        ]
    return render_template("console/sources.html", health=health, states=STATES)


@bp.get("/sources/<int:source_id>")
def log(source_id: int) -> str:
    """Show a source's last runs, and what could not be taken."""
    with reading(context.sessions()) as session:
        source = _source(session, source_id)
        runs = _runs(session, source_id)
        rejected = session.scalars(
            select(Rejection)
            .where(Rejection.harvest_id.in_([run.id for run in runs]))
            .order_by(Rejection.id.desc())
            .limit(REJECTIONS)
        ).all()
        health = _health(session, source)
    return render_template(
        "console/source.html",
        health=health,
        runs=runs,
        rejected=rejected,
        states=STATES,
    )


@bp.post("/sources/<int:source_id>/run")
def run(source_id: int) -> Response:
    """Make a source due now: the schedule reads it on its next turn.

    With `again` it is read whole, and what could not be taken is tried again.
    """
    caller, at = context.librarian(), utc_now()
    with context.sessions().begin() as session:
        source = _source(session, source_id)
        if forms.ticked("again"):
            start_over(source, at=at)
        source.next_check_at = at
        audit.record(
            session,
            "source.run",
            at=at,
            by=audit.Actor(staff_id=caller.staff_id),
            table="source",
            row_id=source.id,
        )
    notices.tell(context.say(_("%(code)s is due now."), code=source.code))
    return forms.see(url_for("sources.log", source_id=source_id))


STATES = {
    "failing": _("failing"),
    "waiting": _("never read yet"),
    "fine": _("fine"),
}


def _of_branch(caller: StaffCaller) -> ColumnElement[bool]:
    """A branch's librarian sees its sources, and those of all branches."""
    if caller.branch_id is None:
        return Source.id.is_not(None)
    return or_(Source.branch_id == caller.branch_id, Source.branch_id.is_(None))


def _source(session: Session, source_id: int) -> Source:
    found = session.scalar(
        select(Source).where(Source.id == source_id, _of_branch(context.librarian()))
    )
    if found is None:
        raise NotFound(f"no source {source_id}")
    return found


def _health(session: Session, source: Source) -> Health:
    runs = _runs(session, source.id, limit=1)
    succeeded = session.scalar(
        select(func.max(Harvest.ended_at)).where(
            Harvest.source_id == source.id, Harvest.cause.is_(None)
        )
    )
    records = session.scalar(
        select(func.count()).where(
            BibRecord.source_id == source.id, BibRecord.withdrawn_at.is_(None)
        )
    )
    return Health(
        source=source,
        last=runs[0] if runs else None,
        last_success_at=succeeded,
        records=records or 0,
        fetched=source.kind not in FILES,
    )


def _runs(session: Session, source_id: int, limit: int = RUNS) -> Sequence[Harvest]:
    return session.scalars(
        select(Harvest)
        .where(Harvest.source_id == source_id)
        .order_by(Harvest.started_at.desc(), Harvest.id.desc())
        .limit(limit)
    ).all()
