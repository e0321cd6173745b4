"""What every part of the API is made of."""

from apiflask import APIBlueprint, HTTPError
from werkzeug.exceptions import HTTPException

from api.rest.protocol import errors
from library.errors import ServiceError


def part(family: str) -> APIBlueprint:
    """Make the part of the API about one family of resources."""
    bp = APIBlueprint(f"rest_{family}", __name__, tag=family)
    bp.register_error_handler(ServiceError, errors.answer_service_error)
    bp.register_error_handler(HTTPException, errors.answer_http_error)
    bp.register_error_handler(HTTPError, errors.answer_invalid)
    return bp
