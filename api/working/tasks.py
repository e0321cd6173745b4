"""What the worker does for a ring: claim, do, settle. No Celery here."""

import importlib
import logging
from datetime import datetime
from typing import Any, cast

from sqlalchemy import select, update

from api.plain import plain
from api.working.bell import DELIVER_CALL, Ring
from api.working.claims import (
    Claim,
    JobStopped,
    claim_job,
    claim_turn,
    kept,
    settle,
)
from api.working.scheduler import A_RING, DELIVERIES_A_RING
from library.clock import utc_now
from library.db import Sessions
from library.errors import ServiceError
from library.jobs import Progress, Work, no_progress
from library.runtime import Runtime
from library.tables import Heartbeat, Job

_MODULES = {
    "harvest": "harvesters.tasks",
    "import": "harvesters.tasks",
    "infer": "recommender.tasks",
    "train": "recommender.tasks",
    "match": "recommender.tasks",
    "shelves": "recommender.tasks",
    "alert": "notifier.tasks",
    "bounces": "notifier.tasks",
    "canary": "notifier.tasks",
    "erasures": "notifier.tasks",
    "tidy": "api.working.tidying",
    "warn": "api.working.warning",
}

logger = logging.getLogger(__name__)


def do_turn(runtime: Runtime, run_id: int, *, worker: str, ring: Ring) -> bool:
    """Do one turn of a scheduled job; False when it was not ours to do."""
    claim = claim_turn(runtime.sessions, run_id, worker=worker, at=utc_now())
    return claim is not None and _do(runtime, claim, ring, no_progress)


def do_job(runtime: Runtime, job_id: int, *, worker: str, ring: Ring) -> bool:
    """Do a job somebody asked for; False when it was not ours to do."""
    claim = claim_job(runtime.sessions, job_id, worker=worker, at=utc_now())
    if claim is None:
        return False
    return _do(runtime, claim, ring, _recorded(runtime.sessions, claim))


def do_deliveries(runtime: Runtime, *, worker: str, ring: Ring) -> int:
    """Send the messages that are due, and ring again when there may be more."""
    # A worker of the other queues need not load what mail needs.
    delivery = importlib.import_module("notifier.delivery")
    report = delivery.deliver_due(
        runtime.sessions,
        runtime.settings,
        at=utc_now(),
        worker=worker,
        limit=DELIVERIES_A_RING,
        within=A_RING,
    )
    if report.more:
        ring(DELIVER_CALL)
    tried: int = report.sent + report.withheld + report.retried + report.abandoned
    return tried


def record_heartbeat(sessions: Sessions, worker: str, *, at: datetime) -> None:
    """Write that this worker answered a ring."""
    with sessions.begin() as session:
        session.merge(Heartbeat(worker=worker, at=at))


def _do(runtime: Runtime, claim: Claim, ring: Ring, progress: Progress) -> bool:
    error, stopped, report = None, False, None
    try:
        with kept(runtime.sessions, claim):
            report = _work(claim.name)(
                runtime, claim.parameters, at=utc_now(), progress=progress
            )
    except JobStopped as stop:
        error, stopped = str(stop), True
    except ServiceError as trouble:
        error = str(trouble)
    except Exception as bug:
        logger.exception("%s %d failed", claim.name, claim.row_id)
        error = f"{type(bug).__name__}: see the log"
    result = {"report": plain(report)} if claim.table is Job and report else None
    settle(
        runtime.sessions,
        claim,
        error=error,
        stopped=stopped,
        result=result,
        at=utc_now(),
    )
    if claim.name in {"alert", "canary"} and error is None:
        ring(DELIVER_CALL)
    return True


def _work(name: str) -> Work:
    """Find a kind of work, loading its stage only now: a mail worker loads no scipy."""
    stage = importlib.import_module(_MODULES[name])
    return cast(Work, stage.WORK[name])


def _recorded(sessions: Sessions, claim: Claim) -> Progress:
    def record(done: int, total: int | None) -> None:
        with sessions.begin() as session:
            session.execute(
                update(Job)
                .where(Job.id == claim.row_id, Job.worker == claim.worker)
                .values(done=done, total=total)
            )
            if session.scalar(select(Job.stop_asked).where(Job.id == claim.row_id)):
                raise JobStopped("stopped as asked")

    return record


def queue_job(
    sessions: Sessions,
    kind: str,
    parameters: dict[str, Any],
    *,
    staff_id: int | None = None,
    at: datetime,
) -> int:
    """Store a job for a worker; ring `job_call(id, kind)` once this has returned."""
    with sessions.begin() as session:
        job = Job(kind=kind, parameters=parameters, staff_id=staff_id, created_at=at)
        session.add(job)
        session.flush()
        return job.id
