"""What a database holds, without its ids and moments: equal work leaves equal rows."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from library.tables import (
    Acquisition,
    BibRecord,
    Branch,
    Creator,
    Source,
    Subject,
    Work,
    WorkCreator,
    WorkSubject,
)

Rows = dict[str, list[tuple[object, ...]]]


def catalogue(session: Session) -> Rows:
    """Return the catalogue by natural keys, in order."""
    works = select(
        Work.key, Work.title, Work.language, Work.year_raw, Work.series, Work.summary
    )
    records = (
        select(Source.code, BibRecord.source_ref, Work.key, BibRecord.content_hash)
        .join(Source, Source.id == BibRecord.source_id)
        .join(Work, Work.id == BibRecord.work_id)
        .add_columns(BibRecord.withdrawn_at.is_(None))
    )
    creators = (
        select(Work.key, Creator.squash, WorkCreator.position)
        .join(WorkCreator, WorkCreator.work_id == Work.id)
        .join(Creator, Creator.id == WorkCreator.creator_id)
    )
    subjects = (
        select(Work.key, Subject.scheme, Subject.squash)
        .join(WorkSubject, WorkSubject.work_id == Work.id)
        .join(Subject, Subject.id == WorkSubject.subject_id)
    )
    acquisitions = (
        select(Work.key, Branch.code, Acquisition.cause)
        .join(Work, Work.id == Acquisition.work_id)
        .join(Branch, Branch.id == Acquisition.branch_id)
    )
    chosen = {
        "work": works,
        "bib_record": records,
        "creator": creators,
        "subject": subjects,
        "acquisition": acquisitions,
    }
    return {
        name: sorted((tuple(row) for row in session.execute(query)), key=repr)
        for name, query in chosen.items()
    }
