"""A delivering process that can be killed: `python -m tests.faults.courier AT NAME`."""

import os
import sys
from datetime import datetime

from library.runtime import start
from library.settings import Settings
from notifier.delivery import deliver_due


def main() -> None:
    """Deliver what is due at a moment, then end."""
    at, name = datetime.fromisoformat(sys.argv[1]), sys.argv[2]
    own = start(Settings.from_env(os.environ))  # noqa: TID251 -- a process of its own
    deliver_due(own.sessions, own.settings, at=at, worker=f"{name}-{os.getpid()}")


if __name__ == "__main__":
    main()
