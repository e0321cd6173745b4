from datetime import timedelta

from library.db import Sessions, reading
from library.tables import BibRecord, Subject, WorkSubject
from recommender.catalogue import read_texts, read_work_ids
from tests.factories import NOON, make_acquisition, make_source, make_work


def test_reads_what_is_written_in_the_order_of_the_ids(sessions: Sessions) -> None:
    with sessions.begin() as session:
        plain = make_work(session, "Plain")
        work = make_work(
            session,
            "Stars",
            creator="Malory, Thomas",
            subjects=["Astronomy", "نجوم"],
            language="eng",
        )
        work.series = "Skies"
        number = Subject(scheme="class", squash="523", label="523")
        session.add(number)
        session.flush()
        session.add(WorkSubject(work_id=work.id, subject_id=number.id))
        session.add(
            BibRecord(
                source_id=make_source(session).id,
                source_ref="1",
                work_id=work.id,
                call_number="523 MAL",
                content_hash="",
                raw={},
                created_at=NOON,
            )
        )

    with reading(sessions) as session:
        ids = read_work_ids(session)
        found = read_texts(session, ids[::-1])

    assert ids.tolist() == [plain.id, work.id]
    assert list(found.title) == ["Stars", "Plain"]
    assert found.creators[0] == ("Malory, Thomas",)
    assert found.subjects[0] == ("Astronomy", "نجوم", "Skies")
    assert found.classification[0] == ("523", "523 MAL")
    assert list(found.language) == ["eng", "en"]
    assert found.creators[1] == found.subjects[1] == ()
    assert found.arrived is None


def test_words_stand_for_a_title_that_is_only_an_id(sessions: Sessions) -> None:
    with sessions.begin() as session:
        make_work(session, "17", language=None).words = {"graph": 2}

    with reading(sessions) as session:
        found = read_texts(session, read_work_ids(session))

    assert list(found.title) == [""]
    assert found.words[0] == {"graph": 2}


def test_arrival_is_the_day_where_works_came_over_time(sessions: Sessions) -> None:
    with sessions.begin() as session:
        for i in range(12):
            work = make_work(session, f"W{i}")
            work.year_greg_to = 1900
            make_acquisition(session, work, at=NOON + timedelta(days=i))

    with reading(sessions) as session:
        found = read_texts(session, read_work_ids(session))

    assert found.arrived is not None
    assert (found.arrived - found.arrived[0]).tolist() == list(range(12))


def test_arrival_is_the_year_where_all_came_at_once(sessions: Sessions) -> None:
    with sessions.begin() as session:
        for i in range(12):
            work = make_work(session, f"W{i}")
            work.year_greg_to = 1900 + i if i else None
            make_acquisition(session, work)

    with reading(sessions) as session:
        found = read_texts(session, read_work_ids(session))

    assert found.arrived is not None
    assert found.arrived[1:].tolist() == [1900 + i for i in range(1, 12)]


def test_nothing_is_written_about_no_works(sessions: Sessions) -> None:
    with reading(sessions) as session:
        assert len(read_texts(session, read_work_ids(session))) == 0
