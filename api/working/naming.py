"""How a process is called in leases and heartbeats, and whether it still lives."""

import os
import secrets
import socket
from contextlib import suppress
from pathlib import Path
from typing import Final

_OWN_PIDS: Final = Path("/proc/self/ns/pid")


def worker_name() -> str:
    """Make a name that no other process has or had, also after a restart."""
    return f"{_here()}.{os.getpid()}.{secrets.token_hex(3)}"


def is_dead(worker: str) -> bool:
    """Tell whether a worker was a process of this machine and is gone.

    Of other machines nothing is known: False.
    """
    here, _, rest = worker.rpartition(".")[0].rpartition(".")
    if here != _here() or not rest.isdigit():
        return False
    try:
        os.kill(int(rest), 0)
    except ProcessLookupError:
        return True
    except PermissionError:  # somebody else's, so it lives
        return False
    return False


def _here() -> str:
    """Name this machine, and in it the container whose process numbers these are."""
    numbers = ""
    with suppress(OSError):
        numbers = _OWN_PIDS.readlink().name.strip("pid:[]")
    return f"{socket.gethostname()[:40]}-{numbers}"
