"""A process that serves the pages, as a mail scanner meets them."""

from collections.abc import Mapping

from waitress.server import create_server

from api.app import create_app
from library.runtime import start
from library.settings import Settings

THREADS = 2
"""How many scanners ask each process beside each other."""


def serve(settings: Mapping[str, str], port: int) -> None:
    """Serve the pages on loopback until killed.

    Args:
        settings: An installation's, as a process finds them in its environment.
        port: Where.
    """
    own = start(Settings.from_env(settings))
    app = create_app(own.settings, own.sessions)
    create_server(app, host="127.0.0.1", port=port, threads=2 * THREADS).run()
