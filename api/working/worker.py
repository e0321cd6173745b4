"""The Celery application: its broker, its settings, its four thin tasks.

Messages hold ids only. What a task does is in `api.working.tasks`, which claims the row
first: a ring may come twice, late or never.
"""

from functools import partial
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from celery import Celery
from kombu import Exchange, Queue

from api.working.bell import DELIVER, HEARTBEAT, JOB, NOTIFY, QUEUES, TURN, bell
from api.working.tasks import do_deliveries, do_job, do_turn, record_heartbeat
from library.clock import utc_now
from library.runtime import Runtime
from library.settings import Settings

IN_PROCESS: Final = "memory://localhost"
BETWEEN_PROCESSES: Final = "filesystem://localhost"

DELIVER_WITHIN: Final = 720
"""Seconds; below the lease of a delivery, 15 minutes."""

# Whoever rings does not wait for a broker that is away: the row is stored already.
_HASTE: Final = {"max_retries": 1, "interval_start": 0, "interval_step": 0.1}

_EXCHANGE: Final = Exchange("hamkhan", type="direct")

_COMMON: Final[dict[str, Any]] = {
    "accept_content": ["json"],
    "task_serializer": "json",
    "timezone": "UTC",
    "enable_utc": True,
    "task_ignore_result": True,
    "task_acks_late": True,
    "task_reject_on_worker_lost": True,
    "worker_prefetch_multiplier": 1,
    "worker_max_tasks_per_child": 500,
    "worker_soft_shutdown_timeout": 20.0,
    "worker_hijack_root_logger": False,
    "worker_enable_remote_control": False,
    "worker_cancel_long_running_tasks_on_connection_loss": False,
    "broker_connection_retry_on_startup": True,
    "broker_connection_timeout": 4.0,
    "task_default_queue": NOTIFY,
}


def broker_of(settings: Settings, *, apart: bool) -> str:
    """Return the broker's address.

    Args:
        settings: The installation's; a broker set there is used.
        apart: Whether web and worker are two processes on this machine.
    """
    return settings.broker_url or (BETWEEN_PROCESSES if apart else IN_PROCESS)


def make_celery(
    settings: Settings, *, apart: bool = False, listens_to: tuple[str, ...] = QUEUES
) -> Celery:
    """Make the application; it can ring, and with `add_tasks` also work.

    Args:
        settings: The installation's.
        apart: Whether web and worker are two processes on this machine.
        listens_to: The queues a worker of it reads.
    """
    broker = broker_of(settings, apart=apart)
    celery = Celery("hamkhan", broker=broker, set_as_current=False)
    celery.conf.update(_COMMON)
    celery.conf.update(_transport(settings, broker))
    celery.conf.task_queues = [
        Queue(name, _EXCHANGE, routing_key=name) for name in listens_to
    ]
    return celery


def own_queue(celery: Celery, worker: str) -> str:
    """Let a worker also read a queue of its own, for its heartbeat; return its name."""
    name = f"heartbeat.{worker}"
    arguments = (
        {"x-queue-type": "classic", "x-expires": 600_000} if _is_amqp(celery) else {}
    )
    queue = Queue(name, _EXCHANGE, routing_key=name, queue_arguments=arguments)
    celery.conf.task_queues = [*celery.conf.task_queues, queue]
    return name


def add_tasks(celery: Celery, runtime: Runtime, *, worker: str) -> None:
    """Give the application its tasks, for a worker of this name."""
    ring = bell(celery)

    def turn(run_id: int) -> None:
        do_turn(runtime, run_id, worker=worker, ring=ring)

    def job(job_id: int) -> None:
        do_job(runtime, job_id, worker=worker, ring=ring)

    def deliver() -> None:
        do_deliveries(runtime, worker=worker, ring=ring)

    def heartbeat() -> None:
        record_heartbeat(runtime.sessions, worker, at=utc_now())

    give = partial(celery.task, shared=False, lazy=False)
    # Long work acknowledges early: the lease in its row brings it back, and a broker
    # must not lose patience with an acknowledgement that takes hours.
    give(name=TURN, acks_late=False)(turn)
    give(name=JOB, acks_late=False)(job)
    give(name=DELIVER, time_limit=DELIVER_WITHIN)(deliver)
    give(name=HEARTBEAT)(heartbeat)


def _is_amqp(celery: Celery) -> bool:
    return urlsplit(str(celery.conf.broker_url)).scheme.startswith("amqp")


def _transport(settings: Settings, broker: str) -> dict[str, Any]:
    scheme = urlsplit(broker).scheme
    if scheme.startswith("amqp"):
        return {
            "task_default_queue_type": "quorum",
            "broker_transport_options": {**_HASTE, "confirm_publish": True},
        }
    if scheme.startswith("redis"):
        # Longer than any task that acknowledges late; there is no ETA to outlast.
        return {"broker_transport_options": {**_HASTE, "visibility_timeout": 3600}}
    options: dict[str, Any] = {"polling_interval": 0.1}
    if scheme == "filesystem":
        folder = _private(settings.home / "queue")
        options |= {
            "data_folder_in": str(folder),
            "data_folder_out": str(folder),
            "control_folder": str(_private(folder / "control")),
        }
    return {"broker_transport_options": options}


def _private(folder: Path) -> Path:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder
