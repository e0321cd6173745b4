"""What patrons see: server-rendered, every action a form, nothing changed by a GET."""

from flask import Flask

from api.pages import (
    answer,
    confirm,
    devices,
    feed,
    hidden,
    interests,
    leave,
    less,
    my_data,
    preferences,
    shelf,
    sign_in,
    site,
)


def register(app: Flask) -> None:
    """Add the patron's pages to the application."""
    for room in (
        *(site, sign_in, shelf, hidden, interests, preferences, devices, my_data),
        *(answer, less, leave, confirm, feed),
    ):
        app.register_blueprint(room.bp)
