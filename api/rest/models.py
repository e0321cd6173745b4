"""Model versions: which one is in use, what it weighs, and going back."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pydantic import Field
from sqlalchemy import select
from sqlalchemy.orm import Session

from api.auth.keys import KeyCaller
from api.context import sessions
from api.rest.blueprint import part
from api.rest.doors import acts, reads
from api.rest.fields import Id, In, Out
from api.rest.lists import listed
from api.rest.protocol.paging import PageIn
from library import audit
from library.clock import utc_now
from library.db import reading
from library.errors import Conflict, NotAllowed, NotFound
from library.tables import BlendWeight, Evaluation, ModelVersion
from library.vocabulary import ModelState
from recommender.training import rollback

bp = part("models")


class ModelVersionOut(Out):
    """One training."""

    id: int
    state: ModelState
    seed: int
    data_from: datetime | None
    data_to: datetime | None
    loans: int
    patrons: int
    works: int
    cause: str | None
    created_at: datetime
    promoted_at: datetime | None


class ModelVersionsOut(Out):
    """A page of model versions."""

    items: list[ModelVersionOut]


class WeightOut(Out):
    """What a part weighs in a stratum, beside its own quality there."""

    stratum: str
    part: str
    weight: float
    alone: float | None


class EvaluationOut(Out):
    """One figure of one scorer on one group of patrons."""

    protocol: str
    scorer: str
    patron_group: str
    metric: str
    value: float
    low: float | None
    high: float | None
    patrons: int


class ModelVersionDetailOut(ModelVersionOut):
    """One training with its weights and figures."""

    weights: list[WeightOut]
    evaluations: list[EvaluationOut]


class RollbackIn(In):
    """Which version to leave, so that the same request twice goes back once."""

    leave: Id = Field(description="The id of the version in use.")


@bp.get("/model-versions")
@reads("models")
@bp.input(PageIn, location="query")
@bp.output(ModelVersionsOut)
def list_versions(
    session: Session, _caller: KeyCaller, query_data: PageIn
) -> tuple[dict[str, Any], int, dict[str, str]]:
    """List model versions, the newest first."""
    return listed(
        session,
        select(ModelVersion),
        ModelVersion.id,
        query_data,
        ModelVersionOut.model_validate,
        newest_first=True,
    )


@bp.get("/model-versions/<int:version_id>")
@reads("models")
@bp.output(ModelVersionDetailOut)
def get_version(
    session: Session, _caller: KeyCaller, version_id: int
) -> ModelVersionDetailOut:
    """Return a model version with its weights and figures."""
    return _detail(session, version_id)


@bp.post("/model-versions/rollback")
@acts("models")
@bp.input(RollbackIn)
@bp.output(ModelVersionDetailOut)
def roll_back(caller: KeyCaller, json_data: RollbackIn) -> ModelVersionDetailOut:
    """Go back to the version that was in use before; 409 if another one is in use."""
    if caller.branch_id is not None:
        raise NotAllowed("the model serves all branches, and this key is of one")
    _check_in_use(json_data.leave)
    version_id = rollback(sessions(), at=utc_now())
    with sessions().begin() as session:
        audit.record(
            session,
            "model.rolled_back",
            at=utc_now(),
            by=caller.actor,
            table="model_version",
            row_id=version_id,
            before={"current": json_data.leave},
            after={"current": version_id},
        )
    with reading(sessions()) as session:
        return _detail(session, version_id)


def _check_in_use(version_id: int) -> None:
    with reading(sessions()) as session:
        version = session.get(ModelVersion, version_id)
    if version is None:
        raise NotFound(f"no model version {version_id}")
    if version.state is not ModelState.CURRENT:
        raise Conflict(f"model version {version_id} is not in use")


def _detail(session: Session, version_id: int) -> ModelVersionDetailOut:
    version = session.get(ModelVersion, version_id)
    if version is None:
        raise NotFound(f"no model version {version_id}")
    return ModelVersionDetailOut(
        **dict(ModelVersionOut.model_validate(version)),
        weights=[WeightOut.model_validate(w) for w in _weights(session, version_id)],
        evaluations=[
            EvaluationOut.model_validate(e) for e in _evaluations(session, version_id)
        ],
    )


def _weights(session: Session, version_id: int) -> Sequence[BlendWeight]:
    return session.scalars(
        select(BlendWeight)
        .where(BlendWeight.model_version_id == version_id)
        .order_by(BlendWeight.stratum, BlendWeight.part)
    ).all()


def _evaluations(session: Session, version_id: int) -> Sequence[Evaluation]:
    return session.scalars(
        select(Evaluation)
        .where(Evaluation.model_version_id == version_id)
        .order_by(
            Evaluation.protocol,
            Evaluation.metric,
            Evaluation.patron_group,
            Evaluation.scorer,
        )
    ).all()
