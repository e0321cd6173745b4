import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from time import monotonic

import pytest
from celery import Celery

from api.working.bell import DELIVER_CALL, HEARTBEAT, QUEUES, Call, bell
from api.working.listening import Consumer, wait_until, working
from api.working.scheduler import heard_at
from api.working.tasks import record_heartbeat
from api.working.worker import add_tasks, broker_of, make_celery, own_queue
from library.db import Sessions
from library.runtime import Runtime
from library.settings import Settings
from tests.factories import NOON

PATIENCE = 60.0


@pytest.fixture
def runtime(settings: Settings, sessions: Sessions) -> Runtime:
    return Runtime(settings, sessions)


@pytest.mark.parametrize(
    "broker",
    [
        pytest.param("", id="in one process"),
        pytest.param("filesystem://", id="between processes"),
        pytest.param("redis_broker", id="redis", marks=pytest.mark.slow),
        pytest.param("rabbitmq_broker", id="rabbitmq", marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_ring_is_answered_over_every_broker(
    runtime: Runtime, broker: str, request: pytest.FixtureRequest
) -> None:
    if broker.endswith("_broker"):
        broker = request.getfixturevalue(broker)
    settings = replace(runtime.settings, broker_url=broker)
    celery = make_celery(settings, listens_to=())
    queue = own_queue(celery, "w")
    add_tasks(celery, runtime, worker="w")

    with _listening(celery, "w"):
        bell(celery)(Call(HEARTBEAT, None, queue))

        assert wait_until(lambda: heard_at(runtime.sessions, "w") is not None, PATIENCE)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_the_worker_in_one_process_hears_its_own_schedule(runtime: Runtime) -> None:
    with working(runtime, threads=1):
        assert wait_until(lambda: heard_at(runtime.sessions) is not None, PATIENCE)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_consumer_can_be_started_anew(runtime: Runtime) -> None:
    celery = make_celery(runtime.settings, listens_to=())
    queue = own_queue(celery, "w")
    add_tasks(celery, runtime, worker="w")
    record_heartbeat(runtime.sessions, "w", at=NOON)

    with _listening(celery, "w") as consumer:
        consumer.restart()
        bell(celery)(Call(HEARTBEAT, None, queue))

        assert wait_until(lambda: heard_at(runtime.sessions, "w") != NOON, PATIENCE)


@pytest.mark.parametrize("scheme", ["redis", "amqp"])
def test_a_bell_without_a_broker_neither_raises_nor_waits(
    scheme: str, caplog: pytest.LogCaptureFixture
) -> None:
    ring = bell(make_celery(Settings(broker_url=f"{scheme}://127.0.0.1:1/0")))
    ring(DELIVER_CALL)  # the first one loads what it needs, which may take its time
    caplog.clear()
    begun = monotonic()

    ring(DELIVER_CALL)

    assert "the sweeper will" in caplog.text
    assert monotonic() - begun < 2.0


@pytest.mark.parametrize(
    ("url", "apart", "expected"),
    [
        pytest.param("", False, "memory://localhost", id="one process"),
        pytest.param("", True, "filesystem://localhost", id="apart"),
        pytest.param("redis://h/1", False, "redis://h/1", id="as set"),
    ],
)
def test_the_broker_follows_from_the_set_up(
    url: str, apart: bool, expected: str
) -> None:
    assert broker_of(Settings(broker_url=url), apart=apart) == expected


def test_the_queue_folder_is_nobody_elses_to_read(tmp_path: Path) -> None:
    make_celery(Settings(home=tmp_path), apart=True)

    assert stat.S_IMODE((tmp_path / "queue").stat().st_mode) == 0o700


def test_celery_is_set_as_the_design_asks() -> None:
    conf = make_celery(Settings(broker_url="amqp://h/v")).conf

    assert conf.task_acks_late
    assert conf.task_reject_on_worker_lost
    assert conf.worker_prefetch_multiplier == 1
    assert conf.accept_content == ["json"]
    assert conf.task_default_queue_type == "quorum"
    assert conf.broker_transport_options["confirm_publish"]
    assert [queue.name for queue in conf.task_queues] == list(QUEUES)


@contextmanager
def _listening(celery: Celery, worker: str) -> Iterator[Consumer]:
    consumer = Consumer(celery, worker=worker, threads=1)
    consumer.start()
    try:
        yield consumer
    finally:
        assert consumer.stop(within=PATIENCE)
