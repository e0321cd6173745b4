"""FR3, FR4, FR11: the service's own processes under kills, lost rings and cuts."""

import shutil
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import redis
from sqlalchemy import ColumnElement, func, make_url, select, update

from library.clock import utc_now
from library.db import Sessions, make_engine, make_sessions, reading
from library.settings import Settings
from library.tables import Delivery
from library.vocabulary import DeliveryState
from notifier.delivery import deliver_due
from notifier.outcomes import AMBIGUOUS_WAIT
from tests import databases
from tests.command_line import begin
from tests.faults.proxy import Proxy
from tests.faults.rounds import environment
from tests.faults.runs import Run
from tests.faults.sizes import size
from tests.faults.test_delivering import copies, digests, lost, strays, tell
from tests.notifier.mail_server import HANG_AFTER, MailServer
from tests.processes import Child, children, free_port, lives

pytestmark = pytest.mark.slow

PATIENCE = 180.0
OPEN = (DeliveryState.PENDING, DeliveryState.SENDING)


@pytest.fixture
def embedded(tmp_path: Path, sqlite_template: Path) -> Iterator[Sessions]:
    """The database of an installation that needs no server."""
    engine = make_engine(databases.sqlite_copy(sqlite_template, tmp_path))
    yield make_sessions(engine)
    engine.dispose()


@pytest.fixture
def house(tmp_path: Path) -> Settings:
    url = f"sqlite:///{tmp_path / 'hamkhan.db'}"
    return replace(Settings(), home=tmp_path, database_url=url, secret="a secret")


@pytest.mark.parametrize("how", ["all in one process", "a worker apart"])
def test_fr3_the_main_process_is_killed_again_and_again(
    run: Run, embedded: Sessions, house: Settings, how: str
) -> None:
    count, kills = size(30, 2_000, 2_000), size(1, 12, 12)
    pause = size(4, 7, 7)
    words = ["run", "--port", str(free_port())]
    if how == "a worker apart":
        words = ["worker", "--processes", "1"]
    random = run.luck()
    digests(embedded, house, count)
    spread(embedded, kills * pause)
    started: set[Child] = set()
    with MailServer(run.heard()) as server:
        house = replace(house, smtp_url=server.url)
        for _ in range(kills):
            with running(house, *words) as process:
                ends = time.monotonic() + pause * random.uniform(0.85, 1.3)
                while time.monotonic() < ends:
                    started |= children(process.pid)
                    time.sleep(0.2)
                process.kill()
                process.wait()
                run.note(f"killed {words[0]}, {process.pid}")
        with running(house, *words):
            wait_until(lambda: waiting(embedded) == 0)
        settle_leftovers(embedded, house)
        tell(run, embedded, server, size=count, events=kills)

        assert lost(embedded, server) == []
        assert strays(embedded, server) == []
        assert copies(server) <= kills
    wait_until(lambda: not any(map(lives, started)))


def test_fr4_rings_that_are_lost_lose_nothing(
    run: Run, embedded: Sessions, house: Settings
) -> None:
    count = size(20, 500, 500)
    digests(embedded, house, count)
    spread(embedded, 5)

    def empty() -> int:
        rings = 0
        for path in (house.home / "queue").rglob("*.msg"):
            with suppress(FileNotFoundError):
                path.unlink()
                rings += 1
        return rings

    with MailServer(run.heard()) as server:
        house = replace(house, smtp_url=server.url)
        with running(house, "worker", "--processes", "1"):
            rings = again_and_again(empty)
            wait_until(lambda: unsent(embedded) == 0)
        tell(run, embedded, server, size=count, events=rings)

        assert rings > 0
        assert lost(embedded, server) == []
        assert copies(server) == 0


