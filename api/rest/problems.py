"""What the type of a problem means, at the address it is named by."""

from flask import Response

from api.rest.blueprint import part
from api.rest.protocol import errors

bp = part("problems")


@bp.get("/problems/<slug>")
@bp.doc(hide=True)
def get_problem(slug: str) -> Response:
    """Return a problem of this type, as an example of it."""
    status = errors.meaning(slug)
    answer = errors.problem(status)
    answer.status_code = 200
    return answer
