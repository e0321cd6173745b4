"""Ringing: tell a worker, with ids and nothing else, that stored rows are waiting.

The rows are the truth. A ring may be lost, doubled or late; the sweeper rings again.
"""

import logging
from collections.abc import Callable
from typing import NamedTuple

from celery import Celery

HARVEST, LEARN, NOTIFY = QUEUES = ("harvest", "learn", "notify")

QUEUE_OF = {
    "harvest": HARVEST,
    "import": HARVEST,
    "infer": LEARN,
    "train": LEARN,
    "match": LEARN,
    "shelves": LEARN,
    "alert": NOTIFY,
    "warn": NOTIFY,
    "bounces": NOTIFY,
    "canary": NOTIFY,
    "erasures": NOTIFY,
    "tidy": NOTIFY,
}
"""Which queue's workers do which kind of work."""

TURN = "hamkhan.turn"
JOB = "hamkhan.job"
DELIVER = "hamkhan.deliver"
HEARTBEAT = "hamkhan.heartbeat"

logger = logging.getLogger(__name__)


class Call(NamedTuple):
    """One ring: which task, for which row, in which queue."""

    task: str
    row_id: int | None
    queue: str


Ring = Callable[[Call], None]


def turn_call(run_id: int, name: str) -> Call:
    """Call for one turn of a scheduled job."""
    return Call(TURN, run_id, QUEUE_OF[name])


def job_call(job_id: int, kind: str) -> Call:
    """Call for a job that somebody asked for."""
    return Call(JOB, job_id, QUEUE_OF[kind])


DELIVER_CALL = Call(DELIVER, None, NOTIFY)
"""Call for whatever deliveries are due."""


def no_ring(call: Call) -> None:
    """Tell nobody; the sweeper will find the row."""


def bell(celery: Celery) -> Ring:
    """Make a bell that rings over this application's broker, and never raises."""

    def ring(call: Call) -> None:
        args = [] if call.row_id is None else [call.row_id]
        try:
            celery.send_task(call.task, args, queue=call.queue, retry=False)
        except Exception:  # noqa: BLE001 -- any broker's own; the row is stored already
            logger.warning("%s was not rung for; the sweeper will", call.task)

    return ring
