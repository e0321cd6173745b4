"""A small web site on loopback, and the guard that no packet leaves the machine."""

import ipaddress
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import pytest

from library.fetching.fetch import Fetcher


@dataclass(frozen=True)
class Asked:
    """A request as the site saw it."""

    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes = b""


@dataclass
class Answer:
    """What the site answers; `write` gets the connection for what HTTP forbids."""

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    write: Callable[[Any], None] | None = None


Page = Callable[[Asked], Answer]


class Site:
    """Pages by path; each request is kept, and counts with its body's size."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.pages: dict[str, Page] = {}
        self.asked: list[Asked] = []
        self.waits: list[float] = []
        self.bodies = 0

    @property
    def place(self) -> str:
        """Host and port, as `HAMKHAN_FETCH_ALLOW` names them."""
        return urlsplit(self.url).netloc

    def fetcher(self) -> Fetcher:
        """Return a fetcher that may read this site and nothing else private.

        What it would wait between two tries is in `waits`, and takes no time.
        """
        return Fetcher(
            "Hamkhan/test",
            "library@localhost",
            allow=(self.place,),
            pause=self.waits.append,
        )

    def serve(self, path: str, page: Page | Answer | bytes) -> str:
        """Answer `path` so; return its address."""
        if isinstance(page, bytes):
            page = Answer(page)
        if isinstance(page, Answer):
            fixed = page
            self.pages[path] = lambda _: fixed
        else:
            self.pages[path] = page
        return self.url + path

    def answer(self, asked: Asked) -> Answer:
        self.asked.append(asked)
        page = self.pages.get(asked.path)
        answer = page(asked) if page else Answer(status=404)
        self.bodies += bool(answer.body)
        return answer


@contextmanager
def site() -> Iterator[Site]:
    """Serve an empty site on a free port until the end."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = self.rfile.read(int(headers.get("content-length", "0")))
            answer = served.answer(Asked(parts.path, parts.query, headers, body))
            self.close_connection = True
            if answer.write is not None:
                answer.write(self.wfile)
                return
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            if not any(name.lower() == "content-length" for name in answer.headers):
                self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

        def do_POST(self) -> None:
            self.do_GET()

        def handle(self) -> None:
            with suppress(OSError):  # the client may hang up, as some tests want
                super().handle()

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    served = Site(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Guard:
    """Refuses and records every try to reach anything but loopback."""

    def __init__(self) -> None:
        self.tripped: list[str] = []
        self._connect = socket.socket.connect
        self._getaddrinfo = socket.getaddrinfo

    def check(self, address: Any) -> None:
        host = address[0] if isinstance(address, tuple) else ""
        if isinstance(address, tuple) and not _is_loopback(str(host)):
            self.tripped.append(str(address))
            raise OSError(f"the guard refuses {address}")

    def connect(self, connection: socket.socket, address: Any) -> None:
        self.check(address)
        self._connect(connection, address)

    def getaddrinfo(self, host: Any, *args: Any, **options: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else str(host or "localhost")
        if name != "localhost" and not _is_numeric(name):
            self.tripped.append(f"getaddrinfo {name}")
            raise socket.gaierror(socket.EAI_NONAME, f"the guard refuses {name}")
        return self._getaddrinfo(host, *args, **options)


@contextmanager
def guarded(monkeypatch: pytest.MonkeyPatch) -> Iterator[Guard]:
    """Let no packet leave the machine; at the end, none may have tried to."""
    watching = Guard()

    def connect(connection: socket.socket, address: object) -> None:
        watching.connect(connection, address)

    def connect_ex(connection: socket.socket, address: object) -> int:
        watching.connect(connection, address)
        return 0

    def sendto(connection: socket.socket, data: bytes, *where: object) -> int:
        watching.check(where[-1])
        raise OSError("no test sends datagrams")

    monkeypatch.setattr(socket.socket, "connect", connect)
    monkeypatch.setattr(socket.socket, "connect_ex", connect_ex)
    monkeypatch.setattr(socket.socket, "sendto", sendto)
    monkeypatch.setattr(socket, "getaddrinfo", watching.getaddrinfo)
    yield watching
    assert watching.tripped == []


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _is_numeric(name: str) -> bool:
    """Tell whether a name needs no name server: digits in any form."""
    try:
        ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        try:
            socket.inet_aton(name)
        except OSError:
            return False
    return True
