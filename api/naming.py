"""How a process is called in leases and heartbeats."""

import os
import secrets
import socket


def worker_name() -> str:
    """Make a name that no other process has or had, also after a restart."""
    return f"{socket.gethostname()[:40]}.{os.getpid()}.{secrets.token_hex(3)}"
