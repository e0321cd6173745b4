"""The libraries to try things on: the sample one, or a folder of real loans."""

import csv
import random
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Final

import library
from api.demo.announcements import NewWork
from api.demo.readers import ENGLISH, PERSIAN
from library.errors import InvalidInput

SAMPLE: Final = Path(library.__file__).parent / "sample" / "works.csv"
PATRONS: Final = 150
NEW_SHARE: Final = 0.18
"""Of the sample works, how many come as new ones."""
LOANS_A_PATRON: Final = (6, 30)
FAITH: Final = 0.85
"""How often a sample patron borrows from the topics they love."""
DAYS_OF_LOANS: Final = 700
CUT: Final = date(1938, 1, 1)
"""Of the real loans: a work first borrowed from this day on comes as a new one."""

Row = Mapping[str, str]


@dataclass(frozen=True)
class Reader:
    """A patron of the demo, what they agreed to, and what they say they like."""

    ref: str
    name: str
    language: str
    agrees: str
    """`all`, `alerts` (no history kept, no model) or `nothing`."""
    interests: tuple[str, ...] = ()


@dataclass(frozen=True)
class DemoLoan:
    """A borrowing."""

    patron: str
    work: str
    borrowed_on: date
    returned_on: date | None = None


@dataclass(frozen=True)
class DemoLibrary:
    """What is there already, what comes in new, who reads, and what they borrowed."""

    works: Sequence[Row]
    new: Sequence[NewWork]
    readers: Sequence[Reader]
    loans: Sequence[DemoLoan]


def sample_library(*, today: date, seed: int = 0) -> DemoLibrary:
    """Make the sample library: real works; patrons and loans drawn by `seed`."""
    draw = random.Random(seed)  # noqa: S311 -- a sample that must come out the same
    works = read_rows(SAMPLE)
    new_refs = set(
        draw.sample([row["work_id"] for row in works], int(NEW_SHARE * len(works)))
    )
    held = [row for row in works if row["work_id"] not in new_refs]
    readers, tastes = _readers(draw, _topics(works))
    loans = [
        loan
        for reader in readers
        for loan in _loans_of(draw, reader, tastes[reader.ref], held, today=today)
    ]
    new = [new_work(row) for row in works if row["work_id"] in new_refs]
    return DemoLibrary(held, new, readers, loans)


def real_library(folder: Path, *, today: date) -> DemoLibrary:
    """Read a folder of dated loans, told as if its cut day were `today`.

    Days are moved all by the same number, so that what was new then is new now; works
    first borrowed from the cut on come as new ones, and their loans stay out.

    Raises:
        InvalidInput: A file is missing, or no loan is older than the cut.
    """
    loans = read_rows(folder / "loans.csv")
    first: dict[str, str] = {}
    for row in loans:
        first[row["work_id"]] = min(
            row["borrowed_on"], first.get(row["work_id"], "9999")
        )
    cut = CUT.isoformat()
    before = [row for row in loans if row["borrowed_on"] < cut]
    if not before:
        raise InvalidInput(f"{folder}: no loan is older than {cut}")
    shift = today - CUT
    works = read_rows(folder / "works.csv")
    arriving = {ref for ref, day in first.items() if day >= cut}
    return DemoLibrary(
        works=[row for row in works if row["work_id"] not in arriving],
        new=[new_work(row) for row in works if row["work_id"] in arriving],
        readers=_real_readers(folder, {row["patron_id"] for row in loans}),
        loans=[_real_loan(row, shift, today) for row in before],
    )


