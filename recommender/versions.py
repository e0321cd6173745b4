"""Model versions: which one is in use, its file, and going back to the one before.

Exactly one version is current. The very first is untrained: it has no file, and what it
matches rests on interests and rules alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from pathlib import Path

import numpy as np
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from library.db import Lock, Sessions, hold
from library.errors import Conflict, NotFound
from library.settings import Settings
from library.tables import ModelVersion, Work
from library.vocabulary import ModelState
from recommender.arrays import IntArray
from recommender.artifacts import open_arrays, pack_words, save_arrays, unpack_words
from recommender.catalogue import read_texts
from recommender.interactions import Codes
from recommender.popular import Popular
from recommender.scoring import Model, extend
from recommender.storing import arrays_of, model_of

_MODEL = "model/"


@dataclass(frozen=True)
class Served:
    """A model with what its arrays stand for; works only, never a patron.

    Attributes:
        version_id: Its row.
        key: What never is the same for two trainings: path and hash of its file.
        works: Shape (columns,), ids, rising.
        model: A patron is folded in from the history.
        borrowed: By how many patrons each work of the training was borrowed.
        codes: Of branches and categories, as the training saw them.
        dated: The library's loans carry an order in time.
        popular: Branch id to the works borrowed most there, by how many patrons.
    """

    version_id: int
    key: str
    works: IntArray
    model: Model
    borrowed: IntArray
    codes: Codes
    dated: bool
    popular: Mapping[int, Popular]


def find_current(session: Session) -> ModelVersion | None:
    """Return the version in use, if there is one."""
    return session.scalar(
        select(ModelVersion).where(ModelVersion.state == ModelState.CURRENT)
    )


def ensure_version(sessions: Sessions, *, at: datetime) -> int:
    """Return the id of the version in use, an untrained one made if there is none."""
    with sessions.begin() as session:
        hold(session.connection(), Lock.CHOOSING_A_MODEL)
        version = find_current(session)
        if version is None:
            version = ModelVersion(
                state=ModelState.CURRENT,
                seed=0,
                cause="untrained",
                created_at=at,
                promoted_at=at,
            )
            session.add(version)
            session.flush()
        return version.id


def list_versions(session: Session) -> Sequence[ModelVersion]:
    """Return all versions, newest first."""
    return session.scalars(select(ModelVersion).order_by(ModelVersion.id.desc())).all()


def file_of(settings: Settings, version_id: int) -> Path:
    """Return where a version's vectors are kept."""
    return settings.models / f"{version_id}.npz"


def save_model(settings: Settings, served: Served) -> str:
    """Write a version's file; return its SHA-256."""
    own = {
        "work_ids": served.works,
        "borrowed": served.borrowed,
        "branches": served.codes.branches,
        "categories": pack_words(served.codes.categories),
        "dated": np.array([served.dated]),
    }
    for branch, popular in served.popular.items():
        own[f"popular/{branch}"] = np.stack([popular.works, popular.patrons])
    arrays = {f"{_MODEL}{k}": v for k, v in arrays_of(served.model).items()}
    return save_arrays(file_of(settings, served.version_id), {**arrays, **own})


def load_current(session: Session, settings: Settings) -> Served | None:
    """Return the version in use with all works there are now; None when untrained.

    Works that came after the training are placed among their neighbours in content.
    Both are kept in memory until the version or the works change.

    Raises:
        NotFound: The file is gone or broken.
    """
    newest = select(func.max(Work.id)).scalar_subquery()
    in_use = ModelVersion.state == ModelState.CURRENT
    row = session.execute(select(ModelVersion, newest).where(in_use)).one_or_none()
    if row is None or row[0].file is None:
        return None
    version, last = row
    served = _load(version.id, settings.models / version.file, version.sha256 or "")
    return _with_later_works(session, served, last or 0)


def promote(session: Session, version: ModelVersion, *, at: datetime) -> None:
    """Put a version in use; the one before retires. Two at once wait for each other."""
    hold(session.connection(), Lock.CHOOSING_A_MODEL)
    session.execute(
        update(ModelVersion)
        .where(ModelVersion.state == ModelState.CURRENT)
        .values(state=ModelState.RETIRED)
    )
    version.state = ModelState.CURRENT
    version.promoted_at = at
    session.flush()


def rollback(sessions: Sessions, *, at: datetime) -> int:
    """Go back to the version that was in use before; return its id.

    The one left behind is marked as candidate with the cause, so that going back twice
    goes back two steps.

    Raises:
        Conflict: There is none to go back to.
    """
    with sessions.begin() as session:
        hold(session.connection(), Lock.CHOOSING_A_MODEL)
        before = session.scalar(
            select(ModelVersion)
            .where(
                ModelVersion.state == ModelState.RETIRED,
                ModelVersion.promoted_at.is_not(None),
            )
            .order_by(ModelVersion.promoted_at.desc(), ModelVersion.id.desc())
            .limit(1)
        )
        if before is None:
            raise Conflict("there is no earlier model version to go back to")
        left = find_current(session)
        promote(session, before, at=before.promoted_at or at)
        if left is not None:
            left.state = ModelState.CANDIDATE
            left.cause = f"rolled back at {at:%Y-%m-%d %H:%M} UTC"
        return before.id


@lru_cache(maxsize=2)
def _load(version_id: int, path: Path, sha256: str) -> Served:
    arrays = open_arrays(path)
    if "work_ids" not in arrays:
        raise NotFound(f"{path}: not a model file; train again")
    model = {k.removeprefix(_MODEL): v for k, v in arrays.items() if _MODEL in k}
    return Served(
        version_id=version_id,
        key=f"{path} {sha256}",
        works=arrays["work_ids"],
        model=model_of(model),
        borrowed=arrays["borrowed"],
        codes=Codes(arrays["branches"], unpack_words(arrays["categories"])),
        dated=bool(arrays["dated"][0]),
        popular={
            int(name.removeprefix("popular/")): Popular(table[0], table[1])
            for name, table in arrays.items()
            if name.startswith("popular/")
        },
    )


_extended: dict[str, Served] = {}
"""The last extension, by key; the threads of one process share it."""


def _with_later_works(session: Session, served: Served, newest: int) -> Served:
    known = _extended.get(served.key, served)
    last = int(known.works[-1]) if len(known.works) else 0
    if newest <= last:
        return known
    query = select(Work.id).where(Work.id > last).order_by(Work.id)
    later = np.array(session.scalars(query).all(), np.int64)
    if len(later):
        model = extend(known.model, read_texts(session, later))
        works = np.concatenate([known.works, later])
        known = replace(served, works=works, model=model)
        _extended.clear()
        _extended[served.key] = known
    return known
