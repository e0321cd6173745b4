"""Connections that judge the address they really go to, and end by a deadline.

A name is resolved once; every address it has is judged, and the connection goes to one
of those judged. So a name server that answers differently the second time gains
nothing. Every read and write gets only the time left of the whole exchange.
"""

import queue
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import httpcore2

from library.errors import FetchFailed
from library.fetching.addresses import first_refused

Resolver = Callable[[str, int], Sequence[str]]
"""Host and port to addresses, all of them."""


class Deadline:
    """The end of one exchange, on a clock that nobody can set."""

    def __init__(self, seconds: float) -> None:
        self._ends = time.monotonic() + seconds
        self._seconds = seconds

    def left(self) -> float:
        """Return the seconds left.

        Raises:
            FetchFailed: None are left.
        """
        left = self._ends - time.monotonic()
        if left <= 0:
            raise FetchFailed(f"no end after {self._seconds:g} s", cause="timeout")
        return left


def resolve(host: str, port: int) -> list[str]:
    """Ask the system for every address of a host.

    Raises:
        OSError: There is no such host.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))


class GuardedBackend(httpcore2.NetworkBackend):
    """Connects only to addresses that were judged, and only until the deadline."""

    def __init__(
        self, deadline: Deadline, *, allow: Iterable[str], resolver: Resolver = resolve
    ) -> None:
        self._deadline = deadline
        self._allow = {entry.lower() for entry in allow}
        self._resolver = resolver

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002 -- the deadline holds
        local_address: str | None = None,  # noqa: ARG002 -- never set by us
        socket_options: Iterable[Any] | None = None,  # noqa: ARG002 -- never set by us
    ) -> httpcore2.NetworkStream:
        """Connect to the first address that answers.

        Raises:
            FetchFailed: An address of the host is refused, or the host is unknown.
        """
        addresses = self._addresses(host, port)
        refused = first_refused(addresses)
        if refused and not self._allowed(host, port):
            raise FetchFailed(
                f"{host}: the address {refused} is not on the open internet",
                cause="not_allowed",
            )
        return DeadlineStream(self._connect(addresses, port), self._deadline)

    def _allowed(self, host: str, port: int) -> bool:
        bare = host.lower().strip("[]")
        return not self._allow.isdisjoint({f"{bare}:{port}", f"[{bare}]:{port}"})

    def _addresses(self, host: str, port: int) -> Sequence[str]:
        try:
            addresses = _in_time(lambda: self._resolver(host, port), self._deadline)
        except (OSError, UnicodeError) as error:
            raise FetchFailed(f"{host}: no such host", cause="dns") from error
        if not addresses:
            raise FetchFailed(f"{host}: the name has no address", cause="dns")
        return addresses

    def _connect(self, addresses: Sequence[str], port: int) -> socket.socket:
        last: OSError | None = None
        for address in addresses:
            try:
                return socket.create_connection((address, port), self._deadline.left())
            except OSError as error:
                last = error
        self._deadline.left()
        raise httpcore2.ConnectError(str(last)) from last


class DeadlineStream(httpcore2.NetworkStream):
    """A connection whose every step gets only the time left."""

    def __init__(self, connection: socket.socket, deadline: Deadline) -> None:
        self._socket = connection
        self._deadline = deadline

    def read(
        self,
        max_bytes: int,
        timeout: float | None = None,  # noqa: ARG002 -- the deadline holds
    ) -> bytes:
        """Return what has come, at most `max_bytes`; empty at the end."""
        self._socket.settimeout(self._deadline.left())
        try:
            return self._socket.recv(max_bytes)
        except OSError as error:
            self._deadline.left()
            raise httpcore2.ReadError(str(error)) from error

    def write(
        self,
        buffer: bytes,
        timeout: float | None = None,  # noqa: ARG002 -- the deadline holds
    ) -> None:
        """Send all of `buffer`."""
        self._socket.settimeout(self._deadline.left())
        try:
            self._socket.sendall(buffer)
        except OSError as error:
            self._deadline.left()
            raise httpcore2.WriteError(str(error)) from error

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002 -- the deadline holds
    ) -> httpcore2.NetworkStream:
        """Return the same connection under TLS, its name checked.

        Raises:
            FetchFailed: The handshake failed.
        """
        self._socket.settimeout(self._deadline.left())
        try:
            secure = ssl_context.wrap_socket(
                self._socket, server_hostname=server_hostname
            )
        except (OSError, ValueError) as error:
            self._socket.close()
            self._deadline.left()
            raise FetchFailed(f"TLS: {error}", cause="tls") from error
        return DeadlineStream(secure, self._deadline)

    def get_extra_info(self, info: str) -> object:
        """Answer what the connection pool asks; nothing else is known here."""
        if info == "ssl_object" and isinstance(self._socket, ssl.SSLSocket):
            return self._socket
        if info == "server_addr":
            return self._socket.getpeername()
        return None


def _in_time(work: Callable[[], Sequence[str]], deadline: Deadline) -> Sequence[str]:
    """Run `work` in a thread of its own: the system's resolver knows no deadline."""
    answers: queue.Queue[Sequence[str] | Exception] = queue.Queue()

    def run() -> None:
        try:
            answers.put(work())
        except Exception as error:  # noqa: BLE001 -- handed to the caller, who raises it
            answers.put(error)

    threading.Thread(target=run, daemon=True).start()
    try:
        answer = answers.get(timeout=deadline.left())
    except queue.Empty:
        deadline.left()
        raise FetchFailed("no answer from the name server", cause="dns") from None
    if isinstance(answer, Exception):
        raise answer
    return answer
