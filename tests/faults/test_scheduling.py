"""FR5: schedulers that are killed, orphaned and put to sleep."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from threading import Timer

import pytest
from sqlalchemy import select

from library.db import Sessions, reading
from library.settings import Settings
from library.tables import ScheduleRun
from tests.factories import NOON
from tests.faults.rounds import ROOT, environment
from tests.faults.runs import Run
from tests.faults.scheduler import EVERY, JOB
from tests.faults.sizes import size

pytestmark = pytest.mark.slow

PATIENCE = 120.0


def test_fr5_no_slot_is_missed_or_made_twice(
    run: Run, sessions: Sessions, settings: Settings, tmp_path: Path
) -> None:
    slots, kills = size(8, 120, 120), size(6, 130, 130)
    asleep_for = size(1, 60, 60)
    clock = tmp_path / "clock"
    tell(clock, 0)
    random = run.luck()
    running = [start(settings, clock) for _ in range(5)]
    killed, sleeper = 0, running[0]
    wake = Timer(asleep_for, sleeper.send_signal, (signal.SIGCONT,))
    try:
        for slot in range(slots):
            tell(clock, slot)
            if slot == slots // 4:
                # It may hold SQLite's one lock, and then all wait until it wakes.
                sleeper.send_signal(signal.SIGSTOP)
                wake.start()
            while killed < kills * (slot + 1) // slots:
                place = random.randrange(1, len(running))
                running[place].kill()
                running[place].wait()
                killed += 1
                run.note(f"killed scheduler {place}, {running[place].pid}")
                running[place] = start(settings, clock)
            wait_until(lambda made=slot + 1: len(runs(sessions)) >= made)  # type: ignore[misc]
    finally:
        wake.cancel()
        for one in running:
            one.send_signal(signal.SIGCONT)
            one.kill()
            one.wait()

    made = [row.slot for row in runs(sessions)]
    run.tell(
        size=slots,
        events=killed,
        lost=slots - len(set(made)),
        copies=len(made) - len(set(made)),
    )
    assert killed == kills
    assert made == [NOON + EVERY * n for n in range(slots)]


def tell(clock: Path, slot: int) -> None:
    """Set the clock to a slot, in one step for who reads it."""
    draft = clock.with_suffix(".part")
    draft.write_text((NOON + EVERY * slot).isoformat(), encoding="ascii")
    draft.replace(clock)


def start(settings: Settings, clock: Path) -> subprocess.Popen[bytes]:
    """Start a scheduler in a process of its own."""
    return subprocess.Popen(  # noqa: S603 -- our own module
        [sys.executable, "-m", "tests.faults.scheduler", str(clock)],
        cwd=ROOT,
        env={**os.environ, **environment(settings)},  # noqa: TID251 -- for a child
    )


def runs(sessions: Sessions) -> list[ScheduleRun]:
    """Return the runs that were made, in the order of their slots."""
    with reading(sessions) as session:
        found = select(ScheduleRun).where(ScheduleRun.name == JOB.name)
        return list(session.scalars(found.order_by(ScheduleRun.slot)))


def wait_until(holds: Callable[[], bool]) -> None:
    """Wait until it holds, or fail."""
    ends = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < ends, "nobody made the turn"
        time.sleep(0.02)
