"""What the OpenAPI description says beyond each view's own: keys, errors, headers."""

from typing import Any, Final

from apiflask import APIFlask

from api.rest.doors import SIGNATURE, is_signed, scope_of, taken_by

PREFIX: Final = "/api/v1"
_KEY: Final = "key"
_SIGNATURE: Final = "signature"
_SIGNED: Final = [
    {
        "name": name,
        "in": "header",
        "required": True,
        "description": text,
        "schema": {"type": "string"},
    }
    for name, text in zip(
        SIGNATURE,
        ("The source's code.", "Seconds since 1970.", "HMAC-SHA256 of TIME.BODY, hex."),
        strict=True,
    )
]
_PROBLEM: Final = {
    "type": "object",
    "required": ["type", "title", "status", "instance", "request_id"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string"},
        "request_id": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["pointer", "detail"],
                "properties": {
                    "pointer": {"type": "string"},
                    "detail": {"type": "string"},
                },
            },
        },
    },
}
_WORDS: Final = {
    400: "The request cannot be read.",
    401: "No valid key was sent.",
    403: "The key may not do this.",
    404: "There is no such thing.",
    409: "Another change stands against it.",
    412: "It has changed since it was read.",
    413: "That is too much at once.",
    415: "This form of it is not understood.",
    422: "A value cannot be used.",
    428: "If-Match is missing.",
    429: "Too many calls; Retry-After says when to go on.",
}
_ONCE: Final = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "The same key again within 24 hours gets the same answer.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 200},
}
_IF_MATCH: Final = {
    "name": "If-Match",
    "in": "header",
    "required": True,
    "description": "The ETag that was read.",
    "schema": {"type": "string"},
}
_CONDITIONAL: Final = ("/rules/{rule_id}", "/interest-profiles/{profile_id}")


def describe(app: APIFlask) -> None:
    """Make the application's description complete."""
    app.config["OPENAPI_VERSION"] = "3.1.0"
    app.config["AUTO_404_RESPONSE"] = False
    app.config["AUTO_VALIDATION_ERROR_RESPONSE"] = False
    app.config["SECURITY_SCHEMES"] = {
        _KEY: {"type": "http", "scheme": "bearer", "bearerFormat": "hamkhan_<id>_…"},
        _SIGNATURE: {"type": "apiKey", "in": "header", "name": SIGNATURE[-1]},
    }

    def complete(spec: dict[str, Any] | str) -> dict[str, Any] | str:
        if isinstance(spec, str):  # YAML, which we do not serve
            return spec
        spec["components"].setdefault("schemas", {})["Problem"] = _PROBLEM
        spec["paths"] = {
            path: methods
            for path, methods in spec["paths"].items()
            if path.startswith(f"{PREFIX}/")
        }
        views = _views(app)
        for path, methods in spec["paths"].items():
            for method, operation in methods.items():
                _complete(operation, path, method, views[path, method])
        return spec

    app.spec_processor(complete)


def _views(app: APIFlask) -> dict[tuple[str, str], object]:
    return {
        (_template(rule.rule), method.lower()): app.view_functions[rule.endpoint]
        for rule in app.url_map.iter_rules()
        for method in rule.methods or ()
    }


def _template(rule: str) -> str:
    """Turn a route's "<int:work_id>" into the description's "{work_id}"."""
    parts = [
        "{" + part[1:-1].split(":")[-1] + "}" if part.startswith("<") else part
        for part in rule.split("/")
    ]
    return "/".join(parts)


def _complete(operation: dict[str, Any], path: str, method: str, view: object) -> None:
    parameters = operation.setdefault("parameters", [])
    conditional = path.endswith(_CONDITIONAL) and method in {"put", "delete"}
    if is_signed(view):
        operation["security"] = [{_SIGNATURE: []}]
        parameters += _SIGNED
    else:
        operation["security"] = [{_KEY: [scope_of(view)]}]
    if method == "post" and not is_signed(view):
        parameters.append(_ONCE)
    if conditional:
        parameters.append(_IF_MATCH)
    if whole := taken_by(view):
        operation["requestBody"] = {"required": True, "content": {whole: {}}}
    for status in _statuses(path, method, conditional=conditional):
        operation["responses"][str(status)] = {
            "description": _WORDS[status],
            "content": {
                "application/problem+json": {
                    "schema": {"$ref": "#/components/schemas/Problem"}
                }
            },
        }


def _statuses(path: str, method: str, *, conditional: bool) -> list[int]:
    statuses = [401, 403, 422, 429]
    if "{" in path:
        statuses.append(404)
    if method in {"post", "put", "patch"}:
        statuses += [400, 404, 409, 413, 415]
    if conditional:
        statuses += [412, 428]
    return sorted(set(statuses))
