import csv
import math
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from sqlalchemy import select

from library.db import Sessions, reading
from library.errors import InvalidInput
from library.settings import Settings
from library.tables import BibRecord, Loan, Patron, Work
from recommender.evaluation import OURS, EvaluationReport, Protocol, evaluate
from recommender.training import read_material
from tests.factories import NOON, make_source
from tests.recommender.library_of_two_tastes import Library

pytestmark = pytest.mark.slow

CUT = date(2026, 1, 10)


@pytest.fixture
def named(library: Library) -> Library:
    """The library of two tastes, each work with the name a data set would give it."""
    with library.sessions.begin() as session:
        source = make_source(session)
        session.add_all(
            BibRecord(
                source_id=source.id,
                source_ref=str(1000 - work.id),
                work_id=work.id,
                content_hash="",
                raw={},
                created_at=NOON,
            )
            for work in session.scalars(select(Work))
        )
    return library


def run(
    library: Library, protocol: Protocol, out: Path | None = None
) -> EvaluationReport:
    return evaluate(library.sessions, library.settings, protocol, ranking_out=out)


def test_a_cut_measures_the_next_loan_and_new_works(named: Library) -> None:
    report = run(named, Protocol(cut=CUT))

    assert set(report.sizes) <= {"W-known", "C"}
    assert report.value("W-known", OURS) > report.value("W-known", "popularity")
    scorers = {line.scorer for line in report.lines}
    assert {OURS, "popularity", "latest", "als-64", "knn", "content"} <= scorers
    metrics = {line.metric for line in report.lines}
    assert {"recall@20", "ndcg@10", "coverage", "novelty", "served"} <= metrics


def test_the_ranking_that_goes_out_gives_the_same_figure(
    named: Library, tmp_path: Path
) -> None:
    report = run(named, Protocol(cut=CUT), tmp_path)

    truth = _truth(named)
    ranks: dict[str, dict[int, str]] = defaultdict(dict)
    with (tmp_path / "W.csv").open(encoding="utf-8", newline="") as file:
        for line in csv.DictReader(file):
            ranks[line["patron_id"]][int(line["rank"])] = line["work_id"]
    gained = []
    for patron, works in ranks.items():
        hits = [rank for rank in range(1, 11) if works.get(rank) in truth[patron]]
        ideal = sum(
            1 / math.log2(r + 1) for r in range(1, min(len(truth[patron]), 10) + 1)
        )
        gained.append(sum(1 / math.log2(rank + 1) for rank in hits) / ideal)
    assert len(gained) == report.sizes["W-known"]["patrons"]
    assert sum(gained) / len(gained) == pytest.approx(report.value("W-known", OURS))


def _at(loan: Loan) -> datetime:
    assert loan.borrowed_at is not None
    return loan.borrowed_at


def _worth(ranks: Iterable[int]) -> float:
    return sum(1 / math.log2(rank + 1) for rank in ranks)


def _truth(library: Library) -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    with reading(library.sessions) as session:
        dated = select(Loan, BibRecord.source_ref).where(Loan.borrowed_at.is_not(None))
        on = BibRecord.work_id == Loan.work_id
        rows = session.execute(dated.join(BibRecord, on)).all()
        names = dict(session.execute(select(Patron.id, Patron.external_id)).all())
    cut = datetime.combine(CUT, datetime.min.time(), UTC)
    early = {(loan.patron_id, ref) for loan, ref in rows if _at(loan) < cut}
    lent = {ref for _, ref in early}
    for loan, ref in rows:
        late = _at(loan) >= cut
        if late and (loan.patron_id, ref) not in early and ref in lent:
            found[names[loan.patron_id]].add(ref)
    return found


