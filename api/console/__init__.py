"""What librarians see: sources, messages, models, rules, and a patron's page."""

from flask import Flask

from api.console import (
    models,
    outcomes,
    rules,
    sent,
    sign_in,
    sources,
    view_as,
    works,
)


def register(app: Flask) -> None:
    """Add the librarians' pages to the application."""
    for room in (sign_in, sources, works, sent, models, outcomes, rules, view_as):
        app.register_blueprint(room.bp)
