"""Works: what the library has, found by words or ISBN."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pydantic import Field
from sqlalchemy import select
from sqlalchemy.orm import Session

from api.auth.keys import KeyCaller
from api.rest.blueprint import part
from api.rest.doors import reads, writes
from api.rest.fields import Id, In, Out, Text
from api.rest.lists import listed
from api.rest.protocol.paging import PageIn
from harvesters.regrouping import join_works, split_work, undo_regrouping
from library.clock import utc_now
from library.errors import NotFound
from library.search import found_by, is_whole, suggest_subjects
from library.tables import (
    Acquisition,
    BibRecord,
    Branch,
    Creator,
    JoinedWork,
    Regrouping,
    Source,
    Subject,
    Work,
    WorkCreator,
    WorkSubject,
)
from library.vocabulary import NewMeans, RegroupingKind

bp = part("works")


class WorksIn(PageIn):
    """Which works."""

    q: Text | None = Field(
        default=None, description="Words in any spelling, or an ISBN."
    )


class SubjectsIn(In):
    """What is being typed."""

    q: Text
    limit: int = Field(default=10, ge=1, le=50)


class WorkOut(Out):
    """A work in a list."""

    id: int
    title: str
    lang: str | None
    dir: str
    creators: list[str]
    series: str | None
    year: str | None


class WorksOut(Out):
    """A page of works."""

    items: list[WorkOut]


class EditionOut(Out):
    """One source's record of one edition."""

    id: int
    source: str
    source_ref: str
    isbn: str | None
    format: str | None
    call_number: str | None
    url: str | None
    withdrawn_at: datetime | None


class AcquisitionOut(Out):
    """A work became new at a branch."""

    branch: str
    eligible_at: datetime
    cause: NewMeans


class WorkDetailOut(WorkOut):
    """A work with all that is known of it."""

    subjects: list[str]
    summary: str | None
    editions: list[EditionOut]
    acquisitions: list[AcquisitionOut]


class SubjectOut(Out):
    """A subject to choose."""

    id: int
    scheme: str
    label: str


class SubjectsOut(Out):
    """Subjects that what is typed may become."""

    items: list[SubjectOut]


class JoinIn(In):
    """What becomes part of a work."""

    other_id: Id


class SplitIn(In):
    """What becomes a work of its own."""

    editions: list[Id] = Field(
        min_length=1, max_length=500, description="Numbers of editions, not all."
    )


class RegroupingOut(Out):
    """A join or split of works."""

    id: int
    kind: RegroupingKind
    work_id: int
    other_id: int = Field(description="What was joined, or split off.")
    created_at: datetime
    undone_at: datetime | None


@bp.get("/works")
@reads("works")
@bp.input(WorksIn, location="query")
@bp.output(WorksOut)
def list_works(
    session: Session, _caller: KeyCaller, query_data: WorksIn
) -> tuple[dict[str, Any], int, dict[str, str]]:
    """List works, or find them by words or ISBN; the newest first."""
    works = select(Work).where(is_whole())
    if query_data.q:
        works = works.where(found_by(query_data.q))
    return listed(
        session,
        works,
        Work.id,
        query_data,
        lambda work: _work(session, work),
        newest_first=True,
    )


@bp.get("/works/<int:work_id>")
@reads("works")
@bp.output(WorkDetailOut)
def get_work(session: Session, _caller: KeyCaller, work_id: int) -> WorkDetailOut:
    """Return a work with its editions and where it became new."""
    work = session.get(Work, work_id)
    if work is None:
        raise NotFound(f"no work {work_id}")
    joined = session.get(JoinedWork, work_id)
    if joined is not None:
        raise NotFound(f"work {work_id} is part of work {joined.into_id}")
    return WorkDetailOut(
        **dict(_work(session, work)),
        subjects=_subjects(session, work_id),
        summary=work.summary,
        editions=_editions(session, work_id),
        acquisitions=_acquisitions(session, work_id),
    )


@bp.post("/works/<int:work_id>/join")
@writes("works")
@bp.input(JoinIn)
@bp.output(RegroupingOut, status_code=201)
def join(
    session: Session, caller: KeyCaller, work_id: int, json_data: JoinIn
) -> Regrouping:
    """Make another work part of this one; it holds through later harvests."""
    return join_works(
        session, work_id, json_data.other_id, by=caller.actor, at=utc_now()
    )


@bp.post("/works/<int:work_id>/split")
@writes("works")
@bp.input(SplitIn)
@bp.output(RegroupingOut, status_code=201)
def split(
    session: Session, caller: KeyCaller, work_id: int, json_data: SplitIn
) -> Regrouping:
    """Make some editions of this work a work of their own; that holds likewise."""
    return split_work(
        session, work_id, json_data.editions, by=caller.actor, at=utc_now()
    )


@bp.post("/regroupings/<int:regrouping_id>/undo")
@writes("works")
@bp.output(RegroupingOut)
def undo(session: Session, caller: KeyCaller, regrouping_id: int) -> Regrouping:
    """Take a join or split back, unless a later one stands on it."""
    return undo_regrouping(session, regrouping_id, by=caller.actor, at=utc_now())


@bp.get("/subjects")
@reads("works")
@bp.input(SubjectsIn, location="query")
@bp.output(SubjectsOut)
def find_subjects(
    session: Session, _caller: KeyCaller, query_data: SubjectsIn
) -> dict[str, Sequence[Subject]]:
    """Complete a subject that is being typed."""
    return {"items": suggest_subjects(session, query_data.q, query_data.limit)}


def _work(session: Session, work: Work) -> WorkOut:
    creators = (
        select(Creator.name)
        .join(WorkCreator, WorkCreator.creator_id == Creator.id)
        .where(WorkCreator.work_id == work.id)
        .order_by(WorkCreator.position, Creator.id)
    )
    return WorkOut(
        id=work.id,
        title=work.title,
        lang=work.language,
        dir=work.title_dir,
        creators=list(session.scalars(creators)),
        series=work.series,
        year=work.year_raw,
    )


def _subjects(session: Session, work_id: int) -> list[str]:
    labels = (
        select(Subject.label)
        .join(WorkSubject, WorkSubject.subject_id == Subject.id)
        .where(WorkSubject.work_id == work_id)
        .order_by(Subject.id)
    )
    return list(session.scalars(labels))


def _editions(session: Session, work_id: int) -> list[EditionOut]:
    records = (
        select(BibRecord, Source.code)
        .join(Source, Source.id == BibRecord.source_id)
        .where(BibRecord.work_id == work_id)
        .order_by(BibRecord.id)
    )
    return [
        EditionOut(
            id=record.id,
            source=code,
            source_ref=record.source_ref,
            isbn=record.isbn,
            format=record.format,
            call_number=record.call_number,
            url=record.url,
            withdrawn_at=record.withdrawn_at,
        )
        for record, code in session.execute(records)
    ]


def _acquisitions(session: Session, work_id: int) -> list[AcquisitionOut]:
    rows = (
        select(Acquisition, Branch.code)
        .join(Branch, Branch.id == Acquisition.branch_id)
        .where(Acquisition.work_id == work_id)
        .order_by(Acquisition.eligible_at, Acquisition.id)
    )
    return [
        AcquisitionOut(branch=code, eligible_at=row.eligible_at, cause=row.cause)
        for row, code in session.execute(rows)
    ]
