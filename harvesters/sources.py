"""The sources an installation reads: added, listed, removed."""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import chain, count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from harvesters.formats.opml import Outline
from harvesters.rows import insert_missing
from library.db import insert_into
from library.errors import Conflict, InvalidInput, NotFound
from library.tables import BibRecord, Branch, Harvest, Source
from library.text import fold
from library.vocabulary import NewMeans, SourceKind

PUSHED = frozenset([SourceKind.PUSH])
"""Kinds that are never polled."""


@dataclass(frozen=True)
class SourceRow:
    """A source and how its reading stands."""

    code: str
    kind: str
    url: str
    branch: str | None
    new_means: str
    silent: bool
    failures: int
    error: str | None
    last_success_at: datetime | None
    next_check_at: datetime | None
    records: int


def add_source(  # noqa: PLR0913 -- a source has many sides, each with a default
    session: Session,
    code: str,
    kind: SourceKind,
    url: str,
    *,
    branch_code: str | None = None,
    new_means: NewMeans = NewMeans.FIRST_SEEN,
    silent: bool = True,
    settings: dict[str, Any] | None = None,
    allow_files: bool = False,
    at: datetime,
) -> Source:
    """Add a source; it is due at once.

    Args:
        session: In a transaction that writes.
        code: Its name in commands and pages.
        kind: How it is read.
        url: http or https; nothing for a source that posts.
        branch_code: Whose acquisitions it brings; None means the only or first one.
        new_means: What makes a work of it new there.
        silent: Its first load announces nothing.
        settings: By kind `set`, `prefix`, `encoding`, `auth`; for all `words` and
            `languages`.
        allow_files: `url` may be the path of a file on this machine: for whoever
            sits at it, and for no page or API.
        at: Now.

    Raises:
        InvalidInput: The address cannot be read, or there is no such branch.
        Conflict: The code is taken.
    """
    polled = kind not in PUSHED
    row = insert_into(session, Source).values(
        code=code,
        kind=kind,
        url=_address(url, files=allow_files) if polled else "",
        branch_id=branch_id(session, branch_code),
        new_means=new_means,
        silent=silent,
        settings=settings or {},
        next_check_at=at if polled else None,
        created_at=at,
    )
    source: Source | None = session.scalar(
        row.on_conflict_do_nothing().returning(Source)
    )
    if source is None:
        raise Conflict(f"there is a source {code} already")
    return source


def find_source(session: Session, code: str) -> Source:
    """Return a source.

    Raises:
        NotFound: There is none of this code.
    """
    source = session.scalar(select(Source).where(Source.code == code))
    if source is None:
        raise NotFound(f"there is no source {code}")
    return source


def add_feeds(
    session: Session,
    outlines: Iterable[Outline],
    *,
    branch_code: str | None = None,
    at: datetime,
) -> list[Source]:
    """Add the feeds of a list that are not here yet, named after their titles.

    Raises:
        InvalidInput: There is no such branch.
    """
    there = set(session.scalars(select(Source.url)))
    codes = set(session.scalars(select(Source.code)))
    added = []
    for one in outlines:
        if one.url in there:
            continue
        code = _free_code(one, codes)
        codes.add(code)
        added.append(
            add_source(
                session,
                code,
                SourceKind.FEED,
                one.url,
                branch_code=branch_code,
                at=at,
            )
        )
    return added


def start_over(source: Source, *, at: datetime) -> None:
    """Have a source read whole at its next turn, which is now.

    What is here already changes nothing; what could not be taken is tried again.
    """
    source.etag = source.last_modified = source.body_hash = None
    source.cursor = {k: v for k, v in source.cursor.items() if k != "oai"}
    source.next_check_at = at


def remove_source(session: Session, code: str) -> None:
    """Remove a source and its records; the works stay.

    Raises:
        NotFound: There is none.
    """
    removed = session.execute(
        delete(Source).where(Source.code == code).returning(Source.id)
    )
    if removed.first() is None:
        raise NotFound(f"there is no source {code}")


def list_sources(session: Session) -> list[SourceRow]:
    """List all sources, those that fail first."""
    records = dict(
        session.execute(
            select(BibRecord.source_id, func.count())
            .where(BibRecord.withdrawn_at.is_(None))
            .group_by(BibRecord.source_id)
        ).all()
    )
    rows = session.execute(
        select(Source, Branch.code)
        .outerjoin(Branch, Branch.id == Source.branch_id)
        .order_by(Source.failures.desc(), Source.code)
    )
    errors = _last_errors(session)
    return [
        _row(source, branch, errors.get(source.id), records.get(source.id, 0))
        for source, branch in rows
    ]


def branch_id(session: Session, code: str | None) -> int:
    """Return a branch's id; None means the first one, made if there is none.

    Raises:
        InvalidInput: There is no branch of this code.
    """
    chosen = select(Branch.id).order_by(Branch.id).limit(1)
    if code is not None:
        chosen = chosen.where(Branch.code == code)
    found = session.scalar(chosen)
    if found is not None:
        return found
    if code is not None:
        raise InvalidInput(f"there is no branch {code}", field="branch")
    insert_missing(session, Branch, [{"code": "main", "name": "Main"}])
    return session.scalars(chosen).one()


def _free_code(outline: Outline, taken: Collection[str]) -> str:
    name = fold(outline.title) or urlsplit(outline.url).hostname or ""
    ascii_name = name if name.isascii() else urlsplit(outline.url).hostname or ""
    base = re.sub("[^a-z0-9]+", "-", ascii_name.lower()).strip("-")[:60] or "feed"
    tries = chain([base], (f"{base}-{number}" for number in count(2)))
    return next(code for code in tries if code not in taken)


def _address(url: str, *, files: bool) -> str:
    parts = urlsplit(url)
    if parts.scheme in {"http", "https"} and parts.hostname:
        return url
    if files and parts.scheme in {"", "file"}:
        path = Path(parts.path if parts.scheme else url)
        if path.is_file():
            return path.absolute().as_uri()
        raise InvalidInput(f"{path}: no such file", field="url")
    raise InvalidInput(f"{url}: not an http or https address", field="url")


def _last_errors(session: Session) -> dict[int, str | None]:
    latest = (
        select(func.max(Harvest.id))
        .join(Source, Source.id == Harvest.source_id)
        .where(Source.failures > 0)
        .group_by(Harvest.source_id)
    )
    rows = session.execute(
        select(Harvest.source_id, Harvest.error).where(Harvest.id.in_(latest))
    )
    return dict(rows.all())


def _row(
    source: Source, branch: str | None, error: str | None, records: int
) -> SourceRow:
    success = source.cursor.get("succeeded_at")
    return SourceRow(
        code=source.code,
        kind=source.kind.value,
        url=source.url,
        branch=branch,
        new_means=source.new_means.value,
        silent=source.silent,
        failures=source.failures,
        error=error,
        last_success_at=datetime.fromisoformat(success) if success else None,
        next_check_at=source.next_check_at,
        records=records,
    )
