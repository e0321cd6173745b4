"""Sources: where bib records come from, and how each one's reading stands."""

from datetime import datetime
from typing import Any

from flask import Response, jsonify, url_for
from pydantic import Field
from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from api.auth.keys import KeyCaller
from api.rest.blueprint import part
from api.rest.doors import reads, writes
from api.rest.fields import Address, Code, In, Out, Short, as_json
from api.rest.lists import listed
from api.rest.protocol.paging import PageIn
from harvesters.sources import add_source, find_source, remove_source
from library import audit
from library.clock import utc_now
from library.errors import NotAllowed
from library.tables import Branch, Harvest, Source
from library.vocabulary import NewMeans, SourceKind

bp = part("sources")


class SourceIn(In):
    """A source to read from now on."""

    code: Code
    kind: SourceKind
    url: Address | None = Field(
        default=None, description="Where it is read; a source of kind push has none."
    )
    branch: Code | None = Field(default=None, description="A branch's code.")
    new_means: NewMeans = NewMeans.FIRST_SEEN
    silent: bool = Field(default=True, description="The first load announces nothing.")
    settings: dict[Short, Short] = Field(
        default={},
        max_length=20,
        description="By kind set, prefix, encoding, auth; for all words, languages.",
    )


class HarvestOut(Out):
    """One run over a source."""

    started_at: datetime
    ended_at: datetime | None
    added: int
    changed: int
    withdrawn: int
    unchanged: int
    rejected: int
    cause: str | None
    error: str | None


class SourceOut(Out):
    """A source and how its reading stands."""

    code: str
    kind: SourceKind
    url: str
    branch_id: int | None
    new_means: NewMeans
    silent: bool
    failures: int
    next_check_at: datetime | None
    last_harvest: HarvestOut | None


class SourcesOut(Out):
    """A page of sources."""

    items: list[SourceOut]


@bp.get("/sources")
@reads("sources")
@bp.input(PageIn, location="query")
@bp.output(SourcesOut)
def list_sources(
    session: Session, caller: KeyCaller, query_data: PageIn
) -> tuple[dict[str, Any], int, dict[str, str]]:
    """List the sources of the caller's branches, and those of all."""
    rows = select(Source)
    if caller.branch_id is not None:
        mine = Source.branch_id == caller.branch_id
        rows = rows.where(or_(mine, Source.branch_id.is_(None)))
    return listed(
        session, rows, Source.id, query_data, lambda source: _source(session, source)
    )


@bp.get("/sources/<code>")
@reads("sources")
@bp.output(SourceOut)
def get_source(session: Session, caller: KeyCaller, code: str) -> SourceOut:
    """Return a source with its last harvest."""
    source = find_source(session, code)
    if source.branch_id is not None:
        caller.needs_branch(source.branch_id)
    return _source(session, source)


@bp.post("/sources")
@writes("sources")
@bp.input(SourceIn)
@bp.output(SourceOut, status_code=201)
def add(session: Session, caller: KeyCaller, json_data: SourceIn) -> Response:
    """Add a source; it is read on the schedule's next turn."""
    _check_branch(session, caller, json_data.branch)
    source = add_source(
        session,
        json_data.code,
        json_data.kind,
        json_data.url or "",
        branch_code=json_data.branch,
        new_means=json_data.new_means,
        silent=json_data.silent,
        settings=dict(json_data.settings),
        at=utc_now(),
    )
    _record(session, caller, "source.added", source)
    answer = jsonify(as_json(_source(session, source)))
    answer.status_code = 201
    answer.headers["Location"] = url_for("rest_sources.get_source", code=source.code)
    return answer


@bp.post("/sources/<code>/run")
@writes("sources")
@bp.output(SourceOut, status_code=202)
def run(session: Session, caller: KeyCaller, code: str) -> SourceOut:
    """Make a source due now: it is read on the schedule's next turn."""
    source = _own(session, caller, code)
    source.next_check_at = utc_now()
    _record(session, caller, "source.run", source)
    return _source(session, source)


@bp.delete("/sources/<code>")
@writes("sources")
@bp.output({}, status_code=204)
def remove(session: Session, caller: KeyCaller, code: str) -> str:
    """Remove a source and its records; the works stay."""
    source = _own(session, caller, code)
    _record(session, caller, "source.removed", source)
    remove_source(session, code)
    return ""


def _own(session: Session, caller: KeyCaller, code: str) -> Source:
    source = find_source(session, code)
    caller.needs_branch(source.branch_id)
    return source


def _check_branch(session: Session, caller: KeyCaller, code: str | None) -> None:
    if caller.branch_id is None:
        return
    own = session.get_one(Branch, caller.branch_id).code
    if code != own:
        raise NotAllowed(f"a key of branch {own} adds sources to that branch alone")


def _record(session: Session, caller: KeyCaller, action: str, source: Source) -> None:
    audit.record(
        session,
        action,
        at=utc_now(),
        by=caller.actor,
        table="source",
        row_id=source.id,
        after={"code": source.code, "url": source.url},
    )


def _source(session: Session, source: Source) -> SourceOut:
    last = session.scalar(
        select(Harvest)
        .where(Harvest.source_id == source.id)
        .order_by(Harvest.started_at.desc(), Harvest.id.desc())
        .limit(1)
    )
    return SourceOut(
        code=source.code,
        kind=source.kind,
        url=source.url,
        branch_id=source.branch_id,
        new_means=source.new_means,
        silent=source.silent,
        failures=source.failures,
        next_check_at=source.next_check_at,
        last_harvest=HarvestOut.model_validate(last) if last else None,
    )
