"""Two who fill the catalogue at one moment: none fails, and what is one becomes one."""

from dataclasses import replace

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from harvesters.ingest import Origin, ingest
from harvesters.records import HarvestedRecord
from harvesters.regrouping import split_work
from library.audit import Actor
from library.db import Sessions, reading
from library.tables import BibRecord, Creator, Source, Work
from tests.factories import NOON, make_source
from tests.races import meanwhile

SAGAN, DRUYAN = ("Carl Sagan",), ("Ann Druyan",)
COSMOS = HarvestedRecord("1", "Cosmos", SAGAN, isbn="9780345539434")


@pytest.fixture(autouse=True)
def sources(sessions: Sessions) -> None:
    with sessions.begin() as session:
        for code in ("one", "other"):
            make_source(session, code)


def take(session: Session, code: str, *records: HarvestedRecord) -> None:
    source = session.scalars(select(Source).where(Source.code == code)).one()
    ingest(session, Origin(source.id, code, source.branch_id), records, at=NOON)


def test_two_batches_that_meet_new_creators_wait_for_each_other_in_turn(
    sessions: Sessions,
) -> None:
    meanwhile(
        sessions,
        lambda session: take(session, "one", COSMOS),
        lambda session: take(
            session,
            "other",
            HarvestedRecord("2", "Comet", DRUYAN),
            HarvestedRecord("3", "Contact", SAGAN),
        ),
        # All batches of an import that is only tried are one transaction.
        then=lambda session: take(session, "one", HarvestedRecord("4", "Ada", DRUYAN)),
    )

    with reading(sessions) as session:
        names = session.scalars(select(Creator.name).order_by(Creator.name)).all()
    assert names == ["Ann Druyan", "Carl Sagan"]


def test_editions_that_come_from_two_sources_at_once_are_one_work(
    sessions: Sessions,
) -> None:
    longer = replace(COSMOS, title="Cosmos a personal voyage")
    meanwhile(
        sessions,
        lambda session: take(session, "one", COSMOS),
        lambda session: take(session, "other", longer),
    )

    with reading(sessions) as session:
        assert len(session.scalars(select(Work)).all()) == 1


def test_a_librarian_who_splits_a_work_and_a_harvest_wait_for_each_other_in_turn(
    sessions: Sessions,
) -> None:
    with sessions.begin() as session:
        take(session, "one", COSMOS)
        take(session, "one", replace(COSMOS, ref="5", creators=DRUYAN))
        work_id = session.scalars(select(Work.id)).one()
        record = session.scalars(
            select(BibRecord.id).where(BibRecord.source_ref == "5")
        ).one()

    meanwhile(
        sessions,
        lambda session: take(session, "one", HarvestedRecord("2", "Comet", DRUYAN)),
        lambda session: split_work(session, work_id, [record], by=Actor(), at=NOON),
        then=lambda session: take(session, "other", replace(COSMOS, summary="Stars")),
    )

    with reading(sessions) as session:
        assert len(session.scalars(select(Work)).all()) == 3
