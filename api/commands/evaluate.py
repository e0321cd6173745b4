"""`hamkhan evaluate`."""

import csv
import gzip
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import Final

import click
from sqlalchemy import select

from api.commands.options import json_option, pass_runtime, readable
from api.commands.output import bar, say, table
from api.commands.setup import prepare
from harvesters.imports.lending import import_loans
from harvesters.imports.works import import_works
from library.clock import utc_now
from library.db import reading
from library.errors import InvalidInput
from library.jobs import Progress
from library.runtime import Runtime, start
from library.settings import Settings
from library.tables import BibRecord, Loan, Patron
from recommender.evaluation import EvaluationReport, Protocol
from recommender.evaluation import evaluate as measure
from recommender.figures import Line

SYSTEM: Final = "data"
BRANCH: Final = "main"
SHOWN: Final = ("ndcg@10", "recall@20", "coverage", "novelty", "served")


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), metavar="DIR")
@click.option(
    "--cut",
    type=click.DateTime(["%Y-%m-%d"]),
    help="Loans from this day on are to be found: the next loan, and new works.",
)
@click.option(
    "--cold-works",
    type=click.Path(path_type=Path),
    help="A CSV file with a column work_id: all loans of these works are to be found.",
)
@click.option(
    "--test-rows",
    type=click.Path(path_type=Path),
    help="A CSV file (also .gz) with a column row: these rows of the loans, counted "
    "from 0, are to be found.",
)
@click.option(
    "--ranking-out",
    type=click.Path(path_type=Path),
    help="A folder for W.csv, C.csv and W-known.csv: our 100 best works for each "
    "patron, by protocol.",
)
@click.option("--seed", default=0, show_default=True, help="The same gives the same.")
@click.option(
    "--with-subjects",
    is_flag=True,
    help="Also read subjects.csv.gz. Readers gave those after reading, so figures for "
    "new works are then too good.",
)
@json_option
@pass_runtime
def evaluate(  # noqa: PLR0913 -- one argument for each option
    runtime: Runtime,
    *,
    folder: Path,
    cut: datetime | None,
    cold_works: Path | None,
    test_rows: Path | None,
    ranking_out: Path | None,
    seed: int,
    with_subjects: bool,
    as_json: bool,
) -> None:
    """Measure recommendations on the real loans in DIR.

    DIR holds works.csv (or words.txt.gz alone) and loans.csv or loans.csv.gz. They are
    loaded into a database that is thrown away, every patron agreeing to everything,
    and what is to be found is hidden from training. Give one of --cut, --cold-works
    and --test-rows.
    """
    if sum(given is not None for given in (cut, cold_works, test_rows)) != 1:
        raise click.UsageError("give one of --cut, --cold-works and --test-rows")
    with throwaway(runtime.settings) as room:
        with bar("Loading") as progress:
            load(room, folder, with_subjects=with_subjects, progress=progress)
        protocol = protocol_of(room, folder, cut, cold_works, test_rows)
        with bar("Measuring") as progress:
            report = measure(
                room.sessions,
                room.settings,
                protocol,
                seed=seed,
                ranking_out=ranking_out,
                progress=progress,
            )
    say(report, lambda: words_of(report), as_json=as_json)


def protocol_of(
    runtime: Runtime,
    folder: Path,
    cut: datetime | date | None,
    cold_works: Path | None,
    test_rows: Path | None,
) -> Protocol:
    """Say in rows of the loaded database what is to be found.

    Raises:
        InvalidInput: A file names what the set does not have.
    """
    if cut is not None:
        return Protocol(cut=cut.date() if isinstance(cut, datetime) else cut)
    if cold_works is not None:
        return Protocol(cold_works=_work_ids(runtime, cold_works))
    if test_rows is not None:
        return Protocol(held_out=_loan_ids(runtime, folder, test_rows))
    raise InvalidInput("nothing says what is to be found")


def words_of(report: EvaluationReport) -> str:
    """Tell the figures of all patrons, a table for each protocol."""
    return "\n\n".join(_table(report, name) for name in report.sizes)


@contextmanager
def throwaway(settings: Settings) -> Iterator[Runtime]:
    """Give an installation with an empty database, and take all of it away again."""
    with tempfile.TemporaryDirectory(prefix="hamkhan-") as folder:
        own = replace(
            settings, home=Path(folder), database_url="", broker_url="", zone="UTC"
        )
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


def _work_ids(runtime: Runtime, path: Path) -> frozenset[int]:
    with reading(runtime.sessions) as session:
        rows = session.execute(select(BibRecord.source_ref, BibRecord.work_id)).all()
    ids = {row.source_ref: row.work_id for row in rows}
    refs = column_of(path, "work_id")
    if unknown := [ref for ref in refs if ref not in ids]:
        raise InvalidInput(f"{path}: no such work: {unknown[0]}", field="work_id")
    return frozenset(ids[ref] for ref in refs)


def _loan_ids(runtime: Runtime, folder: Path, path: Path) -> frozenset[int]:
    """Find the loans of the test rows, less what a training row has too."""
    source = one_of(folder, "loans.csv", "loans.csv.gz")
    pairs = list(
        zip(column_of(source, "patron_id"), column_of(source, "work_id"), strict=True)
    )
    listed = _row_numbers(path, len(pairs))
    known = {pair for row, pair in enumerate(pairs) if row not in listed}
    wanted = {pairs[row] for row in listed} - known
    loans = (
        select(Loan.id, Patron.external_id, BibRecord.source_ref)
        .join(Patron, Patron.id == Loan.patron_id)
        .join(BibRecord, BibRecord.work_id == Loan.work_id)
    )
    with reading(runtime.sessions) as session:
        return frozenset(
            row.id
            for row in session.execute(loans)
            if (row.external_id, row.source_ref) in wanted
        )


def _row_numbers(path: Path, rows: int) -> frozenset[int]:
    try:
        numbers = frozenset(map(int, column_of(path, "row")))
    except ValueError as error:
        raise InvalidInput(f"{path}: a row is no number: {error}") from error
    if bad := sorted(number for number in numbers if not 0 <= number < rows):
        raise InvalidInput(f"{path}: there is no row {bad[0]}; there are {rows}")
    return numbers


def _table(report: EvaluationReport, protocol: str) -> str:
    figures: dict[str, dict[str, Line]] = {}
    for line in report.lines:
        if line.protocol == protocol and line.group == "all":
            figures.setdefault(line.scorer, {})[line.metric] = line
    rows = [
        (scorer, *(found[name].value if name in found else None for name in SHOWN))
        for scorer, found in figures.items()
    ]
    sizes = ", ".join(
        f"{count} {name}" for name, count in report.sizes[protocol].items()
    )
    return f"{protocol}: {sizes}\n{table(('scorer', *SHOWN), rows)}"
