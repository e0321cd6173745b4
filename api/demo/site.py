"""A loopback site that announces new works as other systems do."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Final
from urllib.parse import parse_qs, urlsplit

from api.demo.announcements import NewWork, identify, list_records, marc, rss
from library.clock import utc_now

PAGE: Final = 200
"""Records in one OAI-PMH answer."""


@dataclass(frozen=True)
class Announced:
    """What the site announces, by the way it does."""

    feed: Sequence[NewWork] = ()
    oai_pmh: Sequence[NewWork] = ()
    marc: Sequence[NewWork] = ()


@contextmanager
def served(announced: Announced, *, port: int = 0) -> Iterator[str]:
    """Serve the announcements on this machine; give the address.

    Args:
        announced: What to tell.
        port: The one wished for; a free one when it is taken, or 0.
    """
    server = _server(announced, port)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, name="new works", daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _server(announced: Announced, port: int) -> ThreadingHTTPServer:
    handler = partial(_Handler, announced)
    try:
        return ThreadingHTTPServer(("127.0.0.1", port), handler)
    except OSError:
        return ThreadingHTTPServer(("127.0.0.1", 0), handler)


class _Handler(BaseHTTPRequestHandler):
    def __init__(self, announced: Announced, *rest: object) -> None:
        self._announced = announced
        super().__init__(*rest)  # type: ignore[arg-type]  # the server's own

    def do_GET(self) -> None:
        found = _answers(self._announced).get(urlsplit(self.path).path)
        if found is None:
            self.send_error(404)
            return
        kind, make = found
        body = make(f"http://{self.headers['Host']}", urlsplit(self.path).query)
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- as the base has it
        """Say nothing: the harvest tells what it read."""


_Answer = tuple[str, Callable[[str, str], bytes]]


def _answers(announced: Announced) -> dict[str, _Answer]:
    return {
        "/feed.xml": (
            "application/rss+xml",
            lambda site, _query: rss(announced.feed, site=site),
        ),
        "/oai": ("text/xml", partial(_oai, announced.oai_pmh)),
        "/new.mrc": (
            "application/marc",
            lambda _site, _query: marc(announced.marc),
        ),
    }


def _oai(works: Sequence[NewWork], site: str, query: str) -> bytes:
    asked = parse_qs(query)
    here = {"site": f"{site}/oai", "moment": f"{utc_now():%Y-%m-%dT%H:%M:%SZ}"}
    if asked.get("verb") == ["Identify"]:
        return identify(**here)
    begin = int(asked.get("resumptionToken", ["0"])[0])
    end = begin + PAGE
    token = str(end) if end < len(works) else None
    return list_records(works[begin:end], token=token, **here)
