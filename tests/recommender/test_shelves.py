from collections.abc import Mapping, Sequence
from datetime import timedelta

import pytest
from sqlalchemy import event, func, select

from library.db import Sessions, reading
from library.errors import NotFound
from library.settings import Settings
from library.tables import Feedback, Patron, ShelfEntry, Work
from library.vocabulary import Channel, ConsentPurpose, ReasonKind, Verdict
from recommender.shelves import Shelves, build_shelves, fresh_shelves, shelf_for
from tests.factories import (
    NOON,
    bo,
    make_acquisition,
    make_interest,
    make_patron,
    make_work,
)
from tests.recommender.library_of_two_tastes import STARS, Library


def by_code(shelves: Shelves) -> Mapping[str, Sequence[int]]:
    return {shelf.code: [entry.work_id for entry in shelf.entries] for shelf in shelves}


def reader(library: Library, external_id: str) -> int:
    with reading(library.sessions) as session:
        query = select(Patron.id).where(Patron.external_id == external_id)
        return session.scalars(query).one()


def shelves(library: Library, patron_id: int) -> Shelves:
    return shelf_for(library.sessions, library.settings, patron_id, at=NOON)


def test_for_you_is_what_suits_and_says_why(library: Library) -> None:
    found = shelves(library, reader(library, "s1"))

    for_you = found[0]
    assert for_you.code == "for_you"
    with reading(library.sessions) as session:
        titles = [session.get_one(Work, e.work_id).title for e in for_you.entries[:3]]
    assert all(title.startswith(STARS) for title in titles)
    assert all(1 <= len(entry.reasons) <= 3 for entry in for_you.entries)


def test_popular_is_what_others_of_the_branch_borrow(library: Library) -> None:
    with library.sessions.begin() as session:
        nobody = bo(session).id

    found = by_code(shelves(library, nobody))

    assert list(found) == ["popular"]
    assert len(found["popular"]) == 24


def test_a_few_picks_bring_for_you(library: Library) -> None:
    with library.sessions.begin() as session:
        patron = bo(session)
        for label in (STARS, "A", "B", "C", "D"):
            make_interest(session, patron, label)

    found = by_code(shelves(library, patron.id))

    assert list(found) == ["for_you", "popular"]


def test_new_is_newest_first_and_of_the_branch(library: Library) -> None:
    with library.sessions.begin() as session:
        works = [make_work(session, f"New {i}") for i in range(3)]
        for days, work in enumerate(works):
            make_acquisition(session, work, at=NOON - timedelta(days=days + 1))
        make_acquisition(session, make_work(session, "Elsewhere"), branch="east")
        old = make_work(session, "Old")
        make_acquisition(session, old, at=NOON - timedelta(days=99))

    found = by_code(shelves(library, reader(library, "s1")))

    assert found["new"] == [work.id for work in works]


def test_nothing_judged_or_borrowed_is_on_a_shelf(library: Library) -> None:
    patron_id = reader(library, "s1")
    before = by_code(shelves(library, patron_id))
    hidden = before["for_you"][0]
    with library.sessions.begin() as session:
        session.add(
            Feedback(
                patron_id=patron_id,
                work_id=hidden,
                verdict=Verdict.NOT_FOR_ME,
                given_at=NOON,
                via=Channel.PAGE,
            )
        )

    after = by_code(shelves(library, patron_id))

    assert all(hidden not in works for works in after.values())


@pytest.mark.slow
def test_stored_shelves_are_what_fresh_ones_were(library: Library) -> None:
    patron_id = reader(library, "c3")
    fresh = shelves(library, patron_id)

    report = build_shelves(library.sessions, library.settings, at=NOON)

    assert report.patrons == 30
    # Scores may differ in the last digit: blocks of other shapes add up otherwise.
    assert by_code(shelves(library, patron_id)) == by_code(fresh)
    with reading(library.sessions) as session:
        mine = ShelfEntry.patron_id == patron_id
        stored = session.scalar(select(func.count(ShelfEntry.id)).where(mine))
        assert stored == sum(len(shelf.entries) for shelf in fresh)


@pytest.mark.slow
def test_building_twice_replaces(library: Library) -> None:
    for _ in range(2):
        build_shelves(library.sessions, library.settings, at=NOON)

    with reading(library.sessions) as session:
        twice = select(ShelfEntry.patron_id, ShelfEntry.shelf, ShelfEntry.rank)
        rows = session.execute(twice).all()
        assert len(rows) == len(set(rows))


@pytest.mark.slow
def test_a_word_of_the_patron_makes_stored_shelves_stale(library: Library) -> None:
    patron_id = reader(library, "s1")
    build_shelves(library.sessions, library.settings, at=NOON - timedelta(hours=2))
    hidden = by_code(shelves(library, patron_id))["for_you"][0]
    with library.sessions.begin() as session:
        session.add(
            Feedback(
                patron_id=patron_id,
                work_id=hidden,
                verdict=Verdict.NOT_FOR_ME,
                given_at=NOON - timedelta(hours=1),
                via=Channel.PAGE,
            )
        )

    assert hidden not in by_code(shelves(library, patron_id))["for_you"]


def test_reading_a_shelf_changes_nothing(library: Library) -> None:
    changes: list[str] = []

    def watch(_c: object, _k: object, sql: str, *_rest: object) -> None:
        if sql.split(maxsplit=1)[0] in ("INSERT", "UPDATE", "DELETE"):
            changes.append(sql)

    engine = library.sessions.kw["bind"]
    event.listen(engine, "before_cursor_execute", watch)
    shelves(library, reader(library, "s1"))

    assert changes == []


def test_a_page_asks_few_questions_of_the_database(library: Library) -> None:
    patron_id = reader(library, "s1")
    shelves(library, patron_id)  # reads what does not depend on the patron
    asked = []
    engine = library.sessions.kw["bind"]

    def watch(*args: object) -> None:
        if str(args[2]).startswith("SELECT"):
            asked.append(args[2])

    event.listen(engine, "before_cursor_execute", watch)
    with reading(library.sessions) as session:
        fresh_shelves(session, library.settings, patron_id, at=NOON)

    assert len(asked) <= 7


def test_nobody_has_no_shelf(library: Library) -> None:
    with pytest.raises(NotFound, match="no patron 999"):
        shelves(library, 999)


def test_before_any_training(sessions: Sessions, settings: Settings) -> None:
    with sessions.begin() as session:
        patron = make_patron(session, "Di", consents=tuple(ConsentPurpose))
        make_acquisition(session, make_work(session, "New"))

    (found,) = shelf_for(sessions, settings, patron.id, at=NOON)

    assert found.code == "new"
    assert found.entries[0].reasons[0]["kind"] == ReasonKind.LATEST
