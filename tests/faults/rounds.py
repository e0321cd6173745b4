"""Processes that deliver and are killed, round by round, until nothing is left to do.

In a round all clocks agree. A killed process's claims wait for their lease: the next
round begins when every open row is due again.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from random import Random

from sqlalchemy import func, select

from library.db import Sessions, reading
from library.settings import Settings
from library.tables import Delivery
from library.vocabulary import DeliveryState

ROOT = Path(__file__).parents[2]
_OPEN = (DeliveryState.PENDING, DeliveryState.SENDING)


@dataclass
class Rounds:
    """Runs couriers and kills some of them."""

    sessions: Sessions
    settings: Settings
    couriers: int
    kills: int = 0
    each: int = 1
    """A kill comes each time the server took about so many more messages."""
    seen: Callable[[], int] = int
    """How many messages the server took."""
    seed: int = 1
    lease: float | None = None
    """Seconds, where a quarter of an hour is too long."""
    task: str = "deliver"
    """Or "build"."""
    apart: timedelta = timedelta()
    """How far the couriers' clocks are from each other."""
    killed: int = 0
    _random: Random = field(init=False)

    def __post_init__(self) -> None:
        self._random = Random(self.seed)  # noqa: S311 -- only a spread

    def run(self, at: datetime) -> None:
        """Go on until nothing is open, or fail after a hundred rounds."""
        for _ in range(100):
            self.once(at)
            due_at = self._next_due()
            if due_at is None:
                return
            at = max(due_at, at) + timedelta(seconds=1)
        raise AssertionError("still open after a hundred rounds")

    def once(self, at: datetime) -> None:
        """Let all work once, with kills, until each has ended by itself."""
        running = [self.start(at, number) for number in range(self.couriers)]
        kill_at = self._next_kill()
        while any(one.poll() is None for one in running):
            if self.seen() < kill_at or self.killed >= self.kills:
                time.sleep(0.005)
                continue
            alive = [n for n, one in enumerate(running) if one.poll() is None]
            if alive:
                place = self._random.choice(alive)
                running[place].send_signal(signal.SIGKILL)
                running[place].wait()
                self.killed += 1
                running[place] = self.start(at, place)
            kill_at = self._next_kill()
        for one in running:
            assert one.wait() == 0

    def _next_kill(self) -> float:
        return self.seen() + self.each * self._random.uniform(0.7, 1.3)

    def start(self, at: datetime, number: int) -> subprocess.Popen[bytes]:
        """Start one courier."""
        moment = (at + self.apart * number).isoformat()
        return subprocess.Popen(  # noqa: S603 -- our own module
            [
                *(sys.executable, "-m", "tests.faults.courier"),
                *(self.task, moment, f"courier{number}"),
                *([] if self.lease is None else [str(self.lease)]),
            ],
            cwd=ROOT,
            env={**os.environ, **environment(self.settings)},  # noqa: TID251 -- for a child
        )

    def _next_due(self) -> datetime | None:
        with reading(self.sessions) as session:
            return session.scalar(
                select(func.max(Delivery.due_at)).where(Delivery.state.in_(_OPEN))
            )


def environment(settings: Settings) -> dict[str, str]:
    """Return the variables from which a child reads the same settings."""
    return dict(_variables(settings))


def _variables(settings: Settings) -> Iterator[tuple[str, str]]:
    for name in ("home", "database_url", "smtp_url", "base_url", "secret"):
        yield f"HAMKHAN_{name.upper()}", str(getattr(settings, name))
