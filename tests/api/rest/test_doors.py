"""What holds at every door of the API, told from the list of its routes."""

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, update

from api import rest
from api.app import create_app
from library.clock import utc_now
from library.db import Sessions, reading
from library.settings import Settings
from library.tables import (
    ApiKey,
    AuditEntry,
    Base,
    CallCount,
    Source,
    Staff,
)
from tests.api.rest.client import ApiClient, key_of
from tests.api.rest.routes import BODIES, OPEN, SIGNED, Route, routes
from tests.factories import make_branch
from tests.filling import fill_every_table

Ids = dict[str, Any]
NOT_FOUND: Ids = {
    **dict.fromkeys(Base.metadata.tables, 2_000_000_000),
    "code": "none",
    "slug": "none",
}


@pytest.fixture
def filled(sessions: Sessions) -> Ids:
    """One row in every table, all of one branch."""
    with sessions.begin() as session:
        ids: Ids = dict(fill_every_table(session))
        ids["code"] = session.get_one(Source, ids["source"]).code
    return {**ids, "slug": "conflict"}


def _call(api: ApiClient, route: Route, ids: Ids) -> tuple[str, int]:
    answer = api(route.method, route.path(ids), json=route.body)
    return f"{route.method} {route.rule}", answer.status_code


def test_the_list_of_routes_and_bodies_is_whole(app: Flask) -> None:
    known = list(routes(app))
    assert len(known) > 30
    assert set(BODIES) <= {route.endpoint for route in known}
    assert {route.endpoint for route in known if route.scope is None} == OPEN | SIGNED


def test_nothing_opens_without_a_key(app: Flask) -> None:
    nobody = ApiClient(app, None)
    closed = [route for route in routes(app) if route.endpoint not in OPEN]
    answers = dict(_call(nobody, route, NOT_FOUND) for route in closed)
    assert set(answers.values()) == {401}


@pytest.mark.parametrize(
    "authorization",
    ["", "Bearer", "Bearer hamkhan_00_x", "Basic YTpi", "Bearer ٣", "Bearer a b"],
)
def test_nothing_opens_with_a_wrong_key(app: Flask, authorization: str) -> None:
    answer = ApiClient(app, None).get(
        "/works", headers={"Authorization": authorization}
    )
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_each_door_asks_for_its_scope_before_all_else(
    app: Flask, sessions: Sessions
) -> None:
    known = [route for route in routes(app) if route.scope]
    scopes = {route.scope for route in known if route.scope}
    keys = {
        scope: ApiClient(app, key_of(sessions, scopes=[*(scopes - {scope})]))
        for scope in scopes
    }
    answers = dict(_call(keys[route.scope or ""], route, NOT_FOUND) for route in known)
    assert set(answers.values()) == {403}


def test_reading_scopes_are_for_reading(app: Flask) -> None:
    wrong = [
        route
        for route in routes(app)
        if route.scope and (route.method == "GET") != route.scope.startswith("read:")
    ]
    assert wrong == []


def test_a_key_that_ended_or_whose_owner_left_opens_nothing(
    app: Flask, sessions: Sessions
) -> None:
    ended, left = key_of(sessions), key_of(sessions)
    with sessions.begin() as session:
        prefix = ended.split("_")[1]
        past = utc_now() - timedelta(seconds=1)
        session.execute(
            update(ApiKey).where(ApiKey.prefix == prefix).values(expires_at=past)
        )
    assert ApiClient(app, ended).get("/works").status_code == 401
    assert ApiClient(app, left).get("/works").status_code == 200
    with sessions.begin() as session:
        session.execute(update(Staff).values(active=False))
    assert ApiClient(app, left).get("/works").status_code == 401


def test_what_is_not_there_is_not_found(app: Flask, api: ApiClient) -> None:
    answers = dict(
        _call(api, route, NOT_FOUND) for route in routes(app) if "<" in route.rule
    )
    assert set(answers.values()) == {404}


@pytest.mark.parametrize("number", [2**31, 2**63, 10**40])
def test_a_number_no_row_can_have_is_not_found(
    app: Flask, api: ApiClient, number: int
) -> None:
    ids: Ids = {**dict.fromkeys(NOT_FOUND, number), "code": "none", "slug": "none"}
    answers = dict(
        _call(api, route, ids) for route in routes(app) if "<int" in route.rule
    )
    assert set(answers.values()) == {404}


def test_a_key_of_another_branch_is_kept_out(
    app: Flask, sessions: Sessions, filled: Ids
) -> None:
    with sessions.begin() as session:
        other = make_branch(session, "other").id
    stranger = ApiClient(app, key_of(sessions, branch_id=other))
    for_all = (
        "/works",
        "/regroupings",
        "/model-versions",
        "/subjects",
        "/problems",
        "/docs",
    )

    answers = dict(
        _call(stranger, route, filled)
        for route in routes(app)
        if "<" in route.rule and not route.rule.startswith(tuple(map(_whole, for_all)))
    )

    assert len(answers) > 20
    assert set(answers.values()) == {403}


def test_lists_hold_nothing_of_another_branch(
    app: Flask, sessions: Sessions, filled: Ids
) -> None:
    with sessions.begin() as session:
        other = make_branch(session, "other").id
    stranger = ApiClient(app, key_of(sessions, branch_id=other))
    everybody = ApiClient(app, key_of(sessions))
    for path in ("/patrons", "/alerts", "/deliveries", "/sources", "/rules", "/jobs"):
        assert everybody.get(path).get_json()["items"], path
        assert stranger.get(path).get_json()["items"] == [], path


def test_a_get_changes_nothing(app: Flask, sessions: Sessions, filled: Ids) -> None:
    api = ApiClient(app, key_of(sessions))
    before = _everything(sessions)

    answers = dict(
        _call(api, route, filled) for route in routes(app) if route.method == "GET"
    )

    assert set(answers.values()) <= {200, 422}
    assert [path for path, status in answers.items() if status == 422] == [
        "GET /api/v1/subjects"
    ]
    assert _everything(sessions) == before


def _everything(sessions: Sessions) -> dict[str, list[tuple[object, ...]]]:
    """Return every row but the API's own bookkeeping of who called and read."""
    own = {CallCount.__tablename__, AuditEntry.__tablename__, ApiKey.__tablename__}
    with reading(sessions) as session:
        return {
            table.name: [tuple(row) for row in session.execute(select(table))]
            for table in Base.metadata.sorted_tables
            if table.name not in own
        }


def test_too_many_calls_are_told_to_wait(
    settings: Settings, sessions: Sessions
) -> None:
    app = create_app(settings, sessions)
    app.config[rest.doors.LIMIT] = 2
    api = ApiClient(app, key_of(sessions))
    other = ApiClient(app, key_of(sessions))
    # The minute may turn in between; so many calls pass two of them.
    answers = [api.get("/works") for _ in range(6)]

    refused = [answer for answer in answers if answer.status_code == 429]
    assert refused
    assert 1 <= int(refused[0].headers["Retry-After"]) <= 60
    assert refused[0].headers["RateLimit"].startswith('"minute";r=0;t=')
    assert refused[0].content_type == "application/problem+json"
    assert other.get("/works").status_code == 200


def test_a_key_says_when_it_was_last_used(api: ApiClient, sessions: Sessions) -> None:
    api.get("/works")
    with reading(sessions) as session:
        (used_at,) = session.scalars(select(ApiKey.last_used_at))
    assert used_at is not None
    assert utc_now() - used_at < timedelta(minutes=1)


def _whole(path: str) -> str:
    return f"/api/v1{path}"
