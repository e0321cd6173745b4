"""A harvest in a process of its own, to be killed: DATABASE URL PLACE CODE."""

import sys

from harvesters.harvesting import harvest
from library.db import make_engine, make_sessions
from library.fetching.fetch import Fetcher
from library.settings import Settings
from tests.factories import NOON


def main(database: str, place: str, code: str) -> None:
    sessions = make_sessions(make_engine(database))
    fetcher = Fetcher("Hamkhan/test", "library@localhost", allow=(place,))
    report = harvest(sessions, Settings(), code, at=NOON, fetcher=fetcher)
    print(report.error or "done")  # noqa: T201 -- read by the test


if __name__ == "__main__":
    main(*sys.argv[1:])
