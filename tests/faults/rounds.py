"""Processes that deliver and are killed, round by round, until nothing is left to do.

In a round all clocks agree. A killed process's claims wait for their lease: the next
round begins when every open row is due again.
"""

import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from random import Random

from sqlalchemy import func, select

from library.db import Sessions, reading
from library.settings import Settings
from library.tables import Delivery
from library.vocabulary import DeliveryState
from tests.faults.courier import Asked, work
from tests.faults.runs import Run

ROOT = Path(__file__).parents[2]
_OPEN = (DeliveryState.PENDING, DeliveryState.SENDING)


@dataclass
class Rounds:
    """Runs couriers and kills some of them."""

    run: Run
    sessions: Sessions
    settings: Settings
    couriers: int
    kills: int = 0
    each: int = 1
    """A kill comes each time the server took about so many more messages."""
    seen: Callable[[], int] = int
    """How many messages the server took."""
    lease: float | None = None
    """Seconds, where a quarter of an hour is too long."""
    patience: float | None = None
    """Seconds to wait for a silent server, where minutes are too long."""
    task: str = "deliver"
    """Or "build"."""
    apart: timedelta = timedelta()
    """How far the couriers' clocks are from each other."""
    killed: int = 0
    _random: Random = field(init=False)
    _kill_at: float = 0

    def __post_init__(self) -> None:
        self._random = self.run.luck()

    def all(self, at: datetime) -> None:
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
        self.run.note(f"a round at {at.isoformat()}")
        running = [self.start(at, number) for number in range(self.couriers)]
        self._kill_at = self._next_kill()
        while any(one.poll() is None for one in running):
            if self.seen() < self._kill_at or self.killed >= self.kills:
                time.sleep(0.005)
                continue
            alive = [n for n, one in enumerate(running) if one.poll() is None]
            if alive:
                place = self._random.choice(alive)
                running[place].send_signal(signal.SIGKILL)
                running[place].wait()
                self.killed += 1
                self.run.note(f"killed courier{place}, {running[place].pid}")
                running[place] = self.start(at, place)
            self._kill_at = self._next_kill()
        for one in running:
            assert one.wait() == 0

    def let_kill(self) -> None:
        """Wait, a second at most, while a kill is long due.

        Whoever takes messages asks for it before each, or on a busy machine all would
        be taken before all kills have come.
        """
        ends = time.monotonic() + 1
        while self.killed < self.kills and time.monotonic() < ends:
            if self.seen() <= self._kill_at + self.each / 4:
                return
            time.sleep(0.002)

    def _next_kill(self) -> float:
        return self.seen() + self.each * self._random.uniform(0.7, 1.3)

    def start(self, at: datetime, number: int) -> "Courier":
        """Start one courier."""
        moment = at + self.apart * number
        asked = Asked(self.task, moment, f"courier{number}", self.lease, self.patience)
        return Courier(asked, self.settings)

    def _next_due(self) -> datetime | None:
        with reading(self.sessions) as session:
            return session.scalar(
                select(func.max(Delivery.due_at)).where(Delivery.state.in_(_OPEN))
            )


class Courier:
    """A process of its own, forked where its modules are loaded already.

    Most of two hundred kills' time would go into loading them anew.
    """

    def __init__(self, asked: Asked, settings: Settings) -> None:
        given = environment(settings)
        self._process = NURSERY.Process(target=work, args=(asked, given), daemon=True)
        self._process.start()
        assert self._process.pid is not None
        self.pid = self._process.pid

    def poll(self) -> int | None:
        """Return how it ended; None while it lives."""
        return self._process.exitcode

    def wait(self, seconds: float | None = None) -> int | None:
        """Wait for its end, and return how it ended."""
        self._process.join(seconds)
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)

    def kill(self) -> None:
        """Let it end where it is."""
        self._process.kill()


NURSERY = get_context("forkserver")
NURSERY.set_forkserver_preload(["tests.faults.courier", "pytest"])
"""Where processes are forked."""


def environment(settings: Settings) -> dict[str, str]:
    """Return the variables from which a child reads the same settings."""
    return dict(_variables(settings))


def _variables(settings: Settings) -> Iterator[tuple[str, str]]:
    for name in (
        *("home", "database_url", "smtp_url", "base_url", "secret"),
        *("domain_rate", "daily_brake"),
    ):
        yield f"HAMKHAN_{name.upper()}", str(getattr(settings, name))
