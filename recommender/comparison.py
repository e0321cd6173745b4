"""Is a new model version no worse than the one in use? On loans neither has seen.

All is fitted once on the loans before a day, and looks for those after it. Three blends
mix the same parts: the one tuned before that day, which is the honest figure; the new
version's, and the one in use. The last two have both been tuned on later loans too, so
they are compared with each other and with nothing else. Popularity and the latest
arrivals stand beside: a model that does not beat them is not worth its keep.
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
OURS, NEW, IN_USE = "hamkhan", "new", "in use"
WARM, COLD = "warm", "cold"


@dataclass(frozen=True)
class Blend:
    """How a version mixes its parts; empty where there is none.

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
    loans: Loans,
    texts: WorksText,
    names: Names,
    blends: Mapping[str, Blend],
    *,
    seed: int,
) -> Comparison:
    """Measure on the last loans.

    Args:
        loans: All that may be learnt from.
        texts: Of the works.
        names: Groups of the patrons.
        blends: By scorer, besides the one tuned here.
        seed: Of every random step.
    """
    split = hold_out(loans, seed=seed)
    if split is None:
        return Comparison(None, ())
    model = fit_model(split.loans, texts, today=split.day, seed=seed)
    history = build_history(split.loans, today=split.day)
    models = {
        name: _mixing(model, blend, history, texts)
        for name, blend in blends.items()
        if blend.weights
    }
    newest = latest.fit(history, texts.arrived)
    questions = {
        WARM: _question(split, warm_works(split.loans), seed, left_out=True),
        COLD: _question(split, cold_works(split), seed, left_out=False),
    }
    models[OURS] = model
    lines: list[Line] = []
    for protocol, question in questions.items():
        scorers = _scorers(models, history, newest, question)
        lines += lines_of(protocol, question, measure(question, scorers), names)
    return Comparison(split.day, lines)


def find_fault(comparison: Comparison) -> str | None:
    """Say in what the new version is worse than the one in use; None if in nothing."""
    for protocol in (WARM, COLD):
        new = find_line(comparison.lines, protocol, NEW)
        before = find_line(comparison.lines, protocol, IN_USE)
        if new is None or before is None or new.patrons < FEWEST:
            continue
        if new.value < before.value * (1 - TOLERANCE):
            return (
                f"worse than the version in use: NDCG@10 {new.value:.4f} "
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
    models: Mapping[str, Model],
    history: History,
    newest: FloatArray,
    question: Question,
) -> Scorers:
    candidates = question.candidates
    popular = question.popularity.astype(np.float32)

    def scorers(rows: IntArray) -> dict[str, FloatArray]:
        block = history.take(rows)
        blended = {
            name: score_block(model, block, candidates)
            for name, model in models.items()
        }
        return {
            **blended,
            "popularity": np.tile(popular, (len(rows), 1)),
            "latest": latest.score(newest, len(rows), candidates),
        }

    return scorers


def _mixing(model: Model, blend: Blend, history: History, texts: WorksText) -> Model:
    """Return the model with another blend, the parts it lacks fitted as well."""
    there = {part.name for part in model.parts}
    named = {name for by_part in blend.weights.values() for name in by_part}
    more = fit_parts(history, texts, model.texts, seed=model.seed, wanted=named - there)
    softening = {Stratum(n): Softening(how) for n, how in blend.softening.items()}
    return replace(
        reweigh(model, blend.weights),
        parts=(*model.parts, *more),
        softening={**model.softening, **softening},
    )
