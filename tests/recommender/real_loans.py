"""The real loans beside the checkout, read without the service's own import."""

import csv
import gzip
import io
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np

from recommender.arrays import IntArray, Loans

NUMBERED = ("goodbooks", "citeulike-t")
CUTS = {"shakespeare": date(1938, 1, 1), "sibgmu": date(2021, 1, 1)}


@dataclass(frozen=True)
class RealLoans:
    """One set: its works in the order of ties, and a row per line of its loans."""

    works: list[str]
    fields: list[dict[str, str]]
    loans: Loans


def lines(path: Path) -> Iterator[dict[str, str]]:
    body = path.read_bytes()
    text = (gzip.decompress(body) if path.suffix == ".gz" else body).decode()
    yield from csv.DictReader(io.StringIO(text, newline=""))


def read_real_loans(data: Path, name: str) -> RealLoans:
    folder = data / name
    numbered = name in NUMBERED
    fields = _works(folder)
    works = sorted(fields, key=int if numbered else str)
    place = {work: column for column, work in enumerate(works)}
    patrons: dict[str, int] = {}
    row, column, day = [], [], []
    for line in lines(folder / ("loans.csv.gz" if numbered else "loans.csv")):
        row.append(patrons.setdefault(line["patron_id"], len(patrons)))
        column.append(place[line["work_id"]])
        if not numbered:
            day.append(date.fromisoformat(line["borrowed_on"]).toordinal())
    loans = Loans(
        n_patrons=len(patrons),
        n_works=len(works),
        row=np.array(row, np.int64),
        column=np.array(column, np.int64),
        day=np.array(day, np.int64) if day else None,
    )
    return RealLoans(works, [fields[work] for work in works], loans)


def _works(folder: Path) -> dict[str, dict[str, str]]:
    if (folder / "works.csv").exists():
        return {line["work_id"]: line for line in lines(folder / "works.csv")}
    with gzip.open(folder / "words.txt.gz", "rt", encoding="utf-8") as file:
        split = (line.rstrip("\n").partition(" ") for line in file)
        return {work: {"words": words} for work, _, words in split}


def warm_test_rows(data: Path, name: str) -> IntArray:
    path = data / "splits" / f"{name}.warm_test_rows.csv.gz"
    return np.array([int(line["row"]) for line in lines(path)], np.int64)


def cold_columns(data: Path, name: str, real: RealLoans) -> IntArray:
    cold = {
        line["work_id"] for line in lines(data / "splits" / f"{name}.cold_works.csv")
    }
    return np.flatnonzero([work in cold for work in real.works])
