"""Which of some works suit which patrons: one run's model, wishes and rules, together.

Matching and shelves both score here, so that what a page shows is what an alert tells.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
from scipy.sparse import coo_matrix, csr_matrix
from sqlalchemy import select
from sqlalchemy.orm import Session
from threadpoolctl import threadpool_limits

from library.settings import Settings
from library.tables import Branch
from profiles.experiments import running
from profiles.trials import Arm, Trial
from recommender import curation
from recommender.acquisitions import read_candidates, read_named
from recommender.arrays import FloatArray, History, IntArray, build_history
from recommender.audience import Audience, read_audience, read_nos
from recommender.candidates import Candidate, Candidates
from recommender.deeds import read_deeds
from recommender.dislikes import lower
from recommender.diversity import Sides, few_borrow
from recommender.explaining import Explanation, explain
from recommender.interactions import Signals, Stretch, find_places, make_signals
from recommender.metrics import BoolArray
from recommender.ranking import Chosen
from recommender.reasons import Cited, Evidence, as_json, build_reasons
from recommender.rules import rules_for
from recommender.scoring import Model, Shares, Stratum, reweigh, score_by_part
from recommender.stated import Hits, find_hits
from recommender.strengths import Strengths, read_strengths
from recommender.versions import Served, load_current

CITED = 5
"""Loans that are looked up for the reasons of one match."""
NOBODYS: IntArray = np.empty(0, np.int64)
COMMON_SHARE = 0.8
"""Quantile of loans above which a work is among the most borrowed."""


@dataclass(frozen=True)
class Run:
    """What is the same for all patrons.

    Attributes:
        at: The moment of the run.
        candidates: The works in question.
        served: The model in use; None while there is none.
        columns: Shape (candidates,), their columns in the model.
        rules: In force.
        floors: Branch id to the least score worth telling.
        sides: Of the candidates, for variety.
        trial: The experiment that is running.
        strengths: What each kind of signal weighs.
        named: Works by id that reasons named before; grows.
    """

    at: datetime
    candidates: Candidates
    served: Served | None
    columns: IntArray
    rules: Sequence[curation.Rule]
    floors: Mapping[int, float]
    sides: Sequence[Sides]
    trial: Trial | None = None
    strengths: Strengths = field(default_factory=Strengths)
    named: dict[int, Candidate] = field(default_factory=dict)


@dataclass(frozen=True)
class Block:
    """Some patrons with all that is read of them.

    Attributes:
        audience: A row each.
        history: Of those who agreed to learning; in the order of `rows`.
        rows: Shape (learning patrons,), their rows in the audience.
        hits: Where their interests fit.
        nos: Shape (patrons, candidates), what is out of the question.
        disliked: Patrons x the model's works, how much each "not for me" says now.
    """

    audience: Audience
    history: History | None
    rows: IntArray
    hits: Hits
    nos: BoolArray
    disliked: csr_matrix | None = None

    @property
    def asked(self) -> tuple[IntArray, IntArray]:
        """Rows and places that an interest brings which the patron stated."""
        wishes = self.audience.interests
        stated = np.array([not wish.inferred for wish in wishes], bool)
        mine = stated[self.hits.interest] & (self.hits.value > 0)
        return self.hits.row[mine], self.hits.place[mine]


@dataclass(frozen=True)
class Found:
    """A work that suits a patron, and why."""

    patron_id: int
    work_id: int
    score: float
    rank: int
    reasons: list[dict[str, Any]]
    interest_id: int | None
    rule_id: int | None
    learnt: bool
    """It rests on what the patron borrowed."""


def read_run(
    session: Session, settings: Settings, work_ids: Collection[int], *, at: datetime
) -> Run:
    """Read all that does not depend on the patron."""
    served = load_current(session, settings)
    candidates = read_candidates(session, work_ids)
    return Run(
        at=at,
        candidates=candidates,
        served=served,
        columns=_columns(served, candidates.ids),
        rules=rules_for(session, candidates, at=at),
        floors=_floors(session, settings),
        sides=_sides(served, candidates),
        trial=running(session, at),
        strengths=read_strengths(session),
    )


def read_block(
    session: Session, run: Run, stretch: Stretch, *, for_alerts: bool
) -> Block:
    """Read the patrons of a stretch; loans only of those who agreed to it."""
    audience = read_audience(session, stretch, at=run.at, for_alerts=for_alerts)
    hits = find_hits(run.candidates, audience.interests, audience.rows)
    deeds = read_deeds(session, stretch, at=run.at)
    nos = read_nos(session, audience, stretch, run.candidates, deeds)
    nos |= _elsewhere(run.candidates, audience, hits)
    if run.served is None:
        return Block(audience, None, NOBODYS, hits, nos)
    learners = audience.learners(run.served.codes)
    pairs = deeds.weighed(run.strengths)
    signals = make_signals(learners, run.served.works, pairs, run.strengths, at=run.at)
    return Block(
        audience,
        history_of(signals, at=run.at, dated=run.served.dated),
        np.flatnonzero(audience.learning),
        hits,
        nos,
        _disliked(signals).tocsr(),
    )


def history_of(signals: Signals, *, at: datetime, dated: bool) -> History:
    """Return the patrons' histories as the model reads them at a moment."""
    dated = dated and signals.loans.day is not None
    today = at.date().toordinal() if dated else None
    return build_history(signals.loans, today=today, dated=dated)


