"""Files of works: tables, MARC, ONIX, KBART, or a data set's words alone."""

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from sqlalchemy import select
from sqlalchemy.orm import Session

from harvesters.formats.sniffing import BEGINNING, kind_of
from harvesters.formats.streams import Joined
from harvesters.formats.tabular import (
    WORKS,
    open_bytes,
    open_table,
    parse_words,
    parse_works,
    read_table,
    subjects_by_ref,
)
from harvesters.imports.frame import (
    RECORDS_AT_ONCE,
    ImportReport,
    branch_of_code,
    run_import,
)
from harvesters.imports.refusals import Refusals
from harvesters.imports.rehearsal import rehearsal
from harvesters.ingest import Origin, ingest
from harvesters.reading import parser_of
from harvesters.records import Harvested, HarvestedRecord, Heading, Rejected
from harvesters.rows import batches, insert_missing
from library.db import Sessions
from library.errors import InvalidInput
from library.jobs import Progress, no_progress
from library.tables import Source
from library.vocabulary import SourceKind

WORDS = "words.txt.gz"
SUBJECTS = "subjects.csv.gz"
_RECORDS = frozenset([SourceKind.MARC, SourceKind.ONIX, SourceKind.KBART])
_SUBJECT_COLUMNS = {"ref": ("work_id",), "subject": ("tag", "subject")}


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
    """Take in works: a table, MARC in any form, ONIX, KBART, or a data set's words.

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

        return run_import(
            stored,
            "works",
            batches(records, RECORDS_AT_ONCE),
            store=store,
            refusals=refusals,
            progress=progress,
        )


def _origin(
    sessions: Sessions, system: str, branch_code: str, *, at: datetime
) -> Origin:
    """Return where imported records belong: a source named after the system."""
    branch = branch_of_code(sessions, branch_code)
    with sessions() as session, session.begin():
        found = select(Source).where(Source.code == system)
        if session.scalar(found) is None:
            # Two imports may be the first at once.
            first = {
                "code": system,
                "kind": SourceKind.CSV,
                "url": "",
                "branch_id": branch,
                "silent": True,
                "created_at": at,
            }
            insert_missing(session, Source, [first])
        source = session.scalars(found).one()
        return Origin(source.id, source.code, source.branch_id, silent=True)


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
    if path.name.startswith("words.txt"):
        return ("work_id",), map(_wordy, parse_words(stream))
    beginning = stream.read(BEGINNING)
    again = io.BufferedReader(Joined(beginning, stream))
    kind = kind_of(beginning)
    if kind in _RECORDS:
        return ("record",), parser_of(kind, {})(again)
    table = read_table(again, WORKS)
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
