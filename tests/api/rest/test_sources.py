from datetime import timedelta

import pytest
from sqlalchemy import select

from library.clock import utc_now
from library.db import Sessions, reading
from library.tables import AuditEntry, Harvest, Source
from tests.api.rest.client import ApiClient, key_of
from tests.factories import NOON, make_branch, make_source

FEED = {"code": "acq", "kind": "feed", "url": "https://library.test/new.xml"}


def test_a_source_is_added_once_and_due_at_once(
    api: ApiClient, sessions: Sessions
) -> None:
    made = api.post("/sources", FEED)

    assert made.status_code == 201
    assert made.get_json()["last_harvest"] is None
    assert api.get(made.headers["Location"]).get_json() == made.get_json()
    assert api.post("/sources", FEED).status_code == 409
    with reading(sessions) as session:
        source = session.scalars(select(Source)).one()
        assert source.next_check_at is not None
        assert source.next_check_at <= utc_now()
        assert session.scalars(select(AuditEntry.action)).all() == ["source.added"]


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        pytest.param({"url": "file:///etc/passwd"}, "#/url", id="a file"),
        pytest.param({"url": "/etc/passwd"}, "#/url", id="a path"),
        pytest.param({"url": "http://["}, "#/url", id="no address"),
        pytest.param({"url": "http://x.test/\r\nX: y"}, "#/url", id="a header"),
        pytest.param({"code": "../x"}, "#/code", id="a path for a code"),
        pytest.param({"kind": "gopher"}, "#/kind", id="unknown kind"),
        pytest.param({"branch": "nowhere"}, "#/branch", id="unknown branch"),
        pytest.param({"settings": {"set": 1}}, "#/settings/set", id="no text"),
    ],
)
def test_a_source_that_cannot_be_read_is_told_why(
    api: ApiClient, sessions: Sessions, change: dict[str, object], pointer: str
) -> None:
    with sessions.begin() as session:
        make_branch(session)
    answer = api.post("/sources", {**FEED, **change})
    assert answer.status_code == 422
    assert [fault["pointer"] for fault in answer.get_json()["errors"]] == [pointer]


def test_a_source_shows_its_last_run_and_is_run_again(
    api: ApiClient, sessions: Sessions
) -> None:
    with sessions.begin() as session:
        source = make_source(session)
        source.next_check_at = utc_now() + timedelta(days=1)
        for hours, error in ((0, None), (1, "timed out")):
            session.add(
                Harvest(
                    source_id=source.id,
                    started_at=NOON + timedelta(hours=hours),
                    error=error,
                )
            )

    (shown,) = api.get("/sources").get_json()["items"]
    assert shown["last_harvest"]["error"] == "timed out"

    assert api.post("/sources/acq/run").status_code == 202
    with reading(sessions) as session:
        due_at = session.scalars(select(Source.next_check_at)).one()
    assert due_at is not None
    assert due_at <= utc_now()


def test_a_source_is_removed(api: ApiClient, sessions: Sessions) -> None:
    with sessions.begin() as session:
        make_source(session)
    assert api.delete("/sources/acq").status_code == 204
    assert api.get("/sources/acq").status_code == 404
    assert api.delete("/sources/acq").status_code == 404


def test_a_key_of_one_branch_adds_sources_there_alone(
    api: ApiClient, sessions: Sessions
) -> None:
    with sessions.begin() as session:
        north = make_branch(session, "north").id
        make_branch(session, "south")
    northern = ApiClient(api.app, key_of(sessions, branch_id=north))
    assert northern.post("/sources", FEED).status_code == 403
    assert northern.post("/sources", {**FEED, "branch": "south"}).status_code == 403
    assert northern.post("/sources", {**FEED, "branch": "north"}).status_code == 201
