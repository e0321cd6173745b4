"""A process that can be killed: `python -m tests.faults.courier TASK AT NAME [LEASE]`.

LEASE, in seconds, is for who cannot wait a quarter of an hour.
"""

import os
import sys
from datetime import datetime, timedelta

from library.runtime import start
from library.settings import Settings
from notifier import delivery
from notifier.alerting import make_alerts


def main() -> None:
    """Build digests or deliver what is due at a moment, then end."""
    task, at, name = sys.argv[1], datetime.fromisoformat(sys.argv[2]), sys.argv[3]
    own = start(Settings.from_env(os.environ))  # noqa: TID251 -- a process of its own
    if task == "build":
        make_alerts(own.sessions, own.settings, at=at)
    else:
        worker = f"{name}-{os.getpid()}"
        if len(sys.argv) > 4:
            delivery.LEASE = timedelta(seconds=float(sys.argv[4]))
            delivery.CONVERSATION = delivery.LEASE / 2
        delivery.deliver_due(own.sessions, own.settings, at=at, worker=worker)


if __name__ == "__main__":
    main()
