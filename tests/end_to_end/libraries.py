"""A small library in which it is plain whom a new work suits."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from api.demo.announcements import NewWork
from library.clock import utc_now

TOPICS = {"stars": "Astronomy", "bread": "Baking"}
WORKS_A_TOPIC = 12
READERS = {"ada": "stars", "cy": "bread", "dee": "stars", "eli": "bread"}
COMET = NewWork("n1", "Comets", ("Carla Sagan",), "2026", "eng", "", ("Astronomy",))
WHEAT = NewWork("n3", "Wheat bread", ("Rena Miller",), "2026", "eng", "", ("Baking",))
RYE = NewWork("n2", "Rye bread", ("Rena Miller",), "2026", "eng", "", ("Baking",))


@dataclass(frozen=True)
class Files:
    """What a library system would hand over."""

    works: Path
    patrons: Path
    silent: Path
    """Patrons who agreed to nothing."""
    loans: Path


def write_library(folder: Path) -> Files:
    """Write works of two topics, a reader or two of each, and what they borrowed."""
    folder.mkdir(parents=True, exist_ok=True)
    works = [
        (f"{topic}{number}", f"{topic} volume {number}", f"{topic} writer", subject)
        for topic, subject in TOPICS.items()
        for number in range(WORKS_A_TOPIC)
    ]
    today = utc_now().date()
    loans = [
        (reader, f"{topic}{number}", today - timedelta(days=5 + number))
        for reader, topic in {**READERS, "bo": "stars"}.items()
        for number in range(WORKS_A_TOPIC - 2)
    ]
    return Files(
        works=_write(
            folder / "works.csv", ("work_id", "title", "creators", "subjects"), works
        ),
        patrons=_write(
            folder / "patrons.csv",
            ("patron_id", "name", "email"),
            [(reader, reader.title(), f"{reader}@patrons.test") for reader in READERS],
        ),
        silent=_write(
            folder / "silent.csv",
            ("patron_id", "name", "email"),
            [("bo", "Bo", "bo@patrons.test")],
        ),
        loans=_write(
            folder / "loans.csv", ("patron_id", "work_id", "borrowed_on"), loans
        ),
    )


def _write(
    path: Path, head: tuple[str, ...], rows: Sequence[tuple[object, ...]]
) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([head, *rows])
    return path
