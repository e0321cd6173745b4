"""The service's own processes: they work, end in time and leave nobody behind."""

import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from urllib.request import urlopen

import pytest
from sqlalchemy import select

from api.commands.setup import prepare
from api.working.listening import wait_until
from api.working.naming import is_dead
from api.working.scheduler import heard_at
from library.clock import utc_now
from library.db import reading
from library.runtime import Runtime, start
from library.settings import Settings
from library.tables import ScheduleRun
from library.vocabulary import SlotState
from tests.command_line import begin
from tests.processes import children, free_port, lives

pytestmark = pytest.mark.slow

PATIENCE = 60.0
AT_MOST = 20.0
"""Seconds from being told to stop until the end."""


@pytest.fixture
def runtime(tmp_path: Path) -> Runtime:
    runtime = start(replace(Settings(), home=tmp_path / "home"))
    prepare(runtime)
    return runtime


def test_all_in_one_process_serves_works_and_ends_in_time(runtime: Runtime) -> None:
    port = free_port()
    with _running(runtime, "run", "--port", str(port)) as process:
        assert wait_until(lambda: _turns(runtime) >= {"harvest", "alert"}, PATIENCE)
        with urlopen(f"http://127.0.0.1:{port}/") as page:
            assert page.status == 200

        begun = time.monotonic()
        process.send_signal(signal.SIGTERM)

        assert process.wait(AT_MOST) == 0
        assert time.monotonic() - begun < AT_MOST


def test_a_worker_apart_works_and_ends_in_time(runtime: Runtime) -> None:
    with _running(runtime, "worker", "--processes", "1") as process:
        assert wait_until(lambda: _turns(runtime) >= {"harvest", "alert"}, PATIENCE)

        process.send_signal(signal.SIGTERM)

        assert process.wait(AT_MOST) == 0


def test_a_killed_worker_leaves_no_process_behind(runtime: Runtime) -> None:
    with _running(runtime, "worker", "--processes", "2") as process:
        assert wait_until(lambda: heard_at(runtime.sessions) is not None, PATIENCE)
        started = children(process.pid)

        process.kill()
        process.wait()

        assert len(started) >= 2
        assert wait_until(lambda: not any(map(lives, started)), PATIENCE)


def test_what_a_killed_process_was_at_is_done_by_the_next(runtime: Runtime) -> None:
    with _running(runtime, "worker", "--processes", "1") as process:
        assert wait_until(lambda: heard_at(runtime.sessions) is not None, PATIENCE)
        worker = _last_worker(runtime)
        process.kill()
        process.wait()
    assert is_dead(worker)
    with runtime.sessions.begin() as session:
        # It died in the middle of this turn, and its lease has long to run.
        session.add(
            ScheduleRun(
                id=99,
                name="tidy",
                slot=utc_now(),
                due_at=utc_now().replace(year=2100),
                state=SlotState.RUNNING,
                worker=worker,
                attempts=1,
            )
        )

    with _running(runtime, "worker", "--processes", "1"):
        assert wait_until(lambda: "tidy" in _turns(runtime), PATIENCE)


@contextmanager
def _running(runtime: Runtime, *words: str) -> Iterator[subprocess.Popen[str]]:
    with begin(runtime.settings.home, *words) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()
            process.communicate()


def _turns(runtime: Runtime) -> set[str]:
    """Name the recurring jobs of which a turn is done."""
    done = select(ScheduleRun.name).where(ScheduleRun.state == SlotState.DONE)
    with reading(runtime.sessions) as session:
        return set(session.scalars(done))


def _last_worker(runtime: Runtime) -> str:
    assert wait_until(lambda: "alert" in _turns(runtime), PATIENCE)
    with reading(runtime.sessions) as session:
        return str(session.scalar(select(ScheduleRun.worker).limit(1)))