def test_fr4_a_purged_broker_loses_nothing(
    run: Run, embedded: Sessions, house: Settings, redis_broker: str
) -> None:
    count = size(20, 500, 500)
    digests(embedded, house, count)
    spread(embedded, 5)

    def purge() -> int:
        return sum(
            int(broker.delete(name))
            for name in broker.scan_iter("*")
            if broker.type(name) == b"list"
        )

    with (
        MailServer(run.heard()) as server,
        redis.Redis.from_url(redis_broker) as broker,
    ):
        house = replace(house, smtp_url=server.url, broker_url=redis_broker)
        with running(house, "worker", "--processes", "1"):
            rings = again_and_again(purge)
            wait_until(lambda: unsent(embedded) == 0)
        tell(run, embedded, server, size=count, events=rings)

        assert rings > 0
        assert lost(embedded, server) == []
        assert copies(server) == 0


def test_fr4_rings_that_cannot_be_given_lose_nothing(
    run: Run, embedded: Sessions, house: Settings, redis_broker: str
) -> None:
    """Whoever rings is turned away, so that publishing raises."""
    count = size(20, 500, 500)
    digests(embedded, house, count)
    spread(embedded, 5)
    parts = make_url(redis_broker)
    with Proxy(parts.port or 0) as proxy, MailServer(run.heard()) as server:
        through = redis_broker.replace(f":{parts.port}", f":{proxy.port}")
        house = replace(house, smtp_url=server.url, broker_url=through)
        with running(house, "worker", "--processes", "1"):
            turned_away = again_and_again(proxy.reset)
            wait_until(lambda: unsent(embedded) == 0)
        tell(run, embedded, server, size=count, events=turned_away)

        assert turned_away > 0
        assert lost(embedded, server) == []
        assert copies(server) == 0


@pytest.mark.parametrize("how", ["all in one process", "a worker apart"])
def test_told_to_stop_in_the_middle_of_a_message_it_ends_and_hands_back(
    run: Run, embedded: Sessions, house: Settings, how: str
) -> None:
    digests(embedded, house, 30)
    spread(embedded, 1)
    words = ["run", "--port", str(free_port())]
    if how == "a worker apart":
        words = ["worker", "--processes", "1"]
    silent = "patron3@patrons.test"

    def says_nothing(verb: str, recipient: str) -> str | None:
        return HANG_AFTER if (verb, recipient) == ("DATA", silent) else None

    with MailServer(run.heard(says_nothing)) as server:
        house = replace(house, smtp_url=server.url)
        with running(house, *words) as process:
            wait_until(lambda: silent in {one.recipient for one in server.taken})
            begun = time.monotonic()
            process.send_signal(signal.SIGTERM)
            process.wait(60)
            assert time.monotonic() - begun < 20
    with reading(embedded) as session:
        left = session.scalars(select(Delivery).where(Delivery.state.in_(OPEN))).all()
    assert left
    assert {one.worker for one in left} == {None}
    # What may be out rests; the lease, half as long again, need not run out.
    assert max(one.due_at for one in left) <= utc_now() + AMBIGUOUS_WAIT
    first = server.taken
    with MailServer(run.heard()) as server:
        settle_leftovers(embedded, replace(house, smtp_url=server.url))
    server.taken += first
    assert lost(embedded, server) == []
    assert copies(server) == 1


@pytest.mark.parametrize("which", ["redis_broker", "rabbitmq_broker"])
def test_fr11_a_broker_that_is_cut_off_and_comes_back(
    run: Run,
    embedded: Sessions,
    house: Settings,
    request: pytest.FixtureRequest,
    which: str,
) -> None:
    broker = request.getfixturevalue(which)
    parts = make_url(broker)
    with Proxy(parts.port or 0) as proxy:
        through = broker.replace(f":{parts.port}", f":{proxy.port}")
        house = replace(house, broker_url=through)
        cut_and_come_back(run, embedded, house, proxy)


def test_fr11_a_database_that_is_cut_off_and_comes_back(
    run: Run, postgresql: str, tmp_path: Path
) -> None:
    engine = make_engine(postgresql)
    databases.empty(engine)
    parts = make_url(postgresql)
    with Proxy(parts.port or 5432) as proxy:
        through = parts.set(host="127.0.0.1", port=proxy.port)
        url = through.render_as_string(hide_password=False)
        house = replace(Settings(), home=tmp_path, database_url=url, secret="a secret")
        cut_and_come_back(run, make_sessions(engine), house, proxy)
    engine.dispose()


