"""Works that a librarian joins and splits, through later harvests and back."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from harvesters.ingest import Ingested, Origin, ingest
from harvesters.records import HarvestedRecord, Heading
from harvesters.regrouping import join_works, split_work, undo_regrouping
from harvesters.sources import remove_source
from library.audit import Actor
from library.db import Base, Sessions, reading
from library.errors import Conflict, InvalidInput, NotFound, ServiceError
from library.search import is_whole, search_works
from library.tables import (
    Acquisition,
    Alert,
    AuditEntry,
    BibRecord,
    Feedback,
    Loan,
    Source,
    Suppression,
    Work,
)
from library.vocabulary import Channel, SuppressionKind, Verdict
from tests.factories import NOON, ada, make_alert, make_loan, make_source
from tests.races import meanwhile

NOBODY = Actor()
COSMOS = HarvestedRecord("1", "Cosmos", ("Carl Sagan",), year="1980")
KAYHAN = HarvestedRecord(
    "2", "کیهان", ("کارل سیگن",), subjects=(Heading("local", "ستاره"),)
)


def take(
    sessions: Sessions, *records: HarvestedRecord, source: str = "acq"
) -> Ingested:
    with sessions.begin() as session:
        row = session.scalars(select(Source).where(Source.code == source)).one()
        origin = Origin(row.id, source, row.branch_id, silent=False)
        return ingest(session, origin, records, at=NOON)


def works(sessions: Sessions) -> dict[str, list[str]]:
    """Titles of the works that have records, with their refs."""
    found: dict[str, list[str]] = {}
    with reading(sessions) as session:
        rows = session.execute(
            select(Work.title, BibRecord.source_ref)
            .join(BibRecord, BibRecord.work_id == Work.id)
            .order_by(BibRecord.source_ref)
        )
        for title, ref in rows:
            found.setdefault(title, []).append(ref)
    return found


def ids(session: Session, *titles: str) -> Sequence[int]:
    whole = select(Work.id).where(is_whole())
    return [session.scalars(whole.where(Work.title == t)).one() for t in titles]


def join(sessions: Sessions, title: str, other: str) -> int:
    with sessions.begin() as session:
        return join_works(session, *ids(session, title, other), by=NOBODY, at=NOON).id


def split(sessions: Sessions, title: str, *refs: str) -> int:
    with sessions.begin() as session:
        (work,) = ids(session, title)
        chosen = select(BibRecord.id).where(BibRecord.source_ref.in_(refs))
        records = session.scalars(chosen).all()
        return split_work(session, work, records, by=NOBODY, at=NOON).id


def undo(sessions: Sessions, regrouping: int) -> None:
    with sessions.begin() as session:
        undo_regrouping(session, regrouping, by=NOBODY, at=NOON)


def rows(sessions: Sessions) -> dict[str, list[tuple[object, ...]]]:
    """Every row but those that tell of the regrouping itself."""
    told = {"regrouping", "audit_entry", "alembic_version"}
    with reading(sessions) as session:
        return {
            table.name: sorted(map(tuple, session.execute(select(table))), key=repr)
            for table in Base.metadata.sorted_tables
            if table.name not in told
        }


@pytest.fixture(autouse=True)
def source(sessions: Sessions) -> None:
    with sessions.begin() as session:
        make_source(session)


def test_a_join_holds_through_later_harvests(sessions: Sessions) -> None:
    take(sessions, COSMOS, KAYHAN)
    join(sessions, "Cosmos", "کیهان")

    again = take(sessions, COSMOS, KAYHAN)
    edition = take(sessions, replace(KAYHAN, ref="3", isbn="9780306406157"))
    corrected = take(sessions, replace(KAYHAN, year="1363"))

    assert again.unchanged == 2
    assert (edition.added, edition.acquisitions) == (1, 0)
    assert corrected.changed == 1
    assert works(sessions) == {"Cosmos": ["1", "2", "3"]}


def test_a_joined_work_is_found_no_more(sessions: Sessions) -> None:
    take(sessions, COSMOS, KAYHAN)
    join(sessions, "Cosmos", "کیهان")

    with reading(sessions) as session:
        assert search_works(session, "کیهان", 5) == []
        assert len(search_works(session, "cosmos", 5)) == 1


def test_a_split_holds_through_later_harvests(sessions: Sessions) -> None:
    stories = replace(COSMOS, ref="2", year="1990", isbn="9780306406157")
    take(sessions, COSMOS, stories)
    assert works(sessions) == {"Cosmos": ["1", "2"]}
    split(sessions, "Cosmos", "2")

    take(sessions, replace(stories, title="Cosmos: stories"))
    with sessions.begin() as session:
        branch = session.scalars(select(Source.branch_id)).one()
        remove_source(session, "acq")
        session.add(
            Source(code="acq", kind="feed", url="x", branch_id=branch, created_at=NOON)
        )
    take(sessions, COSMOS, replace(stories, title="Cosmos: stories"))

    assert works(sessions) == {"Cosmos": ["1"], "Cosmos: stories": ["2"]}


def test_what_is_split_off_says_what_its_source_said(sessions: Sessions) -> None:
    take(sessions, COSMOS, replace(COSMOS, ref="2", title="COSMOS : a voyage"))
    split(sessions, "Cosmos", "2")

    assert works(sessions) == {"Cosmos": ["1"], "COSMOS : a voyage": ["2"]}


def test_several_records_are_split_off_together(sessions: Sessions) -> None:
    take(sessions, *(replace(COSMOS, ref=ref) for ref in "123"))
    split(sessions, "Cosmos", "2", "3")

    with reading(sessions) as session:
        by_work = session.execute(select(BibRecord.work_id, BibRecord.source_ref)).all()
    works_of = {ref: work for work, ref in by_work}
    assert works_of["2"] == works_of["3"] != works_of["1"]


def test_all_that_hangs_on_a_joined_work_comes_along(sessions: Sessions) -> None:
    take(sessions, COSMOS, KAYHAN)
    with sessions.begin() as session:
        patron = ada(session)
        cosmos, kayhan = (
            session.get_one(Work, one) for one in ids(session, "Cosmos", "کیهان")
        )
        make_loan(session, patron, kayhan)
        make_alert(session, patron, cosmos)
        make_alert(session, patron, kayhan)
        session.add(
            Feedback(
                patron_id=patron.id,
                work_id=kayhan.id,
                verdict=Verdict.WANTED,
                given_at=NOON,
                via=Channel.PAGE,
            )
        )
        session.add(
            Suppression(
                patron_id=patron.id,
                kind=SuppressionKind.WORK,
                target=str(kayhan.id),
                label="کیهان",
                created_at=NOON,
            )
        )
        kept, gone = cosmos.id, kayhan.id

    join(sessions, "Cosmos", "کیهان")

    with reading(sessions) as session:
        assert session.scalars(select(Loan.work_id)).all() == [kept]
        assert session.scalars(select(Feedback.work_id)).all() == [kept]
        assert session.scalars(select(Suppression.target)).all() == [str(kept)]
        assert (
            len(
                session.scalars(
                    select(Acquisition).where(Acquisition.work_id == kept)
                ).all()
            )
            == 1
        )
        alerts = session.execute(select(Alert.work_id, Alert.withdrawn_at)).all()
    # The patron has been told of the one, so the other is not told any more.
    assert sorted(map(tuple, alerts), key=repr) == sorted(
        [(kept, None), (gone, NOON)], key=repr
    )


@pytest.mark.parametrize("order", [("Cosmos", "کیهان"), ("کیهان", "Cosmos")], ids=str)
def test_a_join_is_undone_to_the_last_row(
    sessions: Sessions, order: tuple[str, str]
) -> None:
    take(sessions, COSMOS, KAYHAN)
    with sessions.begin() as session:
        patron = ada(session)
        for work in ids(session, "Cosmos", "کیهان"):
            make_loan(session, patron, session.get_one(Work, work))
            make_alert(session, patron, session.get_one(Work, work))
    before = rows(sessions)

    undo(sessions, join(sessions, *order))

    assert rows(sessions) == before


def test_a_split_is_undone_and_holds(sessions: Sessions) -> None:
    take(sessions, COSMOS, replace(COSMOS, ref="2"))
    undo(sessions, split(sessions, "Cosmos", "2"))

    take(sessions, COSMOS, replace(COSMOS, ref="2", year="1999"))

    assert works(sessions) == {"Cosmos": ["1", "2"]}
    split(sessions, "Cosmos", "2")
    with reading(sessions) as session:
        assert len(set(session.scalars(select(BibRecord.work_id)))) == 2


def test_joins_are_undone_the_latest_first(sessions: Sessions) -> None:
    third = HarvestedRecord("3", "Kosmos", ("Sagan, Carl",))
    take(sessions, COSMOS, KAYHAN, third)
    first = join(sessions, "Cosmos", "کیهان")
    second = join(sessions, "Kosmos", "Cosmos")
    assert works(sessions) == {"Kosmos": ["1", "2", "3"]}

    with pytest.raises(Conflict):
        undo(sessions, first)
    undo(sessions, second)
    assert works(sessions) == {"Cosmos": ["1", "2"], "Kosmos": ["3"]}
    undo(sessions, first)
    assert works(sessions) == {"Cosmos": ["1"], "کیهان": ["2"], "Kosmos": ["3"]}
    with pytest.raises(Conflict):
        undo(sessions, first)


@pytest.mark.parametrize(
    ("work", "other", "error"),
    [(0, 0, InvalidInput), (0, 99_999, NotFound), (99_999, 0, NotFound)],
    ids=["itself", "nothing", "into nothing"],
)
def test_what_cannot_be_joined_is_told(
    sessions: Sessions, work: int, other: int, error: type[ServiceError]
) -> None:
    take(sessions, COSMOS)
    with sessions.begin() as session:
        (cosmos,) = ids(session, "Cosmos")
        with pytest.raises(error):
            join_works(session, work or cosmos, other or cosmos, by=NOBODY, at=NOON)


def test_a_split_names_some_records_of_the_work(sessions: Sessions) -> None:
    take(sessions, COSMOS, KAYHAN)
    with reading(sessions) as session:
        (cosmos,) = ids(session, "Cosmos")
        records = session.scalars(select(BibRecord.id)).all()
    for chosen in ([], records, records[:1], [99_999]):
        with sessions.begin() as session, pytest.raises(InvalidInput):
            split_work(session, cosmos, chosen, by=NOBODY, at=NOON)


def test_the_audit_says_who_did_what(sessions: Sessions) -> None:
    take(sessions, COSMOS, KAYHAN)
    undo(sessions, join(sessions, "Cosmos", "کیهان"))

    with reading(sessions) as session:
        actions = session.scalars(select(AuditEntry.action)).all()
    assert actions == ["work.join", "work.join.undone"]


def test_two_librarians_who_join_the_same_works_do_not_block_each_other(
    sessions: Sessions,
) -> None:
    take(sessions, COSMOS, KAYHAN)
    with reading(sessions) as session:
        one, other = ids(session, "Cosmos", "کیهان")

    meanwhile(
        sessions,
        lambda session: session.get(Work, one, with_for_update=True),
        lambda session: join_works(session, other, one, by=NOBODY, at=NOON),
        then=lambda session: session.get(Work, other, with_for_update=True),
    )

    assert works(sessions) == {"کیهان": ["1", "2"]}
