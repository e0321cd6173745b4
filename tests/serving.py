"""Pages on a port of this machine, and the Chromium that opens them."""

import shutil
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import pytest
from flask import Flask
from playwright.sync_api import Browser, sync_playwright
from werkzeug.serving import WSGIRequestHandler, make_server

from library.settings import Settings
from tests import databases

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

ARGUMENTS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


@contextmanager
def listening(
    settings: Settings,
) -> Iterator[tuple[Settings, Callable[[Flask], None]]]:
    """Listen on a free port; yield settings that say which, and what serves there.

    The port is known only once the server listens, and links carry it.
    """
    application: list[Flask] = []

    def forward(environ: "WSGIEnvironment", start: "StartResponse") -> Iterable[bytes]:
        return application[0](environ, start)

    server = make_server(
        "127.0.0.1", 0, forward, threaded=True, request_handler=_Silent
    )
    thread = threading.Thread(target=server.serve_forever)

    def serve(app: Flask) -> None:
        application.append(app)
        thread.start()

    try:
        url = f"http://127.0.0.1:{server.server_port}"
        yield replace(settings, base_url=url), serve
    finally:
        if application:
            server.shutdown()
            thread.join()
        server.server_close()


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start the browser, or skip the test where there is none."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium_path(), args=ARGUMENTS
        )
        yield browser
        browser.close()


def chromium_path() -> str:
    """Return where the browser is, or skip the test."""
    path = shutil.which("chromium")
    if path is None:
        if databases.SERVICES_REQUIRED:
            pytest.fail("HAMKHAN_REQUIRE_SERVICES=1, and there is no chromium")
        pytest.skip("there is no chromium")
    return path


class _Silent(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: object) -> None:  # noqa: A002 -- the base class names it
        """Say nothing."""
