import pytest

from library.db import Sessions
from library.tables import BibRecord
from tests.api.rest.client import ApiClient
from tests.factories import NOON, make_acquisition, make_source, make_work


@pytest.fixture
def cosmos(sessions: Sessions) -> int:
    with sessions.begin() as session:
        work = make_work(session, "Cosmos", creator="Carl Sagan", subjects=["Stars"])
        make_work(session, "كتابداري نوین", language="per")
        make_acquisition(session, work)
        session.add(
            BibRecord(
                source_id=make_source(session).id,
                source_ref="r1",
                work_id=work.id,
                isbn="9780306406157",
                call_number="QB44",
                content_hash="",
                raw={},
                created_at=NOON,
            )
        )
        return work.id


@pytest.mark.parametrize(
    ("query", "titles"),
    [
        pytest.param("", ["كتابداري نوین", "Cosmos"], id="all, the newest first"),
        pytest.param("?q=cosm", ["Cosmos"], id="words"),
        pytest.param("?q=کتابداری", ["كتابداري نوین"], id="in any spelling"),
        pytest.param("?q=978-0-306-40615-7", ["Cosmos"], id="ISBN"),
        pytest.param("?q=nothing", [], id="none"),
    ],
)
def test_works_are_listed_and_found(
    api: ApiClient, cosmos: int, query: str, titles: list[str]
) -> None:
    items = api.get(f"/works{query}").get_json()["items"]
    assert [work["title"] for work in items] == titles


def test_a_title_comes_with_language_and_direction(api: ApiClient, cosmos: int) -> None:
    items = api.get("/works?q=کتابداری").get_json()["items"]
    assert [(work["lang"], work["dir"]) for work in items] == [("per", "rtl")]
    body = api.get("/works?q=کتابداری").get_data()
    assert "نوین".encode() in body  # Persian is not escaped away


def test_a_work_tells_its_editions_and_where_it_is_new(
    api: ApiClient, cosmos: int
) -> None:
    work = api.get(f"/works/{cosmos}").get_json()
    assert work["creators"] == ["Carl Sagan"]
    assert work["subjects"] == ["Stars"]
    assert [e["isbn"] for e in work["editions"]] == ["9780306406157"]
    assert work["acquisitions"] == [
        {"branch": "main", "eligible_at": "2026-03-01T12:00:00Z", "cause": "first_seen"}
    ]


def test_pages_follow_their_links(api: ApiClient, sessions: Sessions) -> None:
    with sessions.begin() as session:
        for n in range(5):
            make_work(session, f"Star {n}")
        make_work(session, "Moon")
    first = api.get("/works?q=star&limit=2&count=true")
    assert first.headers["X-Total-Count"] == "5"
    seen = []
    answer = first
    while True:
        seen += [work["title"] for work in answer.get_json()["items"]]
        onward = next((p for p in _links(answer.headers) if 'rel="next"' in p), None)
        if onward is None:
            break
        answer = api.get(onward[1 : onward.index(">")])
    assert seen == [f"Star {n}" for n in (4, 3, 2, 1, 0)]


def _links(headers: object) -> list[str]:
    assert hasattr(headers, "get")
    return [part for part in headers.get("Link", "").split(", ") if part]


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        pytest.param("limit=0", "?limit", id="too few"),
        pytest.param("limit=101", "?limit", id="too many"),
        pytest.param("limit=x", "?limit", id="no number"),
        pytest.param("after=x", "#/after", id="no cursor"),
        pytest.param("unknown=1", "?unknown", id="unknown name"),
        pytest.param("q=%00", "?q", id="control character"),
        pytest.param("q=", "?q", id="blank"),
    ],
)
def test_a_query_that_cannot_be_used_is_told_why(
    api: ApiClient, query: str, pointer: str
) -> None:
    answer = api.get(f"/works?{query}")
    assert answer.status_code == 422
    assert [fault["pointer"] for fault in answer.get_json()["errors"]] == [pointer]


def test_subjects_complete_what_is_typed(api: ApiClient, cosmos: int) -> None:
    items = api.get("/subjects?q=sta").get_json()["items"]
    assert [subject["label"] for subject in items] == ["Stars"]


def test_works_are_joined_split_and_put_back(
    api: ApiClient, sessions: Sessions
) -> None:
    with sessions.begin() as session:
        cosmos, kayhan = make_work(session, "Cosmos"), make_work(session, "کیهان")
        source = make_source(session)
        for ref, work in (("1", cosmos), ("2", cosmos), ("3", kayhan)):
            record = BibRecord(
                source_id=source.id,
                source_ref=ref,
                work_id=work.id,
                content_hash=ref,
                raw={},
                created_at=NOON,
            )
            session.add(record)

    joined = api.post(f"/works/{cosmos.id}/join", {"other_id": kayhan.id})
    assert joined.status_code == 201
    assert api.get(f"/works/{kayhan.id}").status_code == 404
    whole = api.get(f"/works/{cosmos.id}").get_json()
    assert [e["source_ref"] for e in whole["editions"]] == ["1", "2", "3"]
    assert [w["id"] for w in api.get("/works").get_json()["items"]] == [cosmos.id]

    numbers = [edition["id"] for edition in whole["editions"]]
    split = api.post(f"/works/{cosmos.id}/split", {"editions": numbers[:1]})
    apart = api.get(f"/works/{split.get_json()['other_id']}").get_json()
    assert [e["source_ref"] for e in apart["editions"]] == ["1"]

    for done in (split, joined):
        undone = api.post(f"/regroupings/{done.get_json()['id']}/undo")
        assert undone.get_json()["undone_at"]
    assert api.get(f"/works/{kayhan.id}").status_code == 200
    again = api.post(f"/regroupings/{joined.get_json()['id']}/undo")
    assert again.status_code == 409
