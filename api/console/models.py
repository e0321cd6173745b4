"""Model versions: what each was made of, how its parts weigh, which one is in use."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flask import Blueprint, render_template, url_for
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from api import context
from api.web import forms, notices
from library import audit
from library.clock import utc_now
from library.db import reading
from library.errors import NotAllowed
from library.i18n.messages import _
from library.tables import BlendWeight, Evaluation, ModelVersion
from library.vocabulary import ModelState, StaffRole
from recommender.training import rollback

bp = Blueprint("models", __name__, url_prefix="/console")

SHOWN = 20
STATES = {
    ModelState.CANDIDATE: _("being tried"),
    ModelState.CURRENT: _("in use"),
    ModelState.RETIRED: _("was in use before"),
    ModelState.FAILED: _("not taken"),
}


@dataclass(frozen=True)
class Weights:
    """The weights of a version: a row per stratum, a column per part."""

    parts: tuple[str, ...]
    rows: Mapping[str, Mapping[str, BlendWeight]]


@bp.get("/models")
def show() -> str:
    """List the versions, the newest first, with the weights of the one in use."""
    caller = context.librarian()
    with reading(context.sessions()) as session:
        versions = session.scalars(
            select(ModelVersion).order_by(ModelVersion.id.desc()).limit(SHOWN)
        ).all()
        current = next((v for v in versions if v.state is ModelState.CURRENT), None)
        weights = _weights(session, current.id) if current else None
        figures = _figures(session, current.id) if current else []
    return render_template(
        "console/models.html",
        versions=versions,
        current=current,
        weights=weights,
        figures=figures,
        states=STATES,
        may_go_back=caller.role is StaffRole.SYSTEMS
        and any(v.state is ModelState.RETIRED for v in versions),
    )


@bp.post("/models/back")
def back() -> Response:
    """Go back to the version that was in use before."""
    caller, at = context.librarian(), utc_now()
    if caller.role is not StaffRole.SYSTEMS:
        raise NotAllowed("for systems librarians")
    version_id = rollback(context.sessions(), at=at)
    with context.sessions().begin() as session:
        audit.record(
            session,
            "model.rolled_back",
            at=at,
            by=audit.Actor(staff_id=caller.staff_id),
            table="model_version",
            row_id=version_id,
        )
    notices.tell(context.say(_("Version %(id)s is in use again."), id=version_id))
    return forms.see(url_for("models.show"))


def _weights(session: Session, version_id: int) -> Weights:
    rows: dict[str, dict[str, BlendWeight]] = {}
    for weight in session.scalars(
        select(BlendWeight)
        .where(BlendWeight.model_version_id == version_id)
        .order_by(BlendWeight.stratum, BlendWeight.part)
    ):
        rows.setdefault(weight.stratum, {})[weight.part] = weight
    return Weights(tuple(sorted({part for row in rows.values() for part in row})), rows)


def _figures(session: Session, version_id: int) -> Sequence[Evaluation]:
    return session.scalars(
        select(Evaluation)
        .where(Evaluation.model_version_id == version_id)
        .order_by(
            Evaluation.protocol,
            Evaluation.patron_group,
            Evaluation.metric,
            Evaluation.value.desc(),
            Evaluation.scorer,
        )
    ).all()
