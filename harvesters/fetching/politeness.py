"""One request at a time and a pause between them, per host, over all workers.

The turns are rows, so workers on other machines keep them too. A worker that dies with
a turn loses it when its longest exchange would have ended.
"""

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import select, update

from harvesters.rows import insert_missing
from library.clock import utc_now
from library.db import Sessions, reading
from library.errors import FetchFailed
from library.tables import HostTurn

GAP = timedelta(seconds=2)
LONGEST_WAIT = timedelta(seconds=60)


@dataclass(frozen=True)
class Turns:
    """Whose turn it is at each host.

    Attributes:
        spared: Hosts in the house, which need no pause.
        lease: Longer than any exchange.
    """

    sessions: Sessions
    spared: frozenset[str] = frozenset()
    gap: timedelta = GAP
    lease: timedelta = timedelta(minutes=10)
    patience: timedelta = LONGEST_WAIT
    clock: Callable[[], datetime] = utc_now
    sleep: Callable[[float], None] = time.sleep
    worker: str = field(default_factory=lambda: uuid.uuid4().hex)

    @contextmanager
    def __call__(self, host: str) -> Iterator[None]:
        """Hold the turn at a host.

        Raises:
            FetchFailed: Others have had it for too long.
        """
        if host in self.spared:
            yield
            return
        holder = f"{self.worker}:{uuid.uuid4().hex[:12]}"
        self._wait(host, holder)
        try:
            yield
        finally:
            self._leave(host, holder)

    def _wait(self, host: str, holder: str) -> None:
        begun = self.clock()
        while not self._take(host, holder):
            left = self._free_in(host)
            if self.clock() + left - begun > self.patience:
                raise FetchFailed(
                    f"{host} is being asked by others",
                    cause="busy",
                    retry_after=int(left.total_seconds()) + 1,
                )
            self.sleep(min(max(left.total_seconds(), 0.01), 1.0))

    def _take(self, host: str, holder: str) -> bool:
        now = self.clock()
        with self.sessions.begin() as session:
            insert_missing(session, HostTurn, [{"host": host, "free_at": now}])
            taken = session.execute(
                update(HostTurn)
                .where(HostTurn.host == host, HostTurn.free_at <= now)
                .values(free_at=now + self.lease, holder=holder)
                .returning(HostTurn.host)
            )
            return taken.first() is not None

    def _free_in(self, host: str) -> timedelta:
        with reading(self.sessions) as session:
            row = session.scalar(select(HostTurn).where(HostTurn.host == host))
        if row is None:
            return timedelta()
        # Someone is asking: when they will be done is not known, so look again soon.
        left = row.free_at - self.clock()
        return min(left, self.gap) if row.holder else left

    def _leave(self, host: str, holder: str) -> None:
        with self.sessions.begin() as session:
            session.execute(
                update(HostTurn)
                .where(HostTurn.host == host, HostTurn.holder == holder)
                .values(free_at=self.clock() + self.gap, holder=None)
            )