def read_rows(path: Path) -> list[dict[str, str]]:
    """Read a CSV file.

    Raises:
        InvalidInput: It is not there.
    """
    if not path.is_file():
        raise InvalidInput(f"{path}: there is no such file")
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def new_work(row: Row) -> NewWork:
    """Read a line of works.csv."""
    subjects = "|".join(filter(None, (row.get("subjects"), row.get("genre"))))
    return NewWork(
        ref=row["work_id"],
        title=row["title"],
        creators=_parts(row.get("creators") or row.get("creator")),
        year=row.get("year") or "",
        language=row.get("language") or "",
        isbn=row.get("isbn") or "",
        subjects=_parts(subjects),
        call_number=row.get("call_number") or "",
    )


def _parts(text: str | None) -> tuple[str, ...]:
    return tuple(part for part in (text or "").split("|") if part)


def _topics(works: Iterable[Row]) -> dict[str, list[str]]:
    """Return the topics by language; a work's first subject is its topic."""
    topics: dict[str, set[str]] = defaultdict(set)
    for row in works:
        if topic := _topic(row):
            topics[_tongue(row)].add(topic)
    return {tongue: sorted(found) for tongue, found in topics.items()}


def _topic(row: Row) -> str:
    return next(iter(_parts(row["subjects"])), "")


def _tongue(row: Row) -> str:
    return "fa" if row["language"] == "per" else "en"


def _readers(
    draw: random.Random, topics: Mapping[str, Sequence[str]]
) -> tuple[list[Reader], dict[str, list[str]]]:
    names = [("fa", name) for name in PERSIAN] + [("en", name) for name in ENGLISH]
    readers, tastes = [], {}
    for number, (language, name) in enumerate(names[:PATRONS], 1):
        reader = Reader(f"P{number:03}", name, language, _agreement(number))
        loved = draw.sample(topics[language], 2)
        if draw.random() < 0.3:  # reads the other language too
            loved += draw.sample(topics["en" if language == "fa" else "fa"], 1)
        tastes[reader.ref] = loved
        # Who keeps the history to themselves says what they like instead.
        stated = tuple(loved) if reader.agrees == "alerts" or number % 5 == 0 else ()
        readers.append(replace(reader, interests=stated))
    return readers, tastes


def _agreement(number: int) -> str:
    return {7: "alerts", 11: "nothing"}.get(number % 13, "all")


def _loans_of(
    draw: random.Random,
    reader: Reader,
    loved: Sequence[str],
    works: Sequence[Row],
    *,
    today: date,
) -> list[DemoLoan]:
    own = [row for row in works if _topic(row) in loved]
    tongue = [row for row in works if _tongue(row) == reader.language]
    wanted = draw.randint(*LOANS_A_PATRON)
    chosen: dict[str, DemoLoan] = {}
    for _ in range(wanted * 3):
        row = draw.choice(own if draw.random() < FAITH else tongue)
        # Squared: like real ones, loans crowd towards today.
        back = int(DAYS_OF_LOANS * draw.random() ** 2) + 1
        day = today - timedelta(days=back)
        end = day + timedelta(days=draw.randint(5, 28))
        loan = DemoLoan(reader.ref, row["work_id"], day, end if end < today else None)
        chosen.setdefault(row["work_id"], loan)
        if len(chosen) == wanted:
            break
    return sorted(chosen.values(), key=lambda loan: (loan.borrowed_on, loan.work))


def _real_readers(folder: Path, refs: set[str]) -> list[Reader]:
    path = folder / "patrons.csv"
    rows = read_rows(path) if path.is_file() else []
    names = {row["patron_id"]: row["name"] for row in rows}
    refs = refs | names.keys()
    return [
        Reader(
            ref,
            names.get(ref, ref),
            "fa" if number % 4 == 0 else "en",
            _agreement(number),
        )
        for number, ref in enumerate(sorted(refs))
    ]


def _real_loan(row: Row, shift: timedelta, today: date) -> DemoLoan:
    end = date.fromisoformat(row["returned_on"]) + shift if row["returned_on"] else None
    return DemoLoan(
        row["patron_id"],
        row["work_id"],
        date.fromisoformat(row["borrowed_on"]) + shift,
        end if end and end <= today else None,
    )
