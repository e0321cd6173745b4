import csv
import gzip
import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from math import log2
from pathlib import Path

import pytest
from click.testing import Result

Run = Callable[..., Result]

pytestmark = [
    pytest.mark.slow,
    # The measured rows are in a database of their own whatever ours is.
    pytest.mark.parametrize("database", ["sqlite"], indirect=True),
]

CUT = date(2025, 1, 1)
TOPICS = ("stars", "bread", "trains")
READERS, HELD, NEW = 24, 14, 4
"""Readers; works of a topic before the cut and after it."""

Loan = tuple[str, str, date | None]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three topics; who reads one borrows its works, and its new ones after the cut."""
    _write_loans(tmp_path / "loans.csv", _loans())
    _write(
        tmp_path / "works.csv",
        ("work_id", "title", "subjects"),
        [
            (f"{topic}{n}", f"{topic} volume {n}", topic)
            for topic in TOPICS
            for n in range(HELD + NEW)
        ],
    )
    return tmp_path


def test_both_protocols_are_told_with_the_peers_beside(run: Run, folder: Path) -> None:
    result = run("evaluate", folder, "--cut", CUT)

    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith("W-known: ")
    assert "\nC: " in result.stdout
    for scorer in ("hamkhan", "popularity", "als-64", "knn", "content"):
        assert f"\n{scorer} " in result.stdout


def test_anyone_can_compute_the_figures_again(
    run: Run, folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "rankings"

    result = run("evaluate", folder, "--cut", CUT, "--ranking-out", out, "--json")

    report = json.loads(result.stdout)
    new = {f"{topic}{HELD + n}" for topic in TOPICS for n in range(NEW)}
    after = [loan for loan in _loans() if loan[2] and loan[2] >= CUT]
    cold, warm = _truth(after, new), _truth(after, None, but=new)
    assert _figure(report, "C") == pytest.approx(_ndcg(out / "C.csv", cold), abs=1e-6)
    assert _figure(report, "W-known") == pytest.approx(
        _ndcg(out / "W.csv", warm), abs=1e-6
    )
    # Planted so plainly that whoever reads a topic must be shown its new works.
    assert _figure(report, "C") > 0.9


def test_what_is_to_be_found_reaches_no_ranking(
    run: Run, folder: Path, tmp_path: Path
) -> None:
    run("evaluate", folder, "--cut", CUT, "--ranking-out", tmp_path / "one")
    # After the cut everybody borrows what another did.
    _write_loans(folder / "loans.csv", _loans(turn_after_cut=READERS // 2))

    run("evaluate", folder, "--cut", CUT, "--ranking-out", tmp_path / "two")

    for name in ("W.csv", "C.csv"):
        one, two = tmp_path / "one" / name, tmp_path / "two" / name
        assert len(_read(one)) > READERS
        assert one.read_bytes() == two.read_bytes()


def test_works_held_out_whole_are_measured_as_new(run: Run, folder: Path) -> None:
    cold = folder / "cold.csv"
    _write(cold, ("work_id",), [(f"{topic}{n}",) for topic in TOPICS for n in (1, 5)])

    report = json.loads(run("evaluate", folder, "--cold-works", cold, "--json").stdout)

    assert list(report["sizes"]) == ["C"]
    assert report["sizes"]["C"]["candidates"] == 2 * len(TOPICS)


def test_rows_held_out_are_measured_as_next_loans(run: Run, folder: Path) -> None:
    loans = _loans()
    (folder / "loans.csv").unlink()
    with gzip.open(folder / "loans.csv.gz", "wt", encoding="utf-8") as file:
        csv.writer(file).writerows(
            [("patron_id", "work_id"), *(loan[:2] for loan in loans)]
        )
    rows = folder / "rows.csv.gz"
    with gzip.open(rows, "wt", encoding="utf-8") as file:
        csv.writer(file).writerows([("row",), *((n,) for n in range(0, len(loans), 6))])

    report = json.loads(run("evaluate", folder, "--test-rows", rows, "--json").stdout)

    assert list(report["sizes"]) == ["W"]
    assert report["sizes"]["W"]["truth"] == len(range(0, len(loans), 6))


def test_words_alone_are_works_too(run: Run, folder: Path) -> None:
    works = _read(folder / "works.csv")
    (folder / "works.csv").unlink()
    with gzip.open(folder / "words.txt.gz", "wt", encoding="utf-8") as file:
        file.writelines(f"{r['work_id']} {r['subjects']}:3 a:b:1\n" for r in works)

    result = run("evaluate", folder, "--cut", CUT, "--json")

    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["sizes"]["C"]["candidates"] == NEW * len(TOPICS)


@pytest.mark.parametrize(
    "words",
    [
        pytest.param((), id="nothing is held out"),
        pytest.param(("--cut", "2025-01-01", "--cold-works", "x"), id="two ways"),
        pytest.param(("--cut", "1404"), id="no day"),
    ],
)
def test_wrong_usage(run: Run, folder: Path, words: tuple[str, ...]) -> None:
    assert run("evaluate", folder, *words).exit_code == 2


@pytest.mark.parametrize(
    ("name", "lines", "expected"),
    [
        pytest.param("rows", "row\n99999\n", "there is no row 99999", id="no such row"),
        pytest.param("rows", "row\nx\n", "a row is no number", id="no number"),
        pytest.param("rows", "line\n1\n", "there is no column row", id="no column"),
        pytest.param("works", "work_id\nzzz\n", "no such work: zzz", id="no such work"),
    ],
)
def test_a_split_that_does_not_fit_is_said_in_one_line(
    run: Run, folder: Path, name: str, lines: str, expected: str
) -> None:
    path = folder / "split.csv"
    path.write_text(lines, encoding="utf-8")
    option = {"rows": "--test-rows", "works": "--cold-works"}[name]

    result = run("evaluate", folder, option, path)

    assert result.exit_code == 1
    assert expected in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_folder_without_a_set_is_said_in_one_line(run: Run, tmp_path: Path) -> None:
    result = run("evaluate", tmp_path, "--cut", CUT)

    assert result.exit_code == 1
    assert "there is no works.csv" in result.stderr


def _loans(*, turn_after_cut: int = 0) -> list[Loan]:
    loans: list[Loan] = []
    for reader in range(READERS):
        topic = TOPICS[reader % len(TOPICS)]
        for n in range(HELD):
            if (reader + n) % 4:
                day = CUT - timedelta(days=1 + (reader * 7 + n * 11) % 300)
                loans.append((f"p{reader:02}", f"{topic}{n}", day))
        later = (reader + turn_after_cut) % READERS
        topic = TOPICS[later % len(TOPICS)]
        fresh = [f"{topic}{HELD + n}" for n in range(NEW)]
        known = [f"{topic}{n}" for n in range(HELD) if (reader + n) % 4 == 0]
        loans += [
            (f"p{reader:02}", work, CUT + timedelta(days=reader + n))
            for n, work in enumerate([*fresh, *known])
        ]
    return loans


def _truth(
    loans: Sequence[Loan], among: set[str] | None, *, but: set[str] | None = None
) -> dict[str, set[str]]:
    truth: dict[str, set[str]] = defaultdict(set)
    for patron, work, _ in loans:
        if (among is None or work in among) and work not in (but or ()):
            truth[patron].add(work)
    return truth


def _ndcg(path: Path, truth: dict[str, set[str]]) -> float:
    """Compute NDCG@10 from a ranking file, by the formula of the protocols."""
    gain: dict[str, float] = defaultdict(float)
    for row in _read(path):
        if int(row["rank"]) <= 10 and row["work_id"] in truth[row["patron_id"]]:
            gain[row["patron_id"]] += 1 / log2(int(row["rank"]) + 1)
    ideal = {
        patron: sum(1 / log2(rank + 1) for rank in range(1, min(len(works), 10) + 1))
        for patron, works in truth.items()
        if works
    }
    return sum(gain[patron] / best for patron, best in ideal.items()) / len(ideal)


def _figure(report: dict[str, list[dict[str, object]]], protocol: str) -> float:
    wanted = {
        "protocol": protocol,
        "scorer": "hamkhan",
        "group": "all",
        "metric": "ndcg@10",
    }
    (line,) = [x for x in report["lines"] if wanted.items() <= x.items()]
    return float(str(line["value"]))


def _write_loans(path: Path, loans: Sequence[Loan]) -> None:
    _write(path, ("patron_id", "work_id", "borrowed_on"), loans)


def _write(path: Path, head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([head, *rows])


def _read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
