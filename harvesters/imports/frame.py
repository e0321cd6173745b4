"""What every import does: in batches, each a transaction; refused rows listed.

Each batch is a transaction of its own, so an import that is cut off goes on where it
was when it is started again. Bad rows are listed with line, field and cause, and
every other row goes in.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from sqlalchemy import select
from sqlalchemy.orm import Session

from harvesters.imports.refusals import Refusals
from harvesters.records import Rejected
from harvesters.rows import insert_missing
from library.db import Sessions
from library.jobs import Progress
from library.tables import Branch

RECORDS_AT_ONCE = 500

Found = TypeVar("Found")
Store = Callable[[Session, list[Found]], tuple[int, int]]
"""Stores rows; returns how many were added and changed."""


@dataclass(frozen=True)
class ImportReport:
    """What became of a file's rows."""

    kind: str
    read: int = 0
    added: int = 0
    changed: int = 0
    unchanged: int = 0
    skipped: int = 0
    rejected: int = 0
    report_path: Path | None = None


def run_import(  # noqa: PLR0913 -- what is read, kept, stored, refused and told
    sessions: Sessions,
    kind: str,
    found: Iterable[list[Found | Rejected]],
    *,
    store: Store[Found],
    refusals: Refusals,
    progress: Progress,
    covered: Callable[[Session, list[Found]], list[Found]] = lambda _, found: found,
) -> ImportReport:
    """Store what was found, batch by batch.

    Args:
        sessions: The database.
        kind: What the rows are, for the report.
        found: Batches of rows.
        store: Stores the good ones of a batch.
        refusals: Lists the bad ones.
        progress: Told the number of rows.
        covered: Tells in the same transaction what of a batch may be stored at all;
            the others are skipped.
    """
    report = ImportReport(kind)
    for batch in found:
        good: list[Found] = []
        for one in batch:
            if isinstance(one, Rejected):
                refusals.add(one)
            else:
                good.append(one)
        kept, added, changed = good, 0, 0
        if good:
            with sessions.begin() as session:
                kept = covered(session, good)
                added, changed = store(session, kept) if kept else (0, 0)
        report = replace(
            report,
            read=report.read + len(batch),
            added=report.added + added,
            changed=report.changed + changed,
            unchanged=report.unchanged + len(kept) - added - changed,
            skipped=report.skipped + len(good) - len(kept),
            rejected=refusals.count,
            report_path=refusals.written,
        )
        progress(report.read, None)
    return report


def branch_of_code(sessions: Sessions, code: str) -> int:
    """Return a branch's id; it is made, in the first one's zone, if there is none."""
    with sessions.begin() as session:
        found = select(Branch.id).where(Branch.code == code)
        if session.scalar(found) is None:
            first = session.scalar(select(Branch.zone).order_by(Branch.id).limit(1))
            row = {"code": code, "name": code, "zone": first or "UTC"}
            insert_missing(session, Branch, [row])  # two imports may be the first
        return session.scalars(found).one()
