"""Serving the pages and the API, alone or with worker and schedule beside."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from waitress import create_server

from api.app import create_app
from api.working.bell import Ring, bell
from api.working.listening import leave, working
from api.working.watching import watching
from api.working.worker import make_celery
from library.errors import ServiceError
from library.runtime import Runtime


def serve(
    runtime: Runtime,
    *,
    host: str,
    port: int,
    ring: Ring | None = None,
    begun: Callable[[], None] = lambda: None,
) -> None:
    """Serve the pages and the API until told to stop.

    Args:
        runtime: The installation.
        host: The address to listen on.
        port: The port there.
        ring: Wakes a worker; None: over the broker.
        begun: Called when it listens.

    Raises:
        ServiceError: Something else listens there, or nobody may.
    """
    if ring is None:
        ring = bell(make_celery(runtime.settings, apart=True))
    app = create_app(runtime.settings, runtime.sessions)
    app.extensions["hamkhan-ring"] = ring
    try:
        server = create_server(app, host=host, port=port, threads=8, ident=None)
    except OSError as error:
        why = error.strerror or str(error)
        raise ServiceError(f"{host}:{port}: {why}; another: --port") from error
    begun()
    with _ended_by_sigterm(), watching(runtime):
        server.run()
    server.close()


def run(
    runtime: Runtime, *, host: str, port: int, begun: Callable[[], None] = lambda: None
) -> None:
    """Be web, worker and schedule in one process, until told to stop; see `serve`."""
    with working(runtime) as ring:
        serve(runtime, host=host, port=port, ring=ring, begun=begun)
    leave(0)


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """Turn SIGTERM into the same orderly end that Ctrl-C makes."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(_number: int, _frame: FrameType | None) -> None:
        raise SystemExit(0)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
