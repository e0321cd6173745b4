"""Make a model version: read, fit, compare, save, put in use if it is no worse."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime

import numpy as np
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from library.db import Sessions, reading
from library.errors import ServiceError, TrainingFailed
from library.jobs import Progress, no_progress
from library.settings import Settings
from library.tables import BlendWeight, Evaluation, ModelVersion
from library.vocabulary import ModelState
from recommender.arrays import IntArray, Loans, WorksText, is_dated
from recommender.catalogue import read_texts, read_work_ids
from recommender.comparison import (
    IN_USE,
    NEW,
    Blend,
    Comparison,
    compare,
    find_fault,
)
from recommender.groups import read_groups
from recommender.interactions import NO_IDS, Codes, Signals, read_codes, read_signals
from recommender.popular import most_borrowed
from recommender.scoring import Model
from recommender.tuning import fit_model
from recommender.versions import (
    Served,
    file_of,
    find_current,
    promote,
    rollback,
    save_model,
)

__all__ = ["TrainingReport", "WeightRow", "rollback", "train"]

STEPS = 4


@dataclass(frozen=True)
class Material:
    """All that a model is fitted on.

    Attributes:
        works: Shape (columns,), ids, rising.
        texts: What is written about them.
        codes: Of branches and categories.
        signals: Of the patrons who agreed to it.
    """

    works: IntArray
    texts: WorksText
    codes: Codes
    signals: Signals


@dataclass(frozen=True)
class WeightRow:
    """What a part weighs in a stratum, beside how good it is alone there."""

    stratum: str
    part: str
    weight: float
    alone: float | None


@dataclass(frozen=True)
class TrainingReport:
    """What a training made.

    Attributes:
        state: "current" when it was put in use, "candidate" when it was worse.
        cause: Why it was not put in use.
        weights: The blend.
    """

    model_version_id: int
    state: str
    cause: str | None
    loans: int
    patrons: int
    works: int
    seconds: float
    weights: list[WeightRow]


def train(
    sessions: Sessions,
    settings: Settings,
    *,
    at: datetime,
    seed: int = 0,
    progress: Progress = no_progress,
) -> TrainingReport:
    """Train a model version; whatever goes wrong, the one in use stays.

    No transaction is open while anything is fitted.

    Raises:
        TrainingFailed: It could not be made; its row says why.
    """
    began = time.monotonic()
    version_id = _begin(sessions, seed, at)
    try:
        with reading(sessions) as session:
            material = read_material(session, at=at)
            names = read_groups(session, material.signals.patrons)
            in_use = _in_use(session)
        progress(1, STEPS)
        loans, texts = material.signals.loans, material.texts
        model = fit_model(loans, texts, today=today_of(loans, at), seed=seed)
        progress(2, STEPS)
        blends = {NEW: blend_of(model), IN_USE: in_use}
        comparison = compare(loans, texts, names, blends, seed=seed)
        progress(3, STEPS)
        served = serve(material, model, version_id=version_id)
        sha256 = save_model(settings, served)
    except Exception as error:
        _fail(sessions, version_id, error)
        if isinstance(error, ServiceError | OSError | MemoryError):
            raise TrainingFailed(f"training failed: {error}") from error
        raise
    with sessions.begin() as session:
        version = session.get_one(ModelVersion, version_id)
        version.file, version.sha256 = file_of(settings, version_id).name, sha256
        _describe(version, material, model, comparison)
        session.add_all(_rows(version_id, model, comparison))
        settle(session, version, comparison, at=at)
        state, cause = version.state, version.cause
    progress(STEPS, STEPS)
    return TrainingReport(
        model_version_id=version_id,
        state=state.value,
        cause=cause,
        loans=len(loans.row),
        patrons=len(np.unique(loans.row)),
        works=len(material.works),
        seconds=round(time.monotonic() - began, 2),
        weights=weights_of(model),
    )


def read_material(
    session: Session, *, at: datetime, leave_out: Collection[int] = NO_IDS
) -> Material:
    """Read what may be learnt from up to `at`, without the loans in `leave_out`."""
    works, codes = read_work_ids(session), read_codes(session)
    signals = read_signals(session, works, codes, at=at, leave_out=leave_out)
    return Material(works, read_texts(session, works), codes, signals)


def today_of(loans: Loans, at: datetime) -> int | None:
    """Return the day from which age is counted; None where no loan has a date."""
    return None if loans.day is None else at.astimezone(UTC).date().toordinal()


def serve(material: Material, model: Model, *, version_id: int) -> Served:
    """Put a model together with what its arrays stand for."""
    loans, works, codes = material.signals.loans, material.works, material.codes
    pairs = np.unique(loans.row * max(loans.n_works, 1) + loans.column)
    columns = pairs % max(loans.n_works, 1)
    return Served(
        version_id=version_id,
        key="",
        works=works,
        model=model,
        borrowed=np.bincount(columns, minlength=len(works)).astype(np.int64),
        codes=codes,
        dated=is_dated(loans),
        popular=most_borrowed(loans, works, codes),
    )


def settle(
    session: Session, version: ModelVersion, comparison: Comparison, *, at: datetime
) -> None:
    """Put a version in use unless it is worse; the cause then stands in its row."""
    version.state, version.cause = ModelState.CANDIDATE, find_fault(comparison)
    if version.cause is None:
        promote(session, version, at=at)


def blend_of(model: Model) -> Blend:
    """Return how the model mixes its parts, in words that can be stored."""
    weights = {str(name): by_part for name, by_part in model.weights.items()}
    softening = {str(name): str(how) for name, how in model.softening.items()}
    return Blend(weights, softening)


def weights_of(model: Model) -> list[WeightRow]:
    """Return what the parts weigh, with their own quality, by stratum and part."""
    alone = {(row.stratum, row.part): row.ndcg for row in model.table}
    weights = {
        (stratum, part): weight
        for stratum, by_part in model.weights.items()
        for part, weight in by_part.items()
    }
    return [
        WeightRow(*key, float(weights.get(key, 0.0)), alone.get(key))
        for key in sorted(weights.keys() | alone.keys())
    ]


def _begin(sessions: Sessions, seed: int, at: datetime) -> int:
    """Store a version to be; one that a crash left half made is marked as failed."""
    unfinished = ModelVersion.state == ModelState.CANDIDATE, ModelVersion.file.is_(None)
    with sessions.begin() as session:
        session.execute(
            update(ModelVersion)
            .where(*unfinished)
            .values(state=ModelState.FAILED, cause="broken off")
        )
        version = ModelVersion(state=ModelState.CANDIDATE, seed=seed, created_at=at)
        session.add(version)
        session.flush()
        return version.id


def _fail(sessions: Sessions, version_id: int, error: Exception) -> None:
    with sessions.begin() as session:
        version = session.get_one(ModelVersion, version_id)
        version.state = ModelState.FAILED
        version.cause = f"{type(error).__name__}: {error}"[:500]


def _in_use(session: Session) -> Blend:
    version = find_current(session)
    if version is None:
        return Blend()
    weights: dict[str, dict[str, float]] = {}
    mine = BlendWeight.model_version_id == version.id
    for row in session.scalars(select(BlendWeight).where(mine)):
        if row.weight:
            weights.setdefault(row.stratum, {})[row.part] = row.weight
    return Blend(weights, version.settings.get("softening", {}))


def _describe(
    version: ModelVersion, material: Material, model: Model, comparison: Comparison
) -> None:
    version.settings = {"softening": blend_of(model).softening}
    loans = material.signals.loans
    version.loans, version.works = len(loans.row), len(material.works)
    version.patrons = len(np.unique(loans.row))
    if loans.day is not None and len(loans.day):
        version.data_from = _moment(int(loans.day.min()))
        version.data_to = _moment(int(loans.day.max()))
    if comparison.day is not None:
        version.split_at = _moment(comparison.day)


def _moment(day: int) -> datetime:
    return datetime.combine(date.fromordinal(day), datetime.min.time(), UTC)


def _rows(
    version_id: int, model: Model, comparison: Comparison
) -> Iterator[BlendWeight | Evaluation]:
    for row in weights_of(model):
        yield BlendWeight(
            model_version_id=version_id,
            stratum=row.stratum,
            part=row.part,
            weight=row.weight,
            alone=row.alone,
        )
    for line in comparison.lines:
        yield Evaluation(
            model_version_id=version_id,
            protocol=line.protocol,
            scorer=line.scorer,
            patron_group=line.group[:60],
            metric=line.metric,
            value=line.value,
            low=line.low,
            high=line.high,
            patrons=line.patrons,
        )
