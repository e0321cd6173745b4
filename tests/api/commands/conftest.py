"""The command line, as somebody at a terminal has it."""

from collections.abc import Callable
from functools import partial

import pytest
from click.testing import Result

from library.db import Sessions
from library.runtime import Runtime
from library.settings import Settings
from tests.command_line import invoke

Run = Callable[..., Result]


@pytest.fixture
def runtime(settings: Settings, sessions: Sessions) -> Runtime:
    return Runtime(settings, sessions)


@pytest.fixture
def run(runtime: Runtime) -> Run:
    """Run a command on this test's own installation."""
    return partial(invoke, runtime)
