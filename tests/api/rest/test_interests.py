from typing import Any

import pytest
from sqlalchemy import select

from library.db import Sessions, reading
from library.tables import Interest, InterestProfile, Suppression
from library.text import squash
from library.vocabulary import InterestOrigin
from tests.api.rest.client import ApiClient
from tests.factories import ada, cy, make_interest, make_work

THESIS: dict[str, Any] = {
    "name": "thesis",
    "languages": ["per"],
    "interests": [{"kind": "subject", "label": "CRM", "weight": 2}],
}


@pytest.fixture
def root(sessions: Sessions) -> str:
    with sessions.begin() as session:
        return f"/patrons/{ada(session).id}"


def test_a_profile_is_made_once_for_one_key(
    api: ApiClient, sessions: Sessions, root: str
) -> None:
    once = {"Idempotency-Key": "k1"}
    first = api.post(f"{root}/interest-profiles", THESIS, headers=once)
    again = api.post(f"{root}/interest-profiles", THESIS, headers=once)
    other = api.post(
        f"{root}/interest-profiles", {**THESIS, "name": "leisure"}, headers=once
    )

    assert first.status_code == again.status_code == 201
    assert again.get_json() == first.get_json()
    assert again.headers["Location"] == first.headers["Location"]
    assert again.headers["Idempotency-Replayed"] == "true"
    assert other.status_code == 422
    with reading(sessions) as session:
        assert session.scalars(select(InterestProfile.name)).all() == ["thesis"]
    assert api.get(first.headers["Location"]).get_json() == first.get_json()


def test_what_a_librarian_adds_is_marked_so(
    api: ApiClient, sessions: Sessions, root: str
) -> None:
    api.post(f"{root}/interest-profiles", THESIS)
    with reading(sessions) as session:
        assert session.scalars(select(Interest.origin)).all() == [InterestOrigin.STAFF]


def test_an_interest_keeps_a_rhythm_of_its_own(
    api: ApiClient, sessions: Sessions, root: str
) -> None:
    monthly = {"kind": "subject", "label": "Chess", "rhythm": "monthly"}
    where, _ = _made(api, root)

    added = api.post(f"{where}/interests", monthly).get_json()["interests"]
    assert [one["rhythm"] for one in added] == [None, "monthly"]
    assert api.get(where).get_json()["interests"] == added
    with reading(sessions) as session:
        clocks = session.scalars(select(Interest.next_digest_at)).all()
    assert [clock is not None for clock in clocks] == [False, True]

    wrong = {**monthly, "label": "Go", "rhythm": "hourly"}
    assert api.post(f"{where}/interests", wrong).status_code == 422


def _made(api: ApiClient, root: str) -> tuple[str, str]:
    answer = api.post(f"{root}/interest-profiles", THESIS)
    return answer.headers["Location"], answer.headers["ETag"]


def test_a_change_needs_the_state_it_has_seen(api: ApiClient, root: str) -> None:
    where, tag = _made(api, root)
    changed = {**THESIS, "languages": []}

    assert api.put(where, changed).status_code == 428
    assert api.put(where, changed, headers={"If-Match": '"x"'}).status_code == 412
    done = api.put(where, changed, headers={"If-Match": tag})
    assert done.status_code == 200
    assert done.headers["ETag"] != tag
    assert api.put(where, changed, headers={"If-Match": tag}).status_code == 412
    assert api.delete(where, headers={"If-Match": tag}).status_code == 412
    assert api.delete(where).status_code == 428
    now = {"If-Match": done.headers["ETag"]}
    assert api.delete(where, headers=now).status_code == 204
    assert api.get(where).status_code == 404


def test_a_change_on_the_patrons_own_page_is_seen(
    api: ApiClient, sessions: Sessions, root: str
) -> None:
    where, tag = _made(api, root)
    with sessions.begin() as session:
        session.scalars(select(Interest)).one().active = False
    assert api.put(where, THESIS, headers={"If-Match": tag}).status_code == 412


def test_what_is_known_already_is_not_sent_again(api: ApiClient, root: str) -> None:
    where, tag = _made(api, root)
    answer = api.get(where, headers={"If-None-Match": tag})
    assert (answer.status_code, answer.get_data()) == (304, b"")
    assert answer.headers["ETag"] == tag
    assert api.get(where, headers={"If-None-Match": '"x"'}).status_code == 200


def test_an_interest_is_added_in_one_spelling(api: ApiClient, root: str) -> None:
    where, _ = _made(api, root)
    wanted = {"kind": "subject", "label": "کتابداری", "follow": True, "alerts": False}
    added = api.post(f"{where}/interests", wanted)
    assert added.status_code == 201
    labels = {i["label"]: i for i in added.get_json()["interests"]}
    assert labels["کتابداری"]["follow"] is True
    assert labels["کتابداری"]["alerts"] is False
    again = api.post(f"{where}/interests", {**wanted, "label": "كتابداري"})
    assert again.status_code == 409
    assert "کتابداری" in again.get_json()["detail"]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        pytest.param({"label": "x"}, "#/kind", id="no kind"),
        pytest.param({"kind": "mood", "label": "x"}, "#/kind", id="unknown kind"),
        pytest.param({"kind": "subject", "label": "…"}, "#/label", id="no letter"),
        pytest.param({"kind": "subject", "label": "a\0"}, "#/label", id="NUL"),
        pytest.param(
            {"kind": "subject", "label": "\ud800"}, "#/label", id="half a sign"
        ),
        pytest.param(
            {"kind": "subject", "label": "x", "weight": 4}, "#/weight", id="too heavy"
        ),
        pytest.param(
            {"kind": "subject", "label": "x", "id": 1}, "#/id", id="not to be set"
        ),
        pytest.param([], "#", id="a list"),
    ],
)
def test_an_interest_that_cannot_be_used_is_told_why(
    api: ApiClient, root: str, body: object, pointer: str
) -> None:
    where, _ = _made(api, root)
    answer = api.post(f"{where}/interests", body)
    assert answer.status_code == 422
    assert [fault["pointer"] for fault in answer.get_json()["errors"]] == [pointer]


def test_a_profile_is_reached_through_its_own_patron_alone(
    api: ApiClient, sessions: Sessions, root: str
) -> None:
    with sessions.begin() as session:
        theirs = make_interest(session, cy(session), "Stars").interest_profile_id
    where = f"{root}/interest-profiles/{theirs}"
    assert api.get(where).status_code == 404
    tag = {"If-Match": '"x"'}
    assert api.put(where, THESIS, headers=tag).status_code == 404
    assert api.delete(where, headers=tag).status_code == 404
    wanted = {"kind": "subject", "label": "x"}
    assert api.post(f"{where}/interests", wanted).status_code == 404


def test_a_suppression_is_made_listed_and_lifted(
    api: ApiClient, sessions: Sessions, root: str
) -> None:
    with sessions.begin() as session:
        work_id = make_work(session, "Cosmos").id
    made = api.post(
        f"{root}/suppressions", {"kind": "subject", "target": "Football "}
    ).get_json()
    api.post(f"{root}/suppressions", {"kind": "work", "target": str(work_id)})

    items = api.get(f"{root}/suppressions").get_json()["items"]
    assert {(i["kind"], i["target"], i["label"]) for i in items} == {
        ("subject", squash("football"), "Football"),
        ("work", str(work_id), "Cosmos"),
    }
    assert api.delete(f"{root}/suppressions/{made['id']}").status_code == 204
    with reading(sessions) as session:
        assert len(session.scalars(select(Suppression)).all()) == 1