def cut_and_come_back(
    run: Run, sessions: Sessions, house: Settings, proxy: Proxy
) -> None:
    """Reset and stall what the worker hangs on, under load."""
    times, pause = size(1, 3, 20), 6
    count = size(30, 500, 2_000)
    digests(sessions, house, count)
    spread(sessions, times * pause)
    with MailServer(run.heard()) as server:
        house = replace(house, smtp_url=server.url)
        with running(house, "worker", "--processes", "1") as worker:
            wait_until(lambda: len(server.taken) > 0)
            for _ in range(times):
                run.note("reset, then stalled")
                proxy.reset()
                time.sleep(pause / 2)
                proxy.stall()
                time.sleep(pause / 2)
                proxy.go_on()
                proxy.reset()
            wait_until(lambda: waiting(sessions) == 0)
            assert worker.poll() is None
        settle_leftovers(sessions, house)
        database = sessions.kw["bind"].dialect.name
        run.tell(database=database)
        tell(run, sessions, server, size=count, events=3 * times)

        assert lost(sessions, server) == []
        assert strays(sessions, server) == []
        assert copies(server) <= 2 * times


@contextmanager
def running(house: Settings, *words: str) -> Iterator[subprocess.Popen[str]]:
    """Run a command of the service, and end it."""
    path = str(Path(str(shutil.which("true"))).parent)
    given = {**environment(house), "HAMKHAN_BROKER_URL": house.broker_url}
    with begin(house.home, *words, **given, PATH=path) as process:
        reader = threading.Thread(target=process.communicate)
        reader.start()
        try:
            yield process
        finally:
            process.terminate()  # it ends what it is at, or hands it back
            reader.join(30)
            process.kill()
            reader.join()


def again_and_again(harm: Callable[[], int]) -> int:
    """Do harm for a while, counted from the first that was done; return how much was.

    A process that has just been started takes its time until there is any to do.
    """
    done, ends = 0, time.monotonic() + PATIENCE
    while time.monotonic() < ends:
        more = harm()
        if more and not done:
            ends = time.monotonic() + size(5, 60, 60)
        done += more
        time.sleep(0.01)
    return done


def spread(sessions: Sessions, seconds: float) -> None:
    """Let the deliveries fall due one after another, from now on."""
    at = utc_now()
    with sessions.begin() as session:
        ids = session.scalars(select(Delivery.id).order_by(Delivery.id)).all()
        for place, delivery_id in enumerate(ids):
            due_at = at + timedelta(seconds=seconds * place / len(ids))
            session.execute(
                update(Delivery)
                .where(Delivery.id == delivery_id)
                .values(due_at=due_at, not_after=at + timedelta(days=1))
            )


def waiting(sessions: Sessions) -> int:
    """Count what waits for nothing but a worker."""
    free = (Delivery.state == DeliveryState.PENDING, Delivery.data_at.is_(None))
    return _count(sessions, *free)


def unsent(sessions: Sessions) -> int:
    """Count what is not settled."""
    return _count(sessions, Delivery.state.in_(OPEN))


def _count(sessions: Sessions, *which: ColumnElement[bool]) -> int:
    with reading(sessions) as session:
        return session.scalar(select(func.count(Delivery.id)).where(*which)) or 0


def settle_leftovers(sessions: Sessions, house: Settings) -> None:
    """Send what a dead worker held, once its lease is out."""
    at = utc_now() + timedelta(hours=1)
    local = replace(house, database_url=str(sessions.kw["bind"].url))
    deliver_due(sessions, local, at=at, worker="the next")
    with reading(sessions) as session:
        states = Counter(session.scalars(select(Delivery.state)))
    assert set(states) == {DeliveryState.SENT}, states


def wait_until(holds: Callable[[], bool]) -> None:
    """Wait until it holds, or fail."""
    ends = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < ends, "it did not come to it"
        time.sleep(0.2)
