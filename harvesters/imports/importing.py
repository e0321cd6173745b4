"""Files of works, patrons, loans and holds, taken in as often as one likes.

Each batch is a transaction of its own, so an import that is cut off goes on where it
was when it is started again. Bad rows are listed with line, field and cause, and
every other row goes in.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, TypeVar

from sqlalchemy import select
from sqlalchemy.orm import Session

from harvesters.formats.iso2709 import parse_iso2709
from harvesters.formats.marcxml import parse_marcxml
from harvesters.formats.tabular import (
    HOLDS,
    LOANS,
    PATRONS,
    SECRETS,
    WORKS,
    Row,
    open_bytes,
    open_table,
    parse_words,
    parse_works,
    read_table,
    subjects_by_ref,
)
from harvesters.imports.loans import (
    HarvestedLoan,
    Register,
    may_keep,
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
from harvesters.ingest import Origin, ingest
from harvesters.records import Harvested, HarvestedRecord, Heading, Rejected
from harvesters.rows import batches
from library.db import Sessions
from library.errors import InvalidInput
from library.jobs import Progress, no_progress
from library.tables import Branch, Source
from library.vocabulary import ConsentPurpose, SourceKind

RECORDS_AT_ONCE = 500
# The fewer transactions, the fewer times the same index pages are written.
LOANS_AT_ONCE = 50_000
WORDS = "words.txt.gz"
SUBJECTS = "subjects.csv.gz"
_SUBJECT_COLUMNS = {"ref": ("work_id",), "subject": ("tag", "subject")}

Found = TypeVar("Found")
Store = Callable[[Session, list[Found]], tuple[int, int]]


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


def import_works(  # noqa: PLR0913 -- what, whose, where and how; each plain
    sessions: Sessions,
    path: Path,
    *,
    system: str,
    branch_code: str,
    at: datetime,
    dry_run: bool = False,
    report_path: Path | None = None,
    progress: Progress = no_progress,
    with_subjects: bool = False,
    grouped: bool = True,
) -> ImportReport:
    """Take in works: a table, MARC 21, UNIMARC, MARCXML, or a data set's words alone.

    Nothing here is an acquisition: a file is what the library has already.

    Args:
        sessions: The database.
        path: The file; words.txt.gz beside a table is read as its text.
        system: The library system whose ids these are.
        branch_code: Whose works; made if there is none.
        at: Now.
        dry_run: Store nothing, and count.
        report_path: Where refused rows are listed.
        progress: Told the number of rows.
        with_subjects: Read subjects.csv.gz beside the file; readers gave them, so no
            measuring of new works may see them.
        grouped: Editions meet in one work; else each row is a work of its own.

    Raises:
        InvalidInput: The file cannot be read at all.
    """
    with (
        rehearsal(sessions, dry_run=dry_run) as stored,
        _records(path, with_subjects=with_subjects) as (header, records),
        Refusals(report_path, header) as refusals,
    ):
        origin = replace(_origin(stored, system, branch_code, at=at), grouped=grouped)

        def store(session: Session, found: list[HarvestedRecord]) -> tuple[int, int]:
            done = ingest(session, origin, found, at=at)
            return done.added, done.changed + done.withdrawn

        return _import(
            stored,
            ImportReport("works"),
            batches(records, RECORDS_AT_ONCE),
            store=store,
            refusals=refusals,
            progress=progress,
        )


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
        branch = _branch(stored, branch_code)

        def store(session: Session, found: list[HarvestedPatron]) -> tuple[int, int]:
            return store_patrons(
                session, system, found, branch_id=branch, given=given, at=at
            )

        read = (
            row if isinstance(row, Rejected) else read_patron(row, system=system)
            for row in table.rows
        )
        return _import(
            stored,
            ImportReport("patrons"),
            batches(read, RECORDS_AT_ONCE),
            store=store,
            refusals=bad,
            progress=progress,
        )


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
        branch = _branch(stored, branch_code)
        if create_patrons:
            given = ConsentGiven(consents, covers_past=True)
            _create_patrons(stored, path, system, branch, given=given, at=at)
        register = _register(stored, system, branch)

        def store(session: Session, found: list[HarvestedLoan]) -> tuple[int, int]:
            return store_loans(session, system, found)

        read = (
            row
            if isinstance(row, Rejected)
            else read_loan(row, register, branch, at=at)
            for row in table.rows
            if not _is_no_loan(row)
        )
        return _import(
            stored,
            ImportReport("loans"),
            batches(read, LOANS_AT_ONCE),
            store=store,
            refusals=bad,
            progress=progress,
        )


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
        branch = _branch(stored, branch_code)
        register = _register(stored, system, branch)

        def store(session: Session, found: list[HarvestedLoan]) -> tuple[int, int]:
            return store_holds(session, system, found, at=at)

        read = (
            row
            if isinstance(row, Rejected)
            else read_loan(row, register, branch, at=at)
            for row in table.rows
        )
        return _import(
            stored,
            ImportReport("holds"),
            batches(read, LOANS_AT_ONCE),
            store=store,
            refusals=bad,
            progress=progress,
        )


def _import(
    sessions: Sessions,
    report: ImportReport,
    found: Iterable[list[Found | Rejected]],
    *,
    store: Store[Found],
    refusals: Refusals,
    progress: Progress,
) -> ImportReport:
    for batch in found:
        good: list[Found] = []
        for one in batch:
            if isinstance(one, Rejected):
                refusals.add(one)
            else:
                good.append(one)
        kept = [g for g in good if not isinstance(g, HarvestedLoan) or may_keep(g)]
        added, changed = 0, 0
        if kept:
            with sessions.begin() as session:
                added, changed = store(session, kept)
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


def _register(sessions: Sessions, system: str, branch_id: int) -> Register:
    with sessions() as session:
        return open_register(session, system, branch_id)


def _origin(
    sessions: Sessions, system: str, branch_code: str, *, at: datetime
) -> Origin:
    """Return where imported records belong: a source named after the system."""
    branch = _branch(sessions, branch_code)
    with sessions() as session, session.begin():
        source = session.scalar(select(Source).where(Source.code == system))
        if source is None:
            source = Source(
                code=system,
                kind=SourceKind.CSV,
                url="",
                branch_id=branch,
                silent=True,
                created_at=at,
            )
            session.add(source)
            session.flush()
        return Origin(source.id, source.code, source.branch_id, silent=True)


def _branch(sessions: Sessions, code: str) -> int:
    with sessions.begin() as session:
        found = session.scalar(select(Branch.id).where(Branch.code == code))
        if found is not None:
            return found
        branch = Branch(code=code, name=code)
        session.add(branch)
        session.flush()
        return branch.id


@contextmanager
def _records(
    path: Path, *, with_subjects: bool
) -> Iterator[tuple[tuple[str, ...], Iterator[Harvested]]]:
    words = _words_beside(path)
    subjects = _subjects_beside(path) if with_subjects else {}
    try:
        with open_bytes(path) as stream:
            header, records = _parse(path, stream)
            yield header, (_with(record, words, subjects) for record in records)
    except OSError as error:
        raise InvalidInput(f"{path}: {error.strerror or error}") from error


def _parse(path: Path, stream: BinaryIO) -> tuple[tuple[str, ...], Iterator[Harvested]]:
    suffixes = [s.lower() for s in path.suffixes]
    if path.name.startswith("words.txt"):
        return ("work_id",), map(_wordy, parse_words(stream))
    if ".xml" in suffixes:
        return ("record",), parse_marcxml(stream)
    if {".mrc", ".marc", ".dat", ".iso", ".iso2709"} & set(suffixes):
        return ("record",), parse_iso2709(stream)
    table = read_table(stream, WORKS)
    return table.header, parse_works(table)


def _wordy(found: tuple[str, dict[str, int]] | Rejected) -> Harvested:
    """A work of which a data set gives the words alone: its id has to be the title."""
    if isinstance(found, Rejected):
        return found
    ref, words = found
    return HarvestedRecord(ref=ref, title=ref, words=words)


def _with(
    record: Harvested,
    words: Mapping[str, dict[str, int]],
    subjects: Mapping[str, list[str]],
) -> Harvested:
    if isinstance(record, Rejected) or not (words or subjects):
        return record
    more = tuple(Heading("local", label) for label in subjects.get(record.ref, ()))
    return replace(
        record,
        words=words.get(record.ref, record.words),
        subjects=tuple(dict.fromkeys((*record.subjects, *more))),
    )


def _words_beside(path: Path) -> dict[str, dict[str, int]]:
    beside = path.with_name(WORDS)
    if beside == path or not beside.is_file():
        return {}
    with open_bytes(beside) as stream:
        found = (one for one in parse_words(stream) if not isinstance(one, Rejected))
        return dict(found)


def _subjects_beside(path: Path) -> dict[str, list[str]]:
    beside = path.with_name(SUBJECTS)
    if not beside.is_file():
        return {}
    with open_table(beside, _SUBJECT_COLUMNS) as table:
        return subjects_by_ref(table)


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
