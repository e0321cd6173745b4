"""A harvest: read a source, take its records in, remember how it went."""

import logging
import random
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from harvesters.fetching.logins import login_of
from harvesters.fetching.politeness import Turns
from harvesters.fetching.polling import after_failure, is_settled, next_check, next_move
from harvesters.ingest import Ingested, Origin, ingest
from harvesters.reading import Batch, Task, read
from harvesters.records import HarvestedRecord, Rejected
from harvesters.selecting import Selection, left_out, selection_of
from harvesters.sources import PUSHED, find_source
from library.db import Sessions, reading
from library.errors import FetchFailed, ServiceError
from library.fetching.fetch import Fetched, Fetcher, Validators
from library.jobs import Progress, no_progress
from library.settings import Settings
from library.tables import Harvest, Rejection, Source
from library.vocabulary import SourceKind

logger = logging.getLogger(__name__)

MOST_REJECTIONS = 1000
"""Kept per harvest; the count tells of the rest."""


@dataclass(frozen=True)
class HarvestReport:
    """What a harvest brought, or why it failed."""

    source: str
    added: int = 0
    changed: int = 0
    withdrawn: int = 0
    unchanged: int = 0
    rejected: int = 0
    acquisitions: int = 0
    bytes: int = 0
    error: str | None = None
    cause: str | None = None
    rejections: tuple[Rejected, ...] = ()


@dataclass
class Run:
    """What has come of one harvest so far."""

    counts: Ingested = field(default_factory=Ingested)
    size: int = 0
    rejected: int = 0
    rejections: tuple[Rejected, ...] = ()
    published: tuple[str, ...] = ()
    fetched: Fetched | None = None
    body_hash: str | None = None
    selection: Selection = field(default_factory=Selection)
    moved_on: bool = False
    """Pages were taken, and the next harvest goes on behind them."""


def harvest(  # noqa: PLR0913 -- who harvests what, when and how; each plain
    sessions: Sessions,
    settings: Settings,
    code: str,
    *,
    at: datetime,
    dry_run: bool = False,
    progress: Progress = no_progress,
    fetcher: Fetcher | None = None,
) -> HarvestReport:
    """Read a source and take in what it has.

    A failure of the source is in the report, and stored; it raises nothing.

    Args:
        sessions: The database.
        settings: The installation's.
        code: The source's.
        at: Now.
        dry_run: Store nothing, and count what would come in.
        progress: Told the number of records.
        fetcher: Who fetches; made from the settings unless given.

    Raises:
        NotFound: There is no such source.
    """
    task, origin = _begin(sessions, code)
    run = Run(selection=selection_of(task.settings))
    try:
        task = replace(task, login=login_of(settings, task.settings))
        for batch in read(task, fetcher or polite(sessions, settings), at=at):
            _take_in(sessions, origin, batch, run, at=at, dry_run=dry_run)
            progress(_seen(run), None)
    except ServiceError as error:
        return _failed(sessions, task, run, error, at=at, dry_run=dry_run)
    except DBAPIError as error:
        failure = FetchFailed(f"database: {error.orig}", cause="database")
        return _failed(sessions, task, run, failure, at=at, dry_run=dry_run)
    if not dry_run:
        with sessions.begin() as session:
            _succeed(session, task, run, at=at)
    return report_of(task.code, run)


def polite(sessions: Sessions, settings: Settings) -> Fetcher:
    """Return the installation's fetcher, which keeps its turn at each host.

    Hosts in the house, which the operator named, are spared the pauses.
    """
    places = (f"//{place}" for place in settings.fetch_allow)
    spared = frozenset(filter(None, (urlsplit(place).hostname for place in places)))
    return replace(Fetcher.of(settings), turn=Turns(sessions, spared))


def harvest_due(
    sessions: Sessions, settings: Settings, *, at: datetime
) -> list[HarvestReport]:
    """Harvest every source whose time has come, the longest waiting first."""
    with reading(sessions) as session:
        codes = session.scalars(
            select(Source.code)
            .where(
                Source.next_check_at <= at, Source.url != "", Source.kind.not_in(PUSHED)
            )
            .order_by(Source.next_check_at, Source.id)
        ).all()
    reports = []
    for code in codes:
        try:
            reports.append(harvest(sessions, settings, code, at=at))
        except Exception as bug:  # one source must not keep the others from their turn
            logger.exception("the harvest of %s failed", code)
            task, _ = _begin(sessions, code)
            told = FetchFailed(f"{type(bug).__name__}: see the log", cause="bug")
            reports.append(_failed(sessions, task, Run(), told, at=at, dry_run=False))
    return reports


def _begin(sessions: Sessions, code: str) -> tuple[Task, Origin]:
    with reading(sessions) as session:
        source = find_source(session, code)
    task = Task(
        id=source.id,
        code=code,
        kind=source.kind,
        url=source.url,
        settings=source.settings,
        validators=Validators(source.etag, source.last_modified),
        body_hash=source.body_hash,
        cursor=source.cursor.get("oai", {}),
    )
    return task, origin_of(source)


def origin_of(source: Source) -> Origin:
    """Return what taking records in has to know of a source."""
    return Origin(
        source_id=source.id,
        code=source.code,
        branch_id=source.branch_id,
        new_means=source.new_means,
        silent=source.silent,
        unsteady=source.kind == SourceKind.FEED,
    )


