"""The API over the test's own database, and a caller who may do everything."""

import pytest
from flask import Flask

from api.app import create_app
from library.db import Sessions
from library.settings import Settings
from tests.api.rest.client import ApiClient, key_of


@pytest.fixture
def app(settings: Settings, sessions: Sessions) -> Flask:
    return create_app(settings, sessions)


@pytest.fixture
def api(app: Flask, sessions: Sessions) -> ApiClient:
    return ApiClient(app, key_of(sessions))
