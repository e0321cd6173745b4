import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select

from harvesters.fetching.politeness import Turns
from harvesters.harvesting import polite
from library.db import Sessions, reading
from library.errors import FetchFailed
from library.fetching.fetch import fetch
from library.settings import Settings
from library.tables import HostTurn
from tests.factories import NOON
from tests.loopback import Answer, Asked, Site

GAP = timedelta(milliseconds=30)


class Clock:
    """A clock that sleeping moves."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


def test_the_gap_is_kept_between_two_requests(sessions: Sessions) -> None:
    clock = Clock()
    turns = Turns(sessions, clock=clock, sleep=clock.sleep)

    with turns("books.test"):
        pass
    with turns("other.test"):
        assert clock.now == NOON
    with turns("books.test"):
        assert clock.now >= NOON + timedelta(seconds=2)


def test_a_turn_that_others_keep_is_given_up_in_time(sessions: Sessions) -> None:
    clock = Clock()
    turns = Turns(sessions, clock=clock, sleep=clock.sleep)

    with turns("books.test"), pytest.raises(FetchFailed) as failed, turns("books.test"):
        pass

    assert failed.value.cause == "busy"
    assert clock.now <= NOON + timedelta(seconds=61)


def test_a_dead_workers_turn_comes_back(sessions: Sessions) -> None:
    clock = Clock()
    with sessions.begin() as session:
        row = HostTurn(
            host="books.test", free_at=NOON + timedelta(seconds=20), holder="dead"
        )
        session.add(row)

    with Turns(sessions, clock=clock, sleep=clock.sleep)("books.test"):
        assert clock.now >= NOON + timedelta(seconds=20)


def test_hosts_in_the_house_are_spared(sessions: Sessions) -> None:
    settings = Settings(fetch_allow=("127.0.0.1:80", "[::1]:81", "koha.test:82"))
    fetcher = polite(sessions, settings)

    for host in ("127.0.0.1", "::1", "koha.test"):
        with fetcher.turn(host), fetcher.turn(host):
            pass

    with reading(sessions) as session:
        assert session.scalars(select(HostTurn)).all() == []


@pytest.mark.slow
def test_many_feeds_on_one_host_are_read_one_by_one(
    sessions: Sessions, site: Site
) -> None:
    """Four workers, sixty feeds: the server sees one request at a time, with gaps."""
    now_open: list[str] = []
    overlaps: list[str] = []
    times: list[float] = []

    def page(asked: Asked) -> Answer:
        times.append(time.monotonic())
        overlaps.extend(now_open)
        now_open.append(asked.path)
        time.sleep(0.005)
        now_open.remove(asked.path)
        return Answer(b"x")

    site.serve("/feed", page)
    left = list(range(60))
    run = worker(sessions, site, left)
    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(times) == 60
    assert overlaps == []
    gaps = [b - a for a, b in zip(sorted(times), sorted(times)[1:], strict=False)]
    assert min(gaps) >= GAP.total_seconds()


def worker(sessions: Sessions, site: Site, left: list[int]) -> Callable[[], None]:
    turns = Turns(sessions, gap=GAP)
    fetcher = replace(site.fetcher(), turn=turns)

    def run() -> None:
        while left:
            try:
                left.pop()
            except IndexError:
                return
            fetch(fetcher, f"{site.url}/feed", at=NOON)

    return run
