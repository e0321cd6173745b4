"""What tests ask of processes: their children, whether they live, a free port."""

import secrets
import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class Child:
    """A process that another one started.

    In a long run its number may be another's when it is looked for again.
    """

    pid: int
    began: str
    """In ticks since the system started; see proc(5)."""


def children(pid: int) -> set[Child]:
    """Return the processes that this one started and that live."""
    listed = Path(f"/proc/{pid}/task/{pid}/children")
    if not listed.exists():
        pytest.skip("this system does not list a process's children")
    found = ((int(one), _began(int(one))) for one in listed.read_text().split())
    return {Child(number, began) for number, began in found if began is not None}


def lives(child: Child) -> bool:
    """Tell whether a process lives."""
    return _began(child.pid) == child.began


def _began(pid: int) -> str | None:
    """Tell since when a process lives; None for one that does not, or is a zombie."""
    try:
        line = Path(f"/proc/{pid}/stat").read_text()
    except (ProcessLookupError, FileNotFoundError):
        return None
    state, *rest = line.rpartition(")")[2].split()
    return None if state == "Z" else rest[18]


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