@dataclass(frozen=True)
class Scored:
    """Scores of a block, and what they are made of.

    Attributes:
        curated: After the rules.
        told: Lines of the block's history with what each part added to their scores.
    """

    curated: curation.Curated
    told: Sequence[tuple[IntArray, Shares]] = ()


def score(run: Run, block: Block) -> Scored:
    """Score the candidates for each patron of the block.

    Shape (patrons, candidates), in standard deviations; -inf where nothing speaks for
    a work, as for every work that no interest fits of a patron who keeps no history.
    """
    told: list[tuple[IntArray, Shares]] = []
    n_rows, n = len(block.audience), len(run.candidates)
    scores = block.hits.scores(n_rows, n)
    spoken_for = scores > 0
    if run.served is not None and block.history is not None and len(block.rows):
        for model, lines in _models(run.served.model, run.trial, block):
            history = block.history.take(lines)
            total, shares = score_by_part(model, history, run.columns)
            scores[block.rows[lines]] += total
            told.append((lines, shares))
        scores[block.rows] -= _lost(run.served.model, block, run.columns)
        spoken_for[block.rows] = True
    scores[~spoken_for] = -np.inf
    curated = curation.curate(
        scores,
        run.rules,
        branches=block.audience.branches,
        categories=block.audience.categories,
    )
    return Scored(_obeying(curated, block.audience, run.candidates), told)


def _models(
    model: Model, trial: Trial | None, block: Block
) -> Iterator[tuple[Model, IntArray]]:
    """Yield the model of each arm with the lines of the history in that arm."""
    everybody = np.arange(len(block.rows))
    if trial is None:
        yield model, everybody
        return
    keys = block.audience.keys
    arms = np.array([trial.arm_of(keys[row]) for row in block.rows])
    for name, arm in sorted(trial.arms.items()):
        if len(lines := everybody[arms == name]):
            yield _of_arm(model, arm), lines


def _of_arm(model: Model, arm: Arm) -> Model:
    if not arm.parts:
        return model
    return reweigh(model, {stratum.value: arm.parts for stratum in Stratum})


def _disliked(signals: Signals) -> coo_matrix:
    pairs = signals.disliked_row, signals.disliked_column
    shape = (len(signals.patrons), signals.loans.n_works)
    return coo_matrix((signals.disliked_weight, pairs), shape)


def _lost(model: Model, block: Block, columns: IntArray) -> FloatArray | float:
    if block.disliked is None or not block.disliked.nnz:
        return 0.0
    return lower(model.texts.joint, block.disliked, columns)


def tell(
    session: Session, run: Run, block: Block, chosen: Chosen, scored: Scored
) -> list[Found]:
    """Say why, for every work chosen; reads the titles of the loans it names."""
    cells = [
        (row, place, rank)
        for row, places in enumerate(chosen.places)
        for rank, place in enumerate(places, start=1)
    ]
    explained = _explanations(run, block, chosen, scored)
    named = _named(session, run, explained.values())
    different = [few_borrow(places, run.sides) for places in chosen.places]
    return [
        _found(
            run,
            block,
            cell,
            explained.get(cell[:2]),
            named,
            scored.curated,
            different=cell[1] in different[cell[0]],
        )
        for cell in cells
    ]


def _obeying(
    curated: curation.Curated, audience: Audience, candidates: Candidates
) -> curation.Curated:
    """Take back pins in languages the patron does not want."""
    rows = audience.rows
    for patron_id, languages in audience.languages.items():
        if patron_id in rows:
            strange = [work.language not in languages for work in candidates.works]
            curated.pinned[rows[patron_id], np.array(strange, bool)] = False
    curated.scores[~np.isfinite(curated.scores) & curated.pinned] = 0
    return curated


def _elsewhere(candidates: Candidates, audience: Audience, hits: Hits) -> BoolArray:
    """Tell which works are new in other branches only, shape (patrons, candidates).

    An interest whose profile names a branch brings that branch's works.
    """
    home = {
        code: np.array(
            [
                bool(work.branches) and code not in work.branches
                for work in candidates.works
            ],
            bool,
        )
        for code in set(audience.branch_codes)
    }
    away = np.array([home[code] for code in audience.branch_codes], bool)
    away = away.reshape(len(audience), len(candidates))
    fetched = np.array([bool(i.branches) for i in audience.interests], bool)
    if len(hits.interest):
        brings = fetched[hits.interest]
        away[hits.row[brings], hits.place[brings]] = False
    return away


