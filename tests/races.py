"""Several at once: others act while one's transaction has not ended."""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait

from sqlalchemy import Connection, text
from sqlalchemy.orm import Session

from library.db import Sessions

A_MOMENT = 0.02
PATIENCE = 30.0

Act = Callable[[Session], object]


def meanwhile(
    sessions: Sessions, first: Act, *others: Act, then: Act | None = None
) -> list[bool]:
    """Let others begin, each in a transaction of its own, before the first one's ends.

    Each other comes as far as it can before the next begins. On SQLite that is nowhere,
    if it writes.

    Args:
        sessions: The database.
        first: Done before the others begin.
        others: Begun one after another.
        then: Done in the first transaction once all have begun.

    Returns:
        Of each other, whether it waited for the first to end.

    Raises:
        Exception: What any of them raised.
    """

    def take_part(act: Act) -> None:
        with sessions.begin() as session:
            act(session)

    acting: list[Future[None]] = []
    with ThreadPoolExecutor(len(others)) as pool:
        with sessions.begin() as session:
            first(session)
            with sessions.kw["bind"].connect() as watching:
                for act in others:
                    acting.append(pool.submit(take_part, act))
                    _until_it_waits(watching, acting)
            waited = [not one.done() for one in acting]
            if then:
                then(session)
        for one in acting:
            one.result()
    return waited


def _until_it_waits(watching: Connection, acting: list[Future[None]]) -> None:
    ends = time.monotonic() + PATIENCE
    while not acting[-1].done():
        wait(acting[-1:], A_MOMENT)
        if watching.dialect.name == "sqlite":
            return
        at_work = sum(not one.done() for one in acting)
        if at_work and _waiting(watching) == at_work:
            return
        assert time.monotonic() < ends, "it neither ended nor waited"


def _waiting(watching: Connection) -> int:
    """Count the transactions of this database that wait for a lock."""
    with watching.begin():
        return watching.scalar(_WAITING) or 0


_WAITING = text(
    "SELECT count(*) FROM pg_stat_activity"
    " WHERE datname = current_database() AND wait_event_type = 'Lock'"
)
