from typing import Any

import pytest
from sqlalchemy import select

from library.db import Sessions, reading
from library.tables import AuditEntry, Rule
from library.text import squash
from tests.api.rest.client import ApiClient, key_of
from tests.factories import make_branch

PIN: dict[str, Any] = {
    "action": "pin",
    "target_kind": "creator",
    "target": "Carl Sagan",
    "reason": "A week of stars",
    "starts_at": "2026-01-01T00:00:00+03:30",
    "ends_at": "2099-01-01T00:00:00Z",
}


def test_a_rule_is_made_and_audited(api: ApiClient, sessions: Sessions) -> None:
    made = api.post("/rules", PIN)

    assert made.status_code == 201
    rule = made.get_json()
    assert rule["target"] == squash("Carl Sagan")
    assert rule["starts_at"] == "2025-12-31T20:30:00Z"
    assert api.get(made.headers["Location"]).get_json() == rule
    with reading(sessions) as session:
        line = session.scalars(select(AuditEntry)).one()
        assert (line.action, line.row_id) == ("rule.made", rule["id"])
        assert line.staff_id == rule["staff_id"] is not None
        assert line.api_key_id is not None


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        pytest.param({"ends_at": None}, "#/ends_at", id="no end"),
        pytest.param({"ends_at": "2025-01-01T00:00:00Z"}, "#/ends_at", id="ends first"),
        pytest.param({"ends_at": "2027-01-01T00:00:00"}, "#/ends_at", id="no zone"),
        pytest.param(
            {"ends_at": "9999-12-31T23:59:59-12:00"},
            "#/ends_at",
            id="too far ahead",
        ),
        pytest.param({"reason": " "}, "#/reason", id="no reason"),
        pytest.param({"action": "boost", "factor": 11}, "#/factor", id="too strong"),
        pytest.param({"branch_id": 2**31}, "#/branch_id", id="no such number"),
        pytest.param(
            {"target_kind": "work", "target": "Cosmos"}, "#/target", id="no work's id"
        ),
    ],
)
def test_a_rule_that_cannot_hold_is_told_why(
    api: ApiClient, change: dict[str, object], pointer: str
) -> None:
    answer = api.post("/rules", {**PIN, **change})
    assert answer.status_code == 422
    assert [fault["pointer"] for fault in answer.get_json()["errors"]] == [pointer]


def test_a_rule_for_a_work_or_branch_that_is_not_there(api: ApiClient) -> None:
    for change in ({"target_kind": "work", "target": "999"}, {"branch_id": 999}):
        assert api.post("/rules", {**PIN, **change}).status_code == 404


def test_ending_and_replacing_need_the_state_seen(
    api: ApiClient, sessions: Sessions
) -> None:
    made = api.post("/rules", PIN)
    where, tag = made.headers["Location"], made.headers["ETag"]

    assert api.put(where, PIN).status_code == 428
    assert api.delete(where).status_code == 428
    assert api.delete(where, headers={"If-Match": '"x"'}).status_code == 412
    new = api.put(where, {**PIN, "reason": "Two weeks"}, headers={"If-Match": tag})
    assert new.status_code == 201
    assert api.put(where, PIN, headers={"If-Match": tag}).status_code == 412

    live = api.get("/rules?at=2098-01-01T00:00:00Z").get_json()["items"]
    assert [rule["reason"] for rule in live] == ["Two weeks"]
    gone = api.delete(
        new.headers["Location"], headers={"If-Match": new.headers["ETag"]}
    )
    assert gone.status_code == 204
    with reading(sessions) as session:
        assert len(session.scalars(select(Rule)).all()) == 2


def test_a_reading_key_cannot_post_a_pin(api: ApiClient, sessions: Sessions) -> None:
    reader = ApiClient(api.app, key_of(sessions, scopes=["read:rules"]))
    assert reader.get("/rules").status_code == 200
    assert reader.post("/rules", PIN).status_code == 403
    assert api.get("/rules").get_json()["items"] == []


def test_a_key_of_one_branch_rules_there_alone(
    api: ApiClient, sessions: Sessions
) -> None:
    with sessions.begin() as session:
        north, south = (make_branch(session, code).id for code in ("north", "south"))
    northern = ApiClient(api.app, key_of(sessions, branch_id=north))

    assert northern.post("/rules", {**PIN, "branch_id": south}).status_code == 403
    assert northern.post("/rules", PIN).status_code == 403
    assert northern.post("/rules", {**PIN, "branch_id": north}).status_code == 201
    for_all = api.post("/rules", PIN)
    assert northern.get(for_all.headers["Location"]).status_code == 200
    tag = {"If-Match": for_all.headers["ETag"]}
    assert northern.delete(for_all.headers["Location"], headers=tag).status_code == 403
