"""The command line, as somebody at a terminal has it."""

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from api.cli import hamkhan
from library.db import Sessions
from library.runtime import Runtime
from library.settings import Settings

Run = Callable[..., Result]


@pytest.fixture
def runtime(settings: Settings, sessions: Sessions) -> Runtime:
    return Runtime(settings, sessions)


@pytest.fixture
def run(runtime: Runtime) -> Run:
    """Run a command on this test's own installation."""

    def run(*words: str | Path, typed: str | None = None) -> Result:
        return CliRunner().invoke(
            hamkhan, [str(word) for word in words], obj=runtime, input=typed
        )

    return run
