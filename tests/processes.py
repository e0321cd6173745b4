"""What tests ask of processes: their children, whether they live, a free port."""

import os
import secrets
import socket
from contextlib import suppress
from pathlib import Path

import pytest


def children(pid: int) -> list[int]:
    """Return the processes that this one started."""
    listed = Path(f"/proc/{pid}/task/{pid}/children")
    if not listed.exists():
        pytest.skip("this system does not list a process's children")
    return [int(number) for number in listed.read_text().split()]


def lives(pid: int) -> bool:
    """Tell whether a process lives."""
    try:
        os.kill(pid, 0)
        # A zombie that nobody has collected is dead all the same.
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (ProcessLookupError, FileNotFoundError):
        return False


def free_port() -> int:
    """Return a port on loopback that nobody listens on.

    None of those that a system gives to who connects: else a connection to a database
    could have it by the time somebody listens there.
    """
    while True:
        port = secrets.randbelow(12_000) + 20_000
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