def _columns(served: Served | None, ids: IntArray) -> IntArray:
    if served is None:
        return np.zeros(len(ids), np.int64)
    return find_places(served.works, ids)[0]


def _floors(session: Session, settings: Settings) -> dict[int, float]:
    return {
        branch_id: settings.floor if floor is None else floor
        for branch_id, floor in session.execute(select(Branch.id, Branch.floor))
    }


def _sides(served: Served | None, candidates: Candidates) -> list[Sides]:
    common = np.zeros(len(candidates), bool)
    if served is not None and len(served.borrowed):
        lent = served.borrowed[served.borrowed > 0]
        least = np.quantile(lent, COMMON_SHARE) if len(lent) else np.inf
        place, there = find_places(served.works[: len(served.borrowed)], candidates.ids)
        common = there & (served.borrowed[place] > least)
    return [
        Sides(
            creators=tuple(key for key, _ in work.creators),
            subjects=tuple(key for key, _ in work.subjects),
            series=work.series[0] if work.series else None,
            common=bool(is_common),
        )
        for work, is_common in zip(candidates.works, common, strict=True)
    ]


Cell = tuple[int, int]
"""A row of the audience and a place among the candidates."""


def _explanations(
    run: Run, block: Block, chosen: Chosen, scored: Scored
) -> dict[Cell, Explanation]:
    found: dict[Cell, Explanation] = {}
    if run.served is None or block.history is None:
        return found
    # One patron's products are small: threads would wait longer than they multiply.
    # For a page they are left alone, since requests beside each other share them.
    alone = len(block.audience) == 1
    with nullcontext() if alone else threadpool_limits(1, "blas"):
        for lines, shares in scored.told:
            for index, line in enumerate(lines):
                row = int(block.rows[line])
                if not (mine := list(chosen.places[row])):
                    continue
                explained = explain(
                    run.served.model,
                    block.history.take(line[None]),
                    run.columns[mine],
                    {name: share[index, mine] for name, share in shares.items()},
                )
                cells = [(row, place) for place in mine]
                found.update(zip(cells, explained, strict=True))
    return found


def _most(explanation: Explanation) -> list[tuple[int, float]]:
    return sorted(explanation.works.items(), key=lambda pair: (-pair[1], pair[0]))[
        :CITED
    ]


def _named(
    session: Session, run: Run, explained: Collection[Explanation]
) -> Mapping[int, Candidate]:
    if run.served is None:
        return {}
    columns = {column for one in explained for column, _ in _most(one)}
    ids = run.served.works[np.array(sorted(columns), np.int64)].tolist()
    if unread := [work_id for work_id in ids if work_id not in run.named]:
        run.named.update(read_named(session, unread))
    return run.named


def _found(  # noqa: PLR0913 -- a find is put together from as much
    run: Run,
    block: Block,
    cell: tuple[int, int, int],
    explanation: Explanation | None,
    named: Mapping[int, Candidate],
    curated: curation.Curated,
    *,
    different: bool,
) -> Found:
    row, place, rank = cell
    work = run.candidates.works[place]
    interests = _interests_of(block, row, place)
    rule_id = int(curated.raised_by[row, place])
    rule = next((rule for rule in run.rules if rule.rule_id == rule_id), None)
    evidence = Evidence(
        parts=explanation.parts if explanation else {},
        loans=_cited(run, explanation, named),
        interests=interests,
        rule=(rule.rule_id, rule.label) if rule else None,
        raised=rule.factor if rule else 0.0,
        different=different,
    )
    return Found(
        patron_id=int(block.audience.patrons[row]),
        work_id=work.work_id,
        score=round(float(curated.scores[row, place]), 6),
        rank=rank,
        reasons=as_json(build_reasons(work, evidence)),
        interest_id=interests[0][0] if interests else None,
        rule_id=rule.rule_id if rule else None,
        learnt=explanation is not None,
    )


def _interests_of(block: Block, row: int, place: int) -> list[tuple[int, str, float]]:
    hits = block.hits
    found = []
    for index in hits.by_cell.get((row, place), ()):
        interest = block.audience.interests[hits.interest[index]]
        found.append((interest.interest_id, interest.label, float(hits.value[index])))
    return sorted(found, key=lambda hit: (-hit[2], hit[0]))


def _cited(
    run: Run, explanation: Explanation | None, named: Mapping[int, Candidate]
) -> list[Cited]:
    if explanation is None or run.served is None:
        return []
    return [
        Cited(work.work_id, work.title, work.creators, value, work.series)
        for column, value in _most(explanation)
        if (work := named.get(int(run.served.works[column]))) is not None
    ]
