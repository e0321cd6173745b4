"""A scheduler that can be killed: `python -m tests.faults.scheduler CLOCK`.

It reads the moment from a file, so that the test says when the next slot is due.
"""

import os
import sys
import time
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy.exc import DBAPIError

from api.working.scheduler import Recurring, take_turns
from library.db import make_engine, make_sessions
from library.settings import Settings

EVERY = timedelta(minutes=5)
JOB = Recurring("slotted", every=EVERY)


def main() -> None:
    """Take turns until somebody ends the process."""
    settings = Settings.from_env(os.environ)  # noqa: TID251 -- a process of its own
    sessions = make_sessions(make_engine(settings.database))
    clock = Path(sys.argv[1])
    while True:
        at = datetime.fromisoformat(clock.read_text(encoding="ascii"))
        # Whoever sleeps with SQLite's lock in hand makes others wait too long; the
        # beat of a worker tries again as well.
        with suppress(DBAPIError):
            take_turns(sessions, [JOB], at=at, zone="UTC")
        time.sleep(0.01)


if __name__ == "__main__":
    main()