def test_held_out_loans_are_the_truth_and_nothing_else(named: Library) -> None:
    with reading(named.sessions) as session:
        of_patron: dict[int, list[int]] = defaultdict(list)
        for loan in session.scalars(select(Loan)):
            of_patron[loan.patron_id].append(loan.id)
        ids = frozenset(loan for loans in of_patron.values() for loan in loans[:2])

    report = run(named, Protocol(held_out=ids))

    assert report.sizes["W"]["truth"] == len(ids)
    assert report.sizes["W"]["training_pairs"] == 240 - len(ids)


def test_works_that_nobody_has_left_are_told_apart(
    named: Library, tmp_path: Path
) -> None:
    with reading(named.sessions) as session:
        loans = session.execute(select(Loan.id, Loan.work_id)).all()
    gone = loans[0].work_id
    ids = frozenset(row.id for row in loans if row.work_id == gone or row.id % 5 == 0)

    report = run(named, Protocol(held_out=ids), tmp_path)

    whole, known = report.sizes["W"], report.sizes["W-known"]
    assert known["candidates"] == whole["candidates"] - 1
    assert 0 < known["truth"] < whole["truth"]
    every, lent = (_lists(tmp_path / file) for file in ("W.csv", "W-known.csv"))
    name = str(1000 - gone)
    assert any(name in works for works in every.values())
    assert not any(name in works for works in lent.values())


def test_cold_works_are_seen_by_no_training(named: Library) -> None:
    with reading(named.sessions) as session:
        cold = frozenset([3, 25])
        loans = session.execute(select(Loan.id, Loan.work_id)).all()
        leave_out = [row.id for row in loans if row.work_id in cold]
        material = read_material(session, at=NOON, leave_out=leave_out)

    report = run(named, Protocol(cold_works=cold))

    lent = set(material.works[material.signals.loans.column].tolist())
    assert not lent & cold
    assert report.sizes["C"]["candidates"] == 2
    assert report.sizes["C"]["truth"] == len(leave_out)


def test_a_cut_hides_what_comes_after_it(named: Library) -> None:
    with reading(named.sessions) as session:
        material = read_material(session, at=NOON.replace(month=1, day=10))

    assert material.signals.loans.day is not None
    assert material.signals.loans.day.max() <= CUT.toordinal()


def test_what_comes_after_the_cut_changes_no_ranking(
    named: Library, tmp_path: Path
) -> None:
    run(named, Protocol(cut=CUT), tmp_path / "one")
    cut = datetime.combine(CUT, datetime.min.time(), UTC)
    with named.sessions.begin() as session:
        late = session.scalars(select(Loan).where(Loan.borrowed_at >= cut)).all()
        for number, loan in enumerate(late):
            loan.work_id = 1 + number % 40

    run(named, Protocol(cut=CUT), tmp_path / "two")

    one, two = (_lists(tmp_path / name / "W.csv") for name in ("one", "two"))
    both = one.keys() & two.keys()
    assert len(both) >= 10
    assert {patron: one[patron] for patron in both} == {p: two[p] for p in both}


def _lists(path: Path) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    with path.open(encoding="utf-8", newline="") as file:
        for line in csv.DictReader(file):
            found[line["patron_id"]].append(line["work_id"])
    return found


@pytest.mark.parametrize(
    "split", [{}, {"cut": CUT, "held_out": frozenset([1])}], ids=["none", "two"]
)
def test_one_split_is_asked_for(split: dict[str, object]) -> None:
    with pytest.raises(InvalidInput, match="one of them"):
        Protocol(**split)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("cut", "says"),
    [(date(1990, 1, 1), "no loan is left"), (date(2099, 1, 1), "nothing is held out")],
)
def test_a_split_that_leaves_nothing_is_told(
    named: Library, cut: date, says: str
) -> None:
    with pytest.raises(InvalidInput, match=says):
        run(named, Protocol(cut=cut))


def test_an_empty_library_is_told(sessions: Sessions, settings: Settings) -> None:
    with pytest.raises(InvalidInput, match="nothing is held out"):
        evaluate(sessions, settings, Protocol(cut=CUT))
