import json
from typing import Any

import pytest
from flask import Flask

from api.rest.protocol import errors
from library.errors import DeliveryFailed, FetchFailed, ServiceError, TrainingFailed
from tests.api.rest.client import ApiClient


def test_a_problem_has_its_parts(api: ApiClient) -> None:
    answer = api.get("/works/999")
    assert answer.content_type == "application/problem+json"
    problem = json.loads(answer.get_data())
    assert problem.pop("request_id") == answer.headers["X-Request-Id"]
    assert problem == {
        "type": "/api/v1/problems/not-found",
        "title": "There is no such thing",
        "status": 404,
        "detail": "no work 999",
        "instance": "/api/v1/works/999",
    }


@pytest.mark.parametrize(
    ("asked", "language"),
    [
        pytest.param("fa", "fa", id="Persian"),
        pytest.param("fa-IR, en;q=0.5", "fa", id="Persian of Iran"),
        pytest.param("de, fa;q=0.4, en;q=0.2", "fa", id="the first we speak"),
        pytest.param("en-GB", "en", id="English"),
        pytest.param("de", "en", id="none we speak"),
        pytest.param("", "en", id="not said"),
    ],
)
def test_the_title_is_in_the_callers_language(
    api: ApiClient, asked: str, language: str
) -> None:
    answer = api.get("/works/999", headers={"Accept-Language": asked})
    title = json.loads(answer.get_data())["title"]
    assert answer.headers["Content-Language"] == language
    assert "Accept-Language" in answer.headers["Vary"]
    assert title.isascii() is (language == "en")


@pytest.mark.parametrize(
    ("method", "path", "how", "status"),
    [
        pytest.param("GET", "/nothing", {}, 404, id="no such address"),
        pytest.param("PATCH", "/works", {}, 405, id="no such method"),
        pytest.param("POST", "/works/1", {}, 405, id="not there"),
        pytest.param("POST", "/rules", {"data": "{"}, 400, id="no JSON"),
        pytest.param("POST", "/rules", {"data": b"\xff"}, 400, id="no text"),
        pytest.param("POST", "/rules", {}, 400, id="no body"),
        pytest.param("POST", "/rules", {"data": "NaN"}, 422, id="no object"),
        pytest.param("POST", "/rules", {"data": "[1]"}, 422, id="a list"),
        pytest.param("POST", "/rules", {"data": "[" * 5000}, 400, id="too deep"),
        pytest.param("POST", "/rules", {"data": "x" * 2_000_000}, 413, id="too long"),
    ],
)
def test_what_cannot_be_read_is_a_problem_too(
    api: ApiClient, method: str, path: str, how: dict[str, Any], status: int
) -> None:
    answer = api(method, path, content_type="application/json", **how)
    assert answer.status_code == status
    assert answer.content_type == "application/problem+json"
    assert json.loads(answer.get_data())["status"] == status


def test_a_method_that_cannot_be_used_names_those_that_can(api: ApiClient) -> None:
    assert "GET" in api("PATCH", "/works").headers["Allow"]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (FetchFailed("acq: no answer", cause="timeout"), 502),
        (DeliveryFailed("550 no"), 502),
        (TrainingFailed("too few loans"), 409),
        (ServiceError("something else"), 400),
    ],
    ids=lambda value: type(value).__name__,
)
def test_every_error_of_ours_has_its_status(
    app: Flask, error: ServiceError, status: int
) -> None:
    with app.test_request_context("/api/v1/works"):
        answer = errors.answer_service_error(error)
    assert answer.status_code == status
    assert answer.get_json()["detail"] == str(error)


def test_a_bug_of_ours_tells_nothing_of_itself(app: Flask, api: ApiClient) -> None:
    app.config["PROPAGATE_EXCEPTIONS"] = False

    def broken(**_arguments: object) -> str:
        raise ZeroDivisionError("secret detail")

    app.view_functions["rest_works.get_work"] = broken

    answer = api.get("/works/1")

    assert answer.status_code == 500
    assert answer.content_type == "application/problem+json"
    assert b"secret" not in answer.get_data()


def test_a_problems_type_can_be_looked_up(app: Flask) -> None:
    answer = ApiClient(app, None).get("/problems/conflict")
    assert answer.status_code == 200
    assert answer.get_json()["status"] == 409
