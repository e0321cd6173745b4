"""A door before a server on loopback, that can be slammed or held."""

import socket
import struct
import threading
from contextlib import suppress
from types import TracebackType

_AT_ONCE = struct.pack("ii", 1, 0)
"""SO_LINGER of no seconds: a reset and no goodbye."""


class Proxy:
    """Passes everything on, while the context is open."""

    def __init__(self, port: int) -> None:
        self._to = ("127.0.0.1", port)
        self._passing = threading.Event()
        self._passing.set()
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()

    def __enter__(self) -> "Proxy":
        self._door = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._door.getsockname()[1])
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._door.close()
        self.go_on()
        self.reset()

    def reset(self) -> int:
        """End every connection at once, without a goodbye; return how many."""
        with self._lock:
            gone, self._open = self._open, set()
        for one in gone:
            with suppress(OSError):
                one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
                one.shutdown(socket.SHUT_RDWR)  # wakes who waits for it
            one.close()
        return len(gone)

    def stall(self) -> None:
        """Pass nothing on, and say nothing."""
        self._passing.clear()

    def go_on(self) -> None:
        """Pass on again."""
        self._passing.set()

    def _serve(self) -> None:
        while True:
            try:
                guest, _ = self._door.accept()
                host = socket.create_connection(self._to)
            except OSError:  # the door is closed, or nobody is at home
                return
            with self._lock:
                self._open |= {guest, host}
            for pair in ((guest, host), (host, guest)):
                threading.Thread(target=self._pass, args=pair, daemon=True).start()

    def _pass(self, source: socket.socket, to: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                self._passing.wait()
                to.sendall(data)
        for one in (source, to):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
