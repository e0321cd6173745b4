"""Is a new model version no worse than the one in use? On loans neither has seen.

All is fitted once on the loans before a day, and looks for those after it, the new
blend beside the one in use. That one is compared by its weights on the same parts: its
own vectors know the loans of its last weeks. Popularity and the latest arrivals stand
beside, since a model that does not beat them is not worth its keep.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from recommender.arrays import (
    FloatArray,
    History,
    IntArray,
    Loans,
    WorksText,
    build_history,
)
from recommender.blend import Softening
from recommender.figures import Line, find_line, lines_of
from recommender.groups import Names
from recommender.measure import Question, Scorers, measure
from recommender.parts import latest
from recommender.parts.roster import fit_parts
from recommender.scoring import Model, Stratum, reweigh, score_block
from recommender.splits import (
    MOST_PATRONS,
    Split,
    cold_works,
    hold_out,
    question_of,
    warm_works,
)
from recommender.tuning import fit_model

TOLERANCE = 0.01
"""Relative loss of NDCG that still counts as no worse: chance moves it by more."""
FEWEST = 20
"""Measured patrons below which chance would decide."""
OURS, IN_USE = "hamkhan", "in use"
WARM, COLD = "warm", "cold"


@dataclass(frozen=True)
class InUse:
    """The blend of the version in use; empty where there is none.

    Attributes:
        weights: By stratum and part.
        softening: By stratum.
    """

    weights: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    softening: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Comparison:
    """What was measured before a version is put in use.

    Attributes:
        day: First ordinal day of the loans to be found; None where chance divided.
        lines: Empty when there were too few loans to tell anything.
    """

    day: int | None
    lines: Sequence[Line]


def compare(
    loans: Loans, texts: WorksText, names: Names, in_use: InUse, *, seed: int
) -> Comparison:
    """Measure the new blend beside the weights in use, popularity and latest."""
    split = hold_out(loans, seed=seed)
    if split is None:
        return Comparison(None, ())
    model = fit_model(split.loans, texts, today=split.day, seed=seed)
    history = build_history(split.loans, today=split.day)
    before = _as_in_use(model, in_use, history, texts)
    newest = latest.fit(history, texts.arrived)
    questions = {
        WARM: _question(split, warm_works(split.loans), seed, left_out=True),
        COLD: _question(split, cold_works(split), seed, left_out=False),
    }
    lines = [
        line
        for protocol, question in questions.items()
        for line in lines_of(
            protocol,
            question,
            measure(question, _scorers(model, before, history, newest, question)),
            names,
        )
    ]
    return Comparison(split.day, lines)


def find_fault(comparison: Comparison) -> str | None:
    """Say in what the new version is worse than the one in use; None if in nothing."""
    for protocol in (WARM, COLD):
        ours = find_line(comparison.lines, protocol, OURS)
        before = find_line(comparison.lines, protocol, IN_USE)
        if ours is None or before is None or ours.patrons < FEWEST:
            continue
        if ours.value < before.value * (1 - TOLERANCE):
            return (
                f"worse than the version in use: NDCG@10 {ours.value:.4f} "
                f"against {before.value:.4f} ({protocol})"
            )
    return None


def _question(
    split: Split, candidates: IntArray, seed: int, *, left_out: bool
) -> Question:
    return question_of(
        split, candidates, left_out=left_out, most_patrons=MOST_PATRONS, seed=seed
    )


def _scorers(
    model: Model,
    before: Model | None,
    history: History,
    newest: FloatArray,
    question: Question,
) -> Scorers:
    candidates = question.candidates
    popular = question.popularity.astype(np.float32)

    def scorers(rows: IntArray) -> dict[str, FloatArray]:
        block = history.take(rows)
        found = {
            OURS: score_block(model, block, candidates),
            "popularity": np.tile(popular, (len(rows), 1)),
            "latest": latest.score(newest, len(rows), candidates),
        }
        if before is not None:
            found[IN_USE] = score_block(before, block, candidates)
        return found

    return scorers


def _as_in_use(
    model: Model, in_use: InUse, history: History, texts: WorksText
) -> Model | None:
    """Return the model with the blend in use, its missing parts fitted as well."""
    if not in_use.weights:
        return None
    there = {part.name for part in model.parts}
    named = {name for by_part in in_use.weights.values() for name in by_part}
    more = fit_parts(history, texts, model.texts, seed=model.seed, wanted=named - there)
    softening = {Stratum(n): Softening(how) for n, how in in_use.softening.items()}
    return replace(
        reweigh(model, in_use.weights),
        parts=(*model.parts, *more),
        softening={**model.softening, **softening},
    )
