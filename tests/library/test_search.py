import pytest

from library.db import Sessions, reading
from library.search import search_works, suggest_subjects
from library.tables import BibRecord, Subject
from tests.factories import make_source, make_work


@pytest.fixture
def catalogue(sessions: Sessions) -> Sessions:
    with sessions.begin() as session:
        cosmos = make_work(session, "Cosmos", subjects=["Astronomy", "Iranian history"])
        make_work(session, "A history of Cosmos", subjects=["Astronomy", "History"])
        make_work(session, "كتابداري نوین", subjects=["کتابداری"], language="per")
        make_work(session, "100% Python_3", subjects=["C++"])
        session.add(Subject(scheme="class", squash="hist", label="HIST"))
        session.add(
            BibRecord(
                source_id=make_source(session).id,
                source_ref="1",
                work_id=cosmos.id,
                isbn="9780306406157",
                content_hash="",
                raw={},
                created_at=cosmos.created_at,
            )
        )
    return sessions


@pytest.mark.parametrize(
    ("query", "titles"),
    [
        pytest.param("cosmos", ["Cosmos", "A history of Cosmos"], id="begins first"),
        pytest.param("HISTORY cosmos", ["A history of Cosmos"], id="any order, case"),
        pytest.param("osmos", [], id="not from the middle"),
        pytest.param("کتابداری", ["كتابداري نوین"], id="other letters"),
        pytest.param("كتاب", ["كتابداري نوین"], id="a beginning"),
        pytest.param("0-306-40615-2", ["Cosmos"], id="ISBN-10"),
        pytest.param("%", [], id="no wildcard, no word"),
        pytest.param("py_hon", [], id="no wildcard inside"),
        pytest.param("", [], id="nothing"),
    ],
)
def test_works_are_found_by_their_words(
    catalogue: Sessions, query: str, titles: list[str]
) -> None:
    with reading(catalogue) as session:
        assert [work.title for work in search_works(session, query, 10)] == titles


def test_no_more_works_than_asked_for(catalogue: Sessions) -> None:
    with reading(catalogue) as session:
        assert len(search_works(session, "cosmos", 1)) == 1


@pytest.mark.parametrize(
    ("typed", "labels"),
    [
        pytest.param("hist", ["History", "Iranian history"], id="begins, then holds"),
        pytest.param("كتابدار", ["کتابداری"], id="other letters"),
        pytest.param("c+", ["C++"], id="plus counts"),
        pytest.param("%", [], id="no wildcard"),
        pytest.param("  ", [], id="nothing typed"),
    ],
)
def test_subjects_are_suggested_by_their_beginning(
    catalogue: Sessions, typed: str, labels: list[str]
) -> None:
    with reading(catalogue) as session:
        found = suggest_subjects(session, typed, 10)
    assert [subject.label for subject in found] == labels


def test_the_most_used_subject_comes_first(catalogue: Sessions) -> None:
    with catalogue.begin() as session:
        make_work(session, "Asterix", subjects=["Asterism"])
    with reading(catalogue) as session:
        found = suggest_subjects(session, "aster", 10)
        assert [subject.label for subject in found] == ["Asterism"]
        assert suggest_subjects(session, "ast", 1)[0].label == "Astronomy"