def _take_in(
    sessions: Sessions,
    origin: Origin,
    batch: Batch,
    run: Run,
    *,
    at: datetime,
    dry_run: bool,
) -> None:
    found = [record for record in batch.records if isinstance(record, HarvestedRecord)]
    good = [record for record in found if run.selection.takes(record)]
    bad = tuple(record for record in batch.records if isinstance(record, Rejected))
    if len(good) < len(found):
        bad += tuple(left_out(one) for one in found if not run.selection.takes(one))
    if good or batch.cursor is not None:
        with sessions() as session, session.begin() as transaction:
            run.counts += ingest(session, origin, good, at=at, present=batch.present)
            if batch.cursor is not None:
                _keep(session, origin.source_id, oai=dict(batch.cursor))
            if dry_run:
                transaction.rollback()
    run.moved_on = run.moved_on or batch.cursor is not None
    run.size += batch.size
    run.rejected += len(bad)
    run.rejections = (*run.rejections, *bad)[:MOST_REJECTIONS]
    run.published += tuple(filter(None, (record.published for record in good)))
    run.fetched = batch.fetched or run.fetched
    run.body_hash = batch.body_hash or run.body_hash


def _seen(run: Run) -> int:
    counts = run.counts
    known = counts.added + counts.changed + counts.withdrawn + counts.unchanged
    return known + run.rejected


def _succeed(session: Session, task: Task, run: Run, *, at: datetime) -> None:
    source = _locked(session, task.id)
    headers = run.fetched.headers if run.fetched else {}
    source.next_check_at = next_check(
        at,
        published=run.published or source.cursor.get("published", ()),
        headers=headers,
        jitter=random.random(),  # noqa: S311 -- spreads load, guards nothing
    )
    kept: dict[str, Any] = {"succeeded_at": at.isoformat()}
    if run.published:
        kept["published"] = sorted(run.published)[-100:]
    _follow_move(source, run.fetched, at=at)
    _keep(session, task.id, **kept)
    source.failures = 0
    if run.fetched is not None and run.fetched.body is not None:
        source.etag = run.fetched.validators.etag
        source.last_modified = run.fetched.validators.last_modified
        source.body_hash = run.body_hash
    if not _seen(run):
        return  # nothing changed there, so nothing else is written
    source.silent = False
    record_run(session, task.id, run, at=at)


def _follow_move(source: Source, fetched: Fetched | None, *, at: datetime) -> None:
    """Adopt a new address once it has been told often enough, and for days."""
    before = source.cursor.get("moved")
    target = fetched.moved_to if fetched is not None else None
    move = next_move(before, target, at=at)
    if move is not None and is_settled(move, at=at):
        source.url, move = str(move["to"]), None
    if move != before:
        source.cursor = {**source.cursor, "moved": move}


def _failed(
    sessions: Sessions,
    task: Task,
    run: Run,
    error: ServiceError,
    *,
    at: datetime,
    dry_run: bool,
) -> HarvestReport:
    cause = error.cause if isinstance(error, FetchFailed) else "malformed"
    if not dry_run:
        with sessions.begin() as session:
            source = session.get_one(Source, task.id)
            # That others ask the host at the moment says nothing against the source,
            # and one that brought something on the way fails for the first time.
            before = 0 if run.moved_on else source.failures
            source.failures = before + (cause != "busy")
            source.next_check_at = after_failure(
                at,
                max(source.failures, 1),
                retry_after=getattr(error, "retry_after", None),
                jitter=random.random(),  # noqa: S311 -- spreads load, guards nothing
            )
            record_run(session, task.id, run, at=at, cause=cause, error=str(error))
    return replace(report_of(task.code, run), error=str(error), cause=cause)


def record_run(
    session: Session,
    source_id: int,
    run: Run,
    *,
    at: datetime,
    cause: str | None = None,
    error: str | None = None,
) -> None:
    """Keep what came of a harvest, and what could not be taken."""
    row = Harvest(
        source_id=source_id,
        started_at=at,
        ended_at=at,
        added=run.counts.added,
        changed=run.counts.changed,
        withdrawn=run.counts.withdrawn,
        unchanged=run.counts.unchanged,
        rejected=run.rejected,
        size=run.size,
        cause=cause,
        error=error,
    )
    session.add(row)
    session.flush()
    session.add_all(
        Rejection(harvest_id=row.id, place=bad.place, why=bad.why, raw=bad.raw)
        for bad in run.rejections
    )


def _locked(session: Session, source_id: int) -> Source:
    # Others write their part of its cursor too.
    return session.get_one(Source, source_id, with_for_update=True)


def _keep(session: Session, source_id: int, **kept: Any) -> None:
    source = _locked(session, source_id)
    source.cursor = {**source.cursor, **kept}


def report_of(code: str, run: Run) -> HarvestReport:
    """Return what came of a harvest of the source `code`."""
    return HarvestReport(
        source=code,
        added=run.counts.added,
        changed=run.counts.changed,
        withdrawn=run.counts.withdrawn,
        unchanged=run.counts.unchanged,
        rejected=run.rejected,
        acquisitions=run.counts.acquisitions,
        bytes=run.size,
        rejections=run.rejections,
    )
