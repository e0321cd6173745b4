"""The API for other systems, under /api/v1: everything a librarian can do, by key."""

from apiflask import APIFlask

from api.rest import (
    acquisitions,
    alerts,
    bounces,
    deliveries,
    description,
    doors,
    feedback,
    interests,
    jobs,
    models,
    patrons,
    problems,
    reference,
    rules,
    sources,
    works,
)
from api.rest.bodies import Bodies
from api.rest.protocol import errors
from api.rest.protocol.limits import CALLS_PER_MINUTE
from library.db import Sessions
from library.runtime import Runtime
from library.settings import Settings

PARTS = (
    works,
    patrons,
    interests,
    alerts,
    feedback,
    sources,
    acquisitions,
    rules,
    models,
    deliveries,
    bounces,
    jobs,
    problems,
    reference,
)


def register(
    app: APIFlask,
    settings: Settings,
    sessions: Sessions,
    *,
    calls_per_minute: int = CALLS_PER_MINUTE,
) -> None:
    """Add the API to an application.

    Args:
        app: Made by `create_app`, or bare.
        settings: Where the secret that signs cursors is.
        sessions: The database.
        calls_per_minute: By each key.
    """
    app.extensions.setdefault("hamkhan", Runtime(settings, sessions))
    app.config[doors.LIMIT] = calls_per_minute
    app.json = Bodies(app)
    errors.register(app)
    doors.tell_limits(app)
    description.describe(app)
    for each in PARTS:
        app.register_blueprint(each.bp, url_prefix=description.PREFIX)
