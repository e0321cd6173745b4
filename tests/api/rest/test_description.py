from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask

from tests.api.rest.client import ApiClient
from tests.api.rest.routes import OPEN, routes

Spec = dict[str, Any]


@pytest.fixture
def spec(app: Flask) -> Spec:
    answer = ApiClient(app, None).get("/openapi.json")
    assert answer.status_code == 200
    described: Spec = answer.get_json()
    return described


def _operations(spec: Spec) -> Iterator[tuple[str, str, Spec]]:
    for path, methods in spec["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def _references(part: object) -> Iterator[str]:
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"]
        for inner in part.values():
            yield from _references(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from _references(inner)


def test_it_is_openapi_3_1_and_every_reference_leads_somewhere(spec: Spec) -> None:
    assert spec["openapi"] == "3.1.0"
    schemas = spec["components"]["schemas"]
    used = set(_references(spec))
    assert used
    assert {ref.removeprefix("#/components/schemas/") for ref in used} <= set(schemas)


def test_every_route_is_described_and_nothing_else(app: Flask, spec: Spec) -> None:
    described = {(path, method.upper()) for path, method, _ in _operations(spec)}
    real = {
        (_template(route.rule), route.method)
        for route in routes(app)
        if route.endpoint not in OPEN
    }
    assert described == real


def test_every_operation_tells_its_scope_and_errors(app: Flask, spec: Spec) -> None:
    scopes = {(_template(r.rule), r.method): r.scope for r in routes(app)}
    for path, method, operation in _operations(spec):
        scope = scopes[path, method.upper()]
        expected = {"key": [scope]} if scope else {"signature": []}
        assert operation["security"] == [expected]
        assert {"401", "403", "422", "429"} <= set(operation["responses"])
        assert operation["summary"]
        assert ("404" in operation["responses"]) or "{" not in path


def test_every_part_of_a_path_is_a_parameter(spec: Spec) -> None:
    for path, _, operation in _operations(spec):
        named = {p["name"] for p in operation["parameters"] if p["in"] == "path"}
        in_path = {part[1:-1] for part in path.split("/") if part.startswith("{")}
        assert named == in_path


def test_what_needs_if_match_says_so(spec: Spec) -> None:
    needing = {
        (path.rsplit("/", 2)[-2], method)
        for path, method, operation in _operations(spec)
        if any(p["name"] == "If-Match" for p in operation["parameters"])
    }
    assert needing == {
        ("rules", "put"),
        ("rules", "delete"),
        ("interest-profiles", "put"),
        ("interest-profiles", "delete"),
    }


def test_it_can_be_read_without_anything_from_elsewhere(app: Flask) -> None:
    answer = ApiClient(app, None).get("/docs")
    text = answer.get_data(as_text=True)
    assert answer.status_code == 200
    assert 'dir="ltr"' in text
    assert "/api/v1/patrons/{patron_id}/interest-profiles" in text
    assert "read:works" in text
    assert "<code>title</code>" in text
    assert "label *" in text
    assert "http://" not in text
    assert "https://" not in text
    assert "<script" not in text


def _template(rule: str) -> str:
    parts = [
        "{" + part[1:-1].split(":")[-1] + "}" if part.startswith("<") else part
        for part in rule.split("/")
    ]
    return "/".join(parts)
