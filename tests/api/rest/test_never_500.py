"""Whatever is sent, the API says what is wrong with it and never breaks."""

import json
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode

import pytest
from flask import Flask
from hypothesis import given, settings
from hypothesis import strategies as st

from library.db import Sessions
from library.tables import Source
from tests.api.rest.client import ApiClient, key_of
from tests.api.rest.routes import BODIES, Route, routes
from tests.filling import fill_every_table

pytestmark = pytest.mark.slow

_ODD: Final = st.sampled_from(
    [
        *("", " ", "\0", "\u200c", "\u202e", "ي", "\ud800", "a" * 5000, "%", "'"),
        *("9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+12:00", "2026-02-30"),
        *("http://[", "http://x:99999999/", "javascript:1", "=1+1", "../..", "null"),
    ]
)
_NUMBERS: Final = st.sampled_from([0, -1, 1, 2**31, 2**63, 10**400, 1e308, -0.0, 1.5])
_VALUES: Final = st.recursive(
    st.none() | st.booleans() | _NUMBERS | _ODD | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)
_QUERY: Final = ("q", "limit", "after", "count", "patron_id", "state", "at", "branch")


def _bodies(fitting: Mapping[str, object]) -> st.SearchStrategy[Any]:
    """Bodies that are nearly right: some of the fields replaced or left out."""
    changed = st.dictionaries(st.sampled_from([*fitting, "other"]), _VALUES, max_size=3)
    nearly = st.builds(lambda change: {**fitting, **change}, changed)
    return st.one_of(nearly, _VALUES)


def _fill(sessions: Sessions) -> dict[str, Any]:
    with sessions.begin() as session:
        ids: dict[str, Any] = dict(fill_every_table(session))
        ids["code"] = session.get_one(Source, ids["source"]).code
    return {**ids, "slug": "conflict"}


def _by_endpoint(app: Flask) -> dict[str, Route]:
    return {route.endpoint: route for route in routes(app)}


@pytest.fixture
def free(app: Flask) -> Flask:
    """The application without a limit on calls, and with bugs as answers."""
    app.config["HAMKHAN_CALLS_PER_MINUTE"] = 10**9
    app.config["PROPAGATE_EXCEPTIONS"] = False
    return app


@pytest.mark.parametrize("endpoint", sorted(BODIES))
def test_no_body_breaks_it(free: Flask, sessions: Sessions, endpoint: str) -> None:
    route, ids = _by_endpoint(free)[endpoint], _fill(sessions)
    api = ApiClient(free, key_of(sessions))
    path = route.path(ids)

    @settings(max_examples=10)
    @given(_bodies(BODIES[endpoint]))
    def send(body: object) -> None:
        tag = {"If-Match": api.get(path).headers.get("ETag", '"x"')}
        answer = api(route.method, path, headers=tag, json=body)
        assert answer.status_code < 500, (json.dumps(body), answer.get_data())

    send()


def test_no_query_breaks_it(free: Flask, sessions: Sessions) -> None:
    ids = _fill(sessions)
    api = ApiClient(free, key_of(sessions))
    lists = [r.path(ids) for r in routes(free) if r.method == "GET" and r.scope]

    @settings(max_examples=30)
    @given(
        st.sampled_from(sorted(lists)),
        st.dictionaries(st.sampled_from(_QUERY), _ODD | _NUMBERS, max_size=3),
    )
    def ask(path: str, query: dict[str, object]) -> None:
        sent = urlencode(query, errors="replace")
        answer = api.get(f"{path}?{sent}")
        assert answer.status_code < 500, (path, sent, answer.get_data())

    ask()
