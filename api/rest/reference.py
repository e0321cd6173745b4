"""The API's reference as a plain page, made from its own description."""

from collections.abc import Mapping
from typing import Any, cast

from apiflask import APIFlask
from flask import current_app, render_template
from markupsafe import Markup

from api.rest.blueprint import part
from api.rest.description import PREFIX

bp = part("reference")
_SCHEMAS = "#/components/schemas/"


@bp.get("/docs")
@bp.doc(hide=True)
def show() -> str:
    """Show every operation: its scope, parameters, body and answers."""
    spec = cast(dict[str, Any], cast(APIFlask, current_app).spec)
    schemas = spec["components"]["schemas"]
    return render_template(
        "reference.html",
        spec=spec,
        prefix=PREFIX,
        fields=lambda schema: _fields(schemas, schema),
    )


def _fields(schemas: Mapping[str, Any], schema: Mapping[str, Any]) -> Markup:
    """Return the names of a body's fields, the needed ones marked."""
    whole = schemas.get(str(schema.get("$ref", "")).removeprefix(_SCHEMAS), schema)
    needed = whole.get("required", [])
    names = [
        Markup("<code>{}{}</code>").format(name, " *" if name in needed else "")
        for name in whole.get("properties", {})
    ]
    return Markup(", ").join(names)
