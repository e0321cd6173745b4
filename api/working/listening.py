"""Listening for rings: as threads of this process, or in processes of their own.

Whoever is told to stop ends within twenty seconds: what can be finished is, and the
rest goes back to be done by another.
"""

import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import Any, Final

from billiard.process import active_children
from celery import Celery, signals
from celery.app.trace import setup_worker_optimizations
from celery.apps.worker import Worker
from celery.worker import WorkController, state
from sqlalchemy import delete
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from api.working.bell import QUEUES, Ring, bell
from api.working.leftovers import take_back, take_back_from
from api.working.naming import worker_name
from api.working.scheduler import Beat, keep_time
from api.working.watching import start_watching
from api.working.worker import add_tasks, make_celery, own_queue
from library.clock import utc_now
from library.runtime import Runtime
from library.tables import Heartbeat

THREADS: Final = 4
GRACE: Final = 15.0
"""Seconds in which work in hand may end after we were told to stop."""

logger = logging.getLogger(__name__)


class Consumer:
    """A Celery worker in threads of this process, that can be started anew."""

    def __init__(self, celery: Celery, *, worker: str, threads: int = THREADS) -> None:
        self._celery = celery
        self._hostname = f"{worker}@local"
        self._threads = threads
        self._controller: Any = None
        self._thread: Thread | None = None

    def start(self) -> None:
        """Begin to listen."""
        state.should_stop = None
        # Threads of a pool find their tasks in the process's application.
        setup_worker_optimizations(self._celery, self._hostname)
        self._controller = WorkController(
            app=self._celery,
            hostname=self._hostname,
            pool="threads",
            concurrency=self._threads,
            loglevel=logging.WARNING,
            without_heartbeat=True,
            without_mingle=True,
            without_gossip=True,
        )
        self._thread = Thread(
            target=self._controller.start, name="consumer", daemon=True
        )
        self._thread.start()

    def stop(self, within: float) -> bool:
        """Stop listening; tell whether the work in hand ended in time."""
        if self._thread is None:
            return True
        state.should_stop = 0  # type: ignore[assignment]  # the stubs say None
        self._thread.join(within)
        return not self._thread.is_alive()

    def restart(self) -> None:
        """Leave a consumer that hears nothing to itself, and start another."""
        self.stop(within=5.0)
        self.start()


@contextmanager
def working(runtime: Runtime, *, threads: int = THREADS) -> Iterator[Ring]:
    """Run worker and schedule in threads of this process; the bell rings for them.

    On leaving, work in hand has `GRACE` seconds to end; what has not is handed back.
    """
    take_back(runtime, at=utc_now())
    name = worker_name()
    celery = make_celery(runtime.settings)
    queue = own_queue(celery, name)
    add_tasks(celery, runtime, worker=name)
    ring = bell(celery)
    consumer = Consumer(celery, worker=name, threads=threads)
    consumer.start()
    stop = Event()
    beat = Thread(
        target=keep_time,
        args=(Beat(runtime, ring, name, queue, consumer.restart), stop),
        name="beat",
        daemon=True,
    )
    beat.start()
    try:
        yield ring
    finally:
        stop.set()
        if not consumer.stop(GRACE):
            _let_go(runtime, name)
        beat.join(1.0)


def work(runtime: Runtime, *, queues: tuple[str, ...] = QUEUES, processes: int) -> None:
    """Be worker and schedule, in processes of their own, until told to stop."""
    take_back(runtime, at=utc_now())
    name = worker_name()
    celery = make_celery(runtime.settings, apart=True, listens_to=queues)
    queue = own_queue(celery, name)
    add_tasks(celery, runtime, worker=name)
    stop = Event()

    def start_anew() -> None:
        _end_children()
        # The next has this process's number: it could not tell that we are gone.
        _let_go(runtime, name)
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 -- our own command again

    beat = Thread(
        target=keep_time,
        args=(Beat(runtime, bell(celery), name, queue, start_anew), stop),
        name="beat",
        daemon=True,
    )

    def ready(**_: object) -> None:
        beat.start()
        start_watching(runtime, stop)

    def leaving(**_: object) -> None:
        stop.set()
        Thread(target=_leave_late, args=(runtime, name), daemon=True).start()

    def forked(**_: object) -> None:
        # A connection of the parent's must not be shared with it.
        runtime.sessions.kw["bind"].dispose(close=False)

    signals.worker_ready.connect(ready, weak=False)
    signals.worker_shutting_down.connect(leaving, weak=False)
    signals.worker_process_init.connect(forked, weak=False)
    worker = Worker(
        app=celery,
        hostname=f"{name}@local",
        pool="prefork",
        concurrency=processes,
        loglevel=logging.WARNING,
        without_heartbeat=True,
        without_mingle=True,
        without_gossip=True,
        quiet=True,
    )
    worker.start()
    _let_go(runtime, name)


def wait_until(holds: Callable[[], bool], seconds: float) -> bool:
    """Ask again and again whether something holds; tell whether it came to."""
    end = time.monotonic() + seconds
    while not (held := holds()) and time.monotonic() < end:
        time.sleep(0.1)
    return held


def forget(session: Session, worker: str) -> None:
    """Take back the heartbeat of a worker that was only a trial."""
    session.execute(delete(Heartbeat).where(Heartbeat.worker == worker))


def _leave_late(runtime: Runtime, worker: str) -> None:
    time.sleep(GRACE)
    _let_go(runtime, worker)
    leave(0)


def _let_go(runtime: Runtime, worker: str) -> None:
    try:
        take_back_from(runtime, worker, at=utc_now())
    except DBAPIError:
        logger.warning("work in hand could not be handed back; its lease will run out")


def leave(code: int) -> None:
    """End now: threads that still work were given their time, and rows are safe."""
    _end_children()
    logging.shutdown()
    sys.stdout.flush()
    os._exit(code)


def _end_children() -> None:
    for child in active_children():
        if child.pid:
            os.kill(child.pid, signal.SIGKILL)
