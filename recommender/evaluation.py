"""Measure on a loaded library what the service would have recommended.

The loans held out never leave the database: `read_material` is told to pass over them,
and everything after runs as in a real training and matching. Beside ours stand the bare
peers, each fitted on the same loans. The metrics are those of `recommender.metrics`.

Who calls it loads a data set first (every patron consenting) and gives a `Protocol`:

    evaluate(sessions, settings, Protocol(cut=date(1938, 1, 1)))        # W-known and C
    evaluate(sessions, settings, Protocol(cold_works=frozenset(work_ids)))         # C
    evaluate(sessions, settings, Protocol(held_out=frozenset(loan_ids)))  # W, W-known

Works and patrons are ids of our rows here; rankings go out under the set's own names
(`bib_record.source_ref`, `patron.external_id`). One record must be one work, so load
without grouping editions.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from library.db import Sessions, reading
from library.errors import InvalidInput
from library.jobs import Progress, no_progress
from library.settings import Settings
from library.tables import BibRecord, Loan, Patron
from recommender.arrays import FloatArray, History, IntArray, build_history
from recommender.bulk import UNDATED, day_of, read_integers
from recommender.charts import draw_chart, write_table
from recommender.figures import Line, find_line, lines_of
from recommender.groups import read_groups
from recommender.interactions import NO_IDS, find_places
from recommender.measure import Question, Scorers, measure
from recommender.metrics import order_of_ties
from recommender.parts.roster import Part, fit_parts, fit_texts
from recommender.parts.roster import score as score_part
from recommender.rankings import write_rankings
from recommender.scoring import Model, score_block
from recommender.splits import Split, against, cold_works, question_of, warm_works
from recommender.training import Material, WeightRow, read_material, weights_of
from recommender.tuning import fit_model

OURS = "hamkhan"
PEERS = ("popularity", "latest", "als-64", "als-256", "knn", "ease", "content", "lsi")
"""The bare peers: parts that read the history evenly, by the names they have there."""
FEWEST_WARM, FEWEST_COLD = 5, 3
"""Training works a measured patron has at least, by protocol."""


@dataclass(frozen=True)
class Protocol:
    """What is held out; exactly one of the three.

    Attributes:
        cut: Loans from this day on; measures W-known and C.
        cold_works: All loans of these works; measures C.
        held_out: These loans; measures W, and W-known where that is another thing.
    """

    cut: date | None = None
    cold_works: frozenset[int] = frozenset()
    held_out: frozenset[int] = frozenset()

    def __post_init__(self) -> None:
        """Refuse none or several."""
        if sum(map(bool, (self.cut, self.cold_works, self.held_out))) != 1:
            raise InvalidInput("give a cut date, cold works, or test rows, one of them")


@dataclass(frozen=True)
class EvaluationReport:
    """What was measured.

    Attributes:
        sizes: By protocol: patrons, true works, candidates, training pairs.
        lines: Every figure; the group "all" is everybody measured.
        weights: What the blend learnt from the training loans.
        seconds: By step.
    """

    sizes: Mapping[str, Mapping[str, int]]
    lines: Sequence[Line]
    weights: Sequence[WeightRow]
    seconds: Mapping[str, float] = field(default_factory=dict)

    def value(self, protocol: str, scorer: str, metric: str = "ndcg@10") -> float:
        """Return one figure of all patrons.

        Raises:
            KeyError: It was not measured.
        """
        line = find_line(self.lines, protocol, scorer, metric)
        if line is None:
            raise KeyError((protocol, scorer, metric))
        return line.value


def evaluate(
    sessions: Sessions,
    settings: Settings,  # noqa: ARG001 -- commands pass it to every stage
    protocol: Protocol,
    *,
    seed: int = 0,
    ranking_out: Path | None = None,
    progress: Progress = no_progress,
) -> EvaluationReport:
    """Train on what is not held out, rank for every measured patron, and compare.

    Args:
        sessions: Of a database loaded with the whole set; only read.
        settings: As for every stage.
        protocol: What is held out.
        seed: Of every random step.
        ranking_out: A folder for W.csv and C.csv, our 100 best works per patron
            (W-known.csv where W is measured too), and for evaluation.svg and
            evaluation.csv, all figures by group of patrons.
        progress: Told the steps done.

    Raises:
        InvalidInput: There is nothing to measure.
    """
    seconds: dict[str, float] = {}
    with _timed(seconds, "read"), reading(sessions) as session:
        held = _read_held(session, protocol)
        material = read_material(session, at=held.at, leave_out=held.ids)
        names = _read_names(session, material)
        groups = read_groups(session, material.signals.patrons)
    progress(1, 4)
    loans, texts = material.signals.loans, material.texts
    if not len(loans.row):
        raise InvalidInput("no loan is left to learn from")
    with _timed(seconds, "fit ours"):
        model = fit_model(loans, texts, today=held.today, seed=seed)
    progress(2, 4)
    history = build_history(loans, today=held.today)
    with _timed(seconds, "fit peers"):
        read = fit_texts(texts, seed=seed)
        peers = fit_parts(history, texts, read, seed=seed, wanted=PEERS)
    progress(3, 4)
    questions = _questions(protocol, _split(material, held), material, held, names.ties)
    lines: list[Line] = []
    for name, question in questions.items():
        if not len(question.truth):
            continue
        with _timed(seconds, f"rank {name}"):
            ranked = measure(question, _scorers(model, peers, history, question))
        lines += lines_of(name, question, ranked, groups)
        if ranking_out is not None:
            columns = question.candidates
            file = name if "W" in questions and name == "W-known" else name[0]
            write_rankings(
                ranking_out / f"{file}.csv",
                ranked[OURS],
                patrons=[names.patrons[row] for row in question.truth.rows],
                works=[names.works[column] for column in columns],
            )
    if ranking_out is not None:
        _write_report(ranking_out, lines)
    progress(4, 4)
    return EvaluationReport(
        sizes={name: _sizes(question) for name, question in questions.items()},
        lines=lines,
        weights=weights_of(model),
        seconds=seconds,
    )


def _write_report(folder: Path, lines: Sequence[Line]) -> None:
    chart = draw_chart(lines, metric="ndcg@10", ours=OURS)
    (folder / "evaluation.svg").write_text(chart, encoding="utf-8")
    (folder / "evaluation.csv").write_text(write_table(lines), encoding="utf-8")


@contextmanager
def _timed(seconds: dict[str, float], step: str) -> Iterator[None]:
    began = time.monotonic()
    yield
    seconds[step] = round(time.monotonic() - began, 2)


@dataclass(frozen=True)
class _Held:
    """What is held out, as the reading of the rest needs it.

    Attributes:
        at: The last moment that may be read.
        today: From which age counts; None where nothing is dated.
        ids: Of loans to pass over.
        patron_id: Of the loans held out.
        work_id: Likewise.
        cold: Ids of the works held out whole, where a protocol names them.
    """

    at: datetime
    today: int | None
    ids: frozenset[int]
    patron_id: IntArray
    work_id: IntArray
    cold: IntArray


def _read_held(session: Session, protocol: Protocol) -> _Held:
    columns = Loan.patron_id, Loan.work_id, Loan.id, day_of(session, Loan.borrowed_at)
    patron_id, work_id, loan_id, day = read_integers(session, select(*columns))
    cold = np.array(sorted(protocol.cold_works), np.int64)
    if protocol.cut is not None:
        first = protocol.cut.toordinal()
        midnight = datetime.combine(protocol.cut, datetime.min.time(), UTC)
        today: int | None = first
        held, at, ids = day >= first, midnight - timedelta(microseconds=1), NO_IDS
    else:
        listed = np.array(sorted(protocol.held_out), np.int64)
        held = np.isin(work_id, cold) if len(cold) else np.isin(loan_id, listed)
        newest = int(day.max(initial=UNDATED))
        today = None if newest == UNDATED else newest
        at, ids = datetime.max.replace(tzinfo=UTC), frozenset(loan_id[held].tolist())
    if not held.any():
        raise InvalidInput("nothing is held out: no loan fits the split")
    return _Held(at, today, ids, patron_id[held], work_id[held], cold)


def _split(material: Material, held: _Held) -> Split:
    row, is_patron = find_places(material.signals.patrons, held.patron_id)
    column, is_work = find_places(material.works, held.work_id)
    known = is_patron & is_work
    return against(material.signals.loans, row[known], column[known], day=held.today)


def _questions(
    protocol: Protocol, split: Split, material: Material, held: _Held, ties: IntArray
) -> dict[str, Question]:
    """Ask what the protocol asks; candidates stand in the order of ties."""

    def ordered(columns: IntArray) -> IntArray:
        return ties[np.isin(ties, columns)]

    def warm(columns: IntArray) -> Question:
        return question_of(split, ordered(columns), left_out=True, fewest=FEWEST_WARM)

    def cold(columns: IntArray) -> Question:
        return question_of(split, ordered(columns), left_out=False, fewest=FEWEST_COLD)

    if protocol.cut is not None:
        return {"W-known": warm(warm_works(split.loans)), "C": cold(cold_works(split))}
    if protocol.cold_works:
        columns, there = find_places(material.works, held.cold)
        return {"C": cold(columns[there])}
    known = warm_works(split.loans)
    every = np.union1d(known, split.column)
    found = {"W": warm(every)}
    return found if len(known) == len(every) else {**found, "W-known": warm(known)}


def _scorers(
    model: Model, peers: Sequence[Part], history: History, question: Question
) -> Scorers:
    candidates = question.candidates

    def scorers(rows: IntArray) -> dict[str, FloatArray]:
        block = history.take(rows)
        found = {part.name: score_part(part, block, candidates) for part in peers}
        return {OURS: score_block(model, block, candidates), **found}

    return scorers


def _sizes(question: Question) -> dict[str, int]:
    return {
        "patrons": len(question.truth),
        "truth": len(question.truth.column),
        "candidates": len(question.candidates),
        "training_pairs": int(question.history_lengths.sum()),
    }


@dataclass(frozen=True)
class _Names:
    """The set's own names.

    Attributes:
        patrons: By row.
        works: By column; "" for a work no record tells of.
        ties: Columns in the order in which ties break.
    """

    patrons: Sequence[str]
    works: Sequence[str]
    ties: IntArray


def _read_names(session: Session, material: Material) -> _Names:
    refs = dict(
        session.execute(
            select(BibRecord.work_id, func.min(BibRecord.source_ref)).group_by(
                BibRecord.work_id
            )
        ).all()
    )
    patrons = dict(session.execute(select(Patron.id, Patron.external_id)).all())
    works = [refs.get(int(work), "") for work in material.works]
    return _Names(
        patrons=[patrons[int(patron)] for patron in material.signals.patrons],
        works=works,
        ties=order_of_ties(works),
    )
