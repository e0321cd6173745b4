"""Files of patrons: the Koha patron CSV, and simpler ones."""

from collections.abc import Collection, Iterable
from datetime import datetime
from pathlib import Path

from sqlalchemy.orm import Session

from harvesters.formats.tabular import PATRONS, SECRETS, Row, open_table
from harvesters.imports.frame import (
    RECORDS_AT_ONCE,
    ImportReport,
    branch_of_code,
    run_import,
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
from library.errors import InvalidInput
from library.jobs import Progress, no_progress
from library.vocabulary import ConsentPurpose


def import_patrons(  # noqa: PLR0913 -- what, whose, where and how; each plain
    sessions: Sessions,
    path: Path,
    *,
    system: str,
    branch_code: str,
    at: datetime,
    dry_run: bool = False,
    report_path: Path | None = None,
    progress: Progress = no_progress,
    consents: Collection[ConsentPurpose] = (),
    covers_past: bool = False,
) -> ImportReport:
    """Take in patrons: the Koha patron CSV, or `patron_id,name` and what else is known.

    Args:
        sessions: The database.
        path: The file.
        system: The library system whose ids these are.
        branch_code: Of those whose row names none; made if there is none.
        at: Now.
        dry_run: Store nothing, and count.
        report_path: Where refused rows are listed.
        progress: Told the number of rows.
        consents: What the library holds all these patrons' agreement to; nobody who
            has answered before is changed by it.
        covers_past: That agreement covers loans from before `at`.

    Raises:
        InvalidInput: The file cannot be read, or holds passwords.
    """
    given = ConsentGiven(consents, covers_past)
    _refuse_secrets(path)
    with (
        rehearsal(sessions, dry_run=dry_run) as stored,
        open_table(path, PATRONS) as table,
        Refusals(report_path, table.header) as bad,
    ):
        return take_patrons(
            stored,
            table.rows,
            bad,
            system=system,
            branch_code=branch_code,
            given=given,
            at=at,
            progress=progress,
        )


def take_patrons(  # noqa: PLR0913 -- what, whose, where and how; each plain
    sessions: Sessions,
    rows: Iterable[Row | Rejected],
    refusals: Refusals,
    *,
    system: str,
    branch_code: str,
    given: ConsentGiven,
    at: datetime,
    progress: Progress = no_progress,
) -> ImportReport:
    """Take in rows of patrons, wherever they are from; see `import_patrons`."""
    branch = branch_of_code(sessions, branch_code)

    def store(session: Session, found: list[HarvestedPatron]) -> tuple[int, int]:
        return store_patrons(
            session, system, found, branch_id=branch, given=given, at=at
        )

    read = (
        row if isinstance(row, Rejected) else read_patron(row, system=system)
        for row in rows
    )
    return run_import(
        sessions,
        "patrons",
        batches(read, RECORDS_AT_ONCE),
        store=store,
        refusals=refusals,
        progress=progress,
    )


def _refuse_secrets(path: Path) -> None:
    """Refuse a file with passwords before a row of it is stored.

    Raises:
        InvalidInput: It has some.
    """
    with open_table(path, {**PATRONS, **{name: (name,) for name in SECRETS}}) as table:
        if not any(name in table.known for name in SECRETS):
            return
        for row in table.rows:
            if isinstance(row, Row) and any(row.values.get(name) for name in SECRETS):
                raise InvalidInput(
                    f"line {row.line} holds a password; take the column out of the file"
                )
