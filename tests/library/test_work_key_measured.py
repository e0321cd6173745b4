"""The work key against pairs read by hand; docs/harvesting.md says how drawn.

`work_pairs.csv` holds ids and verdicts alone: the titles are in the shared data sets.
"""

import csv
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest

from library.text import work_key

PAIRS = Path(__file__).with_name("work_pairs.csv")
Row = Mapping[str, str]


@pytest.fixture(scope="module")
def verdicts(shared: Path) -> dict[str, Counter[str]]:
    """Pairs by set: met rightly, met wrongly, missed, or rightly apart."""
    data = shared / "data"
    lent = _by_id(data / "shakespeare" / "works.csv")
    tables = {
        "goodbooks": (_by_id(data / "goodbooks" / "works.csv"),) * 2,
        "shakespeare": (lent, lent),
        "acquisitions": (_by_place(data / "shakespeare" / "acquisitions.csv"), lent),
    }
    counts: dict[str, Counter[str]] = {name: Counter() for name in tables}
    for pair in _rows(PAIRS):
        ones, others = tables[pair["set"]]
        meet = _key(ones[pair["one"]]) == _key(others[pair["other"]])
        outcome = {
            (True, True): "met",
            (True, False): "met wrongly",
            (False, True): "missed",
            (False, False): "apart",
        }
        counts[pair["set"]][outcome[meet, pair["same"] == "1"]] += 1
    for name, found in counts.items():
        print(f"{name:14}", dict(found))  # noqa: T201 -- the table of the test
    return counts


def test_what_is_one_work_meets(verdicts: dict[str, Counter[str]]) -> None:
    total = sum(verdicts.values(), Counter())

    assert sum(total.values()) > 600
    assert total["met"] >= 0.78 * (total["met"] + total["missed"])


def test_what_meets_is_one_work(verdicts: dict[str, Counter[str]]) -> None:
    typed, total = verdicts["acquisitions"], sum(verdicts.values(), Counter())

    assert typed["met wrongly"] == 0
    assert total["met"] >= 0.91 * (total["met"] + total["met wrongly"])


def _key(row: Row) -> str:
    creators = row.get("creators") or row.get("creator") or ""
    return work_key(row["title"], creators.split("|") if creators else [])


def _by_id(path: Path) -> dict[str, Row]:
    return {row["work_id"]: row for row in _rows(path)}


def _by_place(path: Path) -> dict[str, Row]:
    return {str(number): row for number, row in enumerate(_rows(path))}


def _rows(path: Path) -> list[Row]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
