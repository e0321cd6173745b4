"""`hamkhan evaluate`."""

import csv
import gzip
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Final

import click
from sqlalchemy import select

from api.commands.options import json_option, pass_runtime, readable
from api.commands.output import bar, say, table
from api.commands.setup import prepare
from harvesters.importing import import_loans, import_patrons, import_works
from library.clock import utc_now
from library.db import reading
from library.errors import InvalidInput
from library.jobs import Progress
from library.runtime import Runtime, start
from library.settings import Settings
from library.tables import BibRecord, Loan, Patron
from library.vocabulary import ConsentPurpose

SYSTEM: Final = "data"
BRANCH: Final = "main"


@contextmanager
def throwaway(settings: Settings) -> Iterator[Runtime]:
    """Give an installation with an empty database, and take all of it away again."""
    with tempfile.TemporaryDirectory(prefix="hamkhan-") as folder:
        own = replace(settings, home=Path(folder), database_url="", broker_url="")
        runtime = start(own)
        prepare(runtime, code=BRANCH)
        try:
            yield runtime
        finally:
            runtime.sessions.kw["bind"].dispose()


def load(
    runtime: Runtime, folder: Path, *, with_subjects: bool, progress: Progress
) -> None:
    """Import a folder of works and loans; every patron there agrees to everything.

    Raises:
        InvalidInput: A file is missing.
    """
    at, sessions = utc_now(), runtime.sessions
    import_works(
        sessions,
        one_of(folder, "works.csv", "works.csv.gz", "words.txt.gz"),
        system=SYSTEM,
        branch_code=BRANCH,
        at=at,
        with_subjects=with_subjects,
        grouped=False,  # a work counts by its own id here, whatever its title
        progress=progress,
    )
    import_loans(
        sessions,
        one_of(folder, "loans.csv", "loans.csv.gz"),
        system=SYSTEM,
        branch_code=BRANCH,
        at=at,
        create_patrons=True,
        progress=progress,
    )


def one_of(folder: Path, *names: str) -> Path:
    """Return the first of these files that is there.

    Raises:
        InvalidInput: None is.
    """
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise InvalidInput(f"{folder}: there is no {' or '.join(names)}")


def column_of(path: Path, name: str) -> list[str]:
    """Read one column of a CSV file, which may be compressed.

    Raises:
        InvalidInput: There is no such file or column.
    """
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(readable(path), "rt", encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file)
        if name not in (rows.fieldnames or ()):
            raise InvalidInput(f"{path}: there is no column {name}")
        return [row[name] for row in rows]
