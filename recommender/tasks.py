"""What the worker may ask of the recommender."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from library.jobs import Progress, Work
from library.runtime import Runtime
from profiles.inference import infer_all
from recommender.matching import MatchReport, match
from recommender.shelves import build_shelves
from recommender.training import TrainingReport, train


def train_model(
    runtime: Runtime,
    parameters: Mapping[str, Any],
    *,
    at: datetime,
    progress: Progress,
) -> TrainingReport:
    """Train; the parameter `seed` makes it another draw."""
    seed = int(parameters.get("seed", 0))
    return train(
        runtime.sessions, runtime.settings, at=at, seed=seed, progress=progress
    )


def match_works(
    runtime: Runtime,
    parameters: Mapping[str, Any],
    *,
    at: datetime,
    progress: Progress,
) -> MatchReport:
    """Match the new works with all patrons, or the one of parameter `patron_id`."""
    return match(
        runtime.sessions,
        runtime.settings,
        at=at,
        patron_id=parameters.get("patron_id"),
        progress=progress,
    )


def infer_interests(
    runtime: Runtime,
    parameters: Mapping[str, Any],  # noqa: ARG001 -- as every work has it
    *,
    at: datetime,
    progress: Progress,
) -> dict[str, int]:
    """Infer every consenting patron's interests anew from loans and verdicts."""
    return {"patrons": infer_all(runtime.sessions, at=at, progress=progress)}


def renew_shelves(
    runtime: Runtime,
    parameters: Mapping[str, Any],  # noqa: ARG001 -- as every work has it
    *,
    at: datetime,
    progress: Progress,
) -> object:
    """Build every patron's shelves."""
    return build_shelves(runtime.sessions, runtime.settings, at=at, progress=progress)


WORK: dict[str, Work] = {
    "infer": infer_interests,
    "train": train_model,
    "match": match_works,
    "shelves": renew_shelves,
}
