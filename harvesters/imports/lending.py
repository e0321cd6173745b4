"""Files of loans and holds, of those alone who agreed."""

from collections.abc import Collection, Iterable, Iterator
from datetime import datetime
from pathlib import Path

from sqlalchemy.orm import Session

from harvesters.formats.tabular import HOLDS, LOANS, Row, open_table
from harvesters.imports.frame import (
    RECORDS_AT_ONCE,
    ImportReport,
    Store,
    branch_of_code,
    run_import,
)
from harvesters.imports.loans import (
    HarvestedLoan,
    covered,
    open_register,
    read_loan,
    store_holds,
    store_loans,
)
from harvesters.imports.patrons import (
    ConsentGiven,
    HarvestedPatron,
    read_patron,
    store_patrons,
)
from harvesters.imports.refusals import Refusals
from harvesters.imports.rehearsal import rehearsal
from harvesters.records import Rejected
from harvesters.rows import batches
from library.db import Sessions
from library.jobs import Progress, no_progress
from library.vocabulary import ConsentPurpose

# The fewer transactions, the fewer times the same index pages are written.
LOANS_AT_ONCE = 50_000


def import_loans(  # noqa: PLR0913 -- what, whose, where and how; each plain
    sessions: Sessions,
    path: Path,
    *,
    system: str,
    branch_code: str,
    at: datetime,
    dry_run: bool = False,
    report_path: Path | None = None,
    progress: Progress = no_progress,
    create_patrons: bool = False,
    consents: Collection[ConsentPurpose] = tuple(ConsentPurpose),
) -> ImportReport:
    """Take in loans of patrons whose live consent covers them; skip the others.

    Args:
        sessions: The database.
        path: The file.
        system: The library system whose ids these are.
        branch_code: Of rows that name none; made if there is none.
        at: Now.
        dry_run: Store nothing, and count.
        report_path: Where refused rows are listed.
        progress: Told the number of rows.
        create_patrons: Patrons that are not here are made, with `consents` that cover
            the past: for measuring and trying out only.
        consents: See `create_patrons`.

    Raises:
        InvalidInput: The file cannot be read at all.
    """
    with (
        rehearsal(sessions, dry_run=dry_run) as stored,
        open_table(path, LOANS) as table,
        Refusals(report_path, table.header) as bad,
    ):
        if create_patrons:
            branch = branch_of_code(stored, branch_code)
            given = ConsentGiven(consents, covers_past=True)
            _create_patrons(stored, path, system, branch, given=given, at=at)
        return take_loans(
            stored,
            (row for row in table.rows if not _is_no_loan(row)),
            bad,
            system=system,
            branch_code=branch_code,
            at=at,
            progress=progress,
        )


def take_loans(  # noqa: PLR0913 -- what, whose, where and how; each plain
    sessions: Sessions,
    rows: Iterable[Row | Rejected],
    refusals: Refusals,
    *,
    system: str,
    branch_code: str,
    at: datetime,
    progress: Progress = no_progress,
) -> ImportReport:
    """Take in rows of loans, wherever they are from; see `import_loans`."""

    def store(session: Session, found: list[HarvestedLoan]) -> tuple[int, int]:
        return store_loans(session, system, found)

    found = _found(sessions, rows, system=system, branch_code=branch_code, at=at)
    return _take(sessions, "loans", found, store, refusals, progress)


def import_holds(  # noqa: PLR0913 -- what, whose, where and how; each plain
    sessions: Sessions,
    path: Path,
    *,
    system: str,
    branch_code: str,
    at: datetime,
    dry_run: bool = False,
    report_path: Path | None = None,
    progress: Progress = no_progress,
) -> ImportReport:
    """Take in holds of patrons whose live consent covers them; skip the others.

    Raises:
        InvalidInput: The file cannot be read at all.
    """
    with (
        rehearsal(sessions, dry_run=dry_run) as stored,
        open_table(path, HOLDS) as table,
        Refusals(report_path, table.header) as bad,
    ):
        return take_holds(
            stored,
            table.rows,
            bad,
            system=system,
            branch_code=branch_code,
            at=at,
            progress=progress,
        )


def take_holds(  # noqa: PLR0913 -- what, whose, where and how; each plain
    sessions: Sessions,
    rows: Iterable[Row | Rejected],
    refusals: Refusals,
    *,
    system: str,
    branch_code: str,
    at: datetime,
    progress: Progress = no_progress,
) -> ImportReport:
    """Take in rows of holds, wherever they are from; see `import_holds`."""

    def store(session: Session, found: list[HarvestedLoan]) -> tuple[int, int]:
        return store_holds(session, system, found, at=at)

    found = _found(sessions, rows, system=system, branch_code=branch_code, at=at)
    return _take(sessions, "holds", found, store, refusals, progress)


def _take(
    sessions: Sessions,
    kind: str,
    found: Iterable[HarvestedLoan | Rejected],
    store: Store[HarvestedLoan],
    refusals: Refusals,
    progress: Progress,
) -> ImportReport:
    return run_import(
        sessions,
        kind,
        batches(found, LOANS_AT_ONCE),
        store=store,
        refusals=refusals,
        progress=progress,
        covered=covered,
    )


def _found(
    sessions: Sessions,
    rows: Iterable[Row | Rejected],
    *,
    system: str,
    branch_code: str,
    at: datetime,
) -> Iterator[HarvestedLoan | Rejected]:
    branch = branch_of_code(sessions, branch_code)
    with sessions() as session:
        register = open_register(session, system, branch)
    return (
        row if isinstance(row, Rejected) else read_loan(row, register, branch, at=at)
        for row in rows
    )


def _create_patrons(
    sessions: Sessions,
    path: Path,
    system: str,
    branch: int,
    *,
    given: ConsentGiven,
    at: datetime,
) -> None:
    with open_table(path, LOANS) as table:
        refs = dict.fromkeys(
            row.values.get("patron", "") for row in table.rows if isinstance(row, Row)
        )
    rows = (Row(0, {"ref": ref}, (ref,)) for ref in refs)
    found = (read_patron(row, system=system) for row in rows)
    good = (one for one in found if isinstance(one, HarvestedPatron))
    for some in batches(good, RECORDS_AT_ONCE):
        with sessions.begin() as session:
            store_patrons(session, system, some, branch_id=branch, given=given, at=at)


def _is_no_loan(row: Row | Rejected) -> bool:
    """Tell whether a row of a statistics report is about something else."""
    return isinstance(row, Row) and row.values.get("kind", "") in {
        "return",
        "renew",
        "localuse",
    }
