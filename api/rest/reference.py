"""The API's reference as a plain page, made from its own description."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from apiflask import APIFlask
from flask import current_app, render_template

from api.rest.blueprint import part
from api.rest.description import PREFIX

bp = part("reference")
_SCHEMAS: Final = "#/components/schemas/"
_JSON: Final = "application/json"
_KEPT: Final = "hamkhan reference"
Described = Mapping[str, Any]


@dataclass(frozen=True)
class Parameter:
    """What a call takes beside its body."""

    name: str
    place: str
    needed: bool
    text: str


@dataclass(frozen=True)
class Call:
    """One method of one address, as a reader needs it."""

    family: str
    method: str
    path: str
    summary: str
    scope: str
    parameters: tuple[Parameter, ...]
    body: tuple[str, ...]
    status: str
    answer: tuple[str, ...]
    """Names of the fields, or of each row's; empty where it is no JSON."""
    kind: str
    problems: tuple[str, ...]


@bp.get("/docs")
@bp.doc(hide=True)
def show() -> str:
    """Show every operation: its scope, parameters, body and answers."""
    app = cast(APIFlask, current_app)
    families: dict[str, list[Call]] = {}
    for call in _calls(app):
        families.setdefault(call.family, []).append(call)
    return render_template(
        "reference.html",
        title=f"{app.title} API, version {app.version}",
        prefix=PREFIX,
        families=dict(sorted(families.items())),
    )


def _calls(app: APIFlask) -> list[Call]:
    # The description is long in the making, never changes, and anybody may ask.
    known: list[Call] | None = app.extensions.get(_KEPT)
    if known is None:
        known = app.extensions[_KEPT] = list(read_calls(cast(Described, app.spec)))
    return known


def read_calls(spec: Described) -> Iterator[Call]:
    """Yield the calls of a description, in the order of their addresses."""
    schemas = spec["components"]["schemas"]
    for path, methods in sorted(spec["paths"].items()):
        for method, operation in methods.items():
            yield _call(schemas, path, method, operation)


def _call(schemas: Described, path: str, method: str, operation: Described) -> Call:
    answers = operation["responses"]
    good = next(status for status in answers if status.startswith("2"))
    content = answers[good].get("content", {})
    body = operation.get("requestBody", {}).get("content", {})
    return Call(
        family=operation["tags"][0],
        method=method.upper(),
        path=path,
        summary=operation["summary"],
        scope=_scope(operation["security"][0]),
        parameters=tuple(map(_parameter, operation["parameters"])),
        body=_body(schemas, body.get(_JSON)),
        status=good,
        answer=_answer(schemas, content.get(_JSON)),
        kind=next(iter(content), "nothing"),
        problems=tuple(status for status in answers if status >= "400"),
    )


def _scope(security: Described) -> str:
    return str(security["key"][0]) if "key" in security else "a signature"


def _parameter(described: Described) -> Parameter:
    schema = described.get("schema", {})
    text = described.get("description") or schema.get("description")
    return Parameter(
        name=described["name"],
        place=described["in"],
        needed=described.get("required", False),
        text=text or _kind(schema),
    )


def _kind(schema: Described) -> str:
    options = [schema, *schema.get("anyOf", [])]
    return next((str(o["type"]) for o in options if "type" in o), "one of its words")


def _body(schemas: Described, described: Described | None) -> tuple[str, ...]:
    """Return the names of a body's fields, the needed ones with a star."""
    if described is None:
        return ()
    whole = _resolved(schemas, described["schema"])
    needed = whole.get("required", [])
    return tuple(f"{name} *" if name in needed else name for name in _names(whole))


def _answer(schemas: Described, described: Described | None) -> tuple[str, ...]:
    """Return the names of an answer's fields; of a list, those of its rows."""
    if described is None:
        return ()
    whole = _resolved(schemas, described["schema"])
    if _names(whole) == ("items",):
        whole = _resolved(schemas, whole["properties"]["items"]["items"])
    return _names(whole)


def _names(schema: Described) -> tuple[str, ...]:
    return tuple(schema.get("properties", {}))


def _resolved(schemas: Described, schema: Described) -> Described:
    named = str(schema.get("$ref", "")).removeprefix(_SCHEMAS)
    return cast(Described, schemas[named]) if named else schema
