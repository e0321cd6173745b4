"""Jobs: long work, how far it is, and asking it to stop."""

from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from api.auth.keys import KeyCaller
from api.rest.blueprint import part
from api.rest.doors import reads, writes
from api.rest.fields import Out
from api.rest.lists import listed
from api.rest.protocol.paging import PageIn
from library.errors import Conflict, NotAllowed, NotFound
from library.tables import Job
from library.vocabulary import JobState

bp = part("jobs")
_OVER = frozenset([JobState.DONE, JobState.FAILED, JobState.STOPPED])


class JobOut(Out):
    """A long piece of work."""

    id: int
    kind: str
    state: JobState
    done: int
    total: int | None
    error: str | None
    stop_asked: bool
    created_at: datetime
    ended_at: datetime | None


class JobsOut(Out):
    """A page of jobs."""

    items: list[JobOut]


@bp.get("/jobs")
@reads("jobs")
@bp.input(PageIn, location="query")
@bp.output(JobsOut)
def list_jobs(
    session: Session, caller: KeyCaller, query_data: PageIn
) -> tuple[dict[str, Any], int, dict[str, str]]:
    """List jobs, the newest first; a key of one branch sees its owner's."""
    rows = select(Job)
    if caller.branch_id is not None:
        rows = rows.where(Job.staff_id == caller.staff_id)
    return listed(
        session, rows, Job.id, query_data, JobOut.model_validate, newest_first=True
    )


@bp.get("/jobs/<int:job_id>")
@reads("jobs")
@bp.output(JobOut)
def get_job(session: Session, caller: KeyCaller, job_id: int) -> Job:
    """Return a job: how much is done, of how much."""
    return _find(session, caller, job_id)


@bp.post("/jobs/<int:job_id>/stop")
@writes("jobs")
@bp.output(JobOut, status_code=202)
def stop(session: Session, caller: KeyCaller, job_id: int) -> Job:
    """Ask a job to stop at the next safe point."""
    job = _find(session, caller, job_id)
    if job.state in _OVER:
        raise Conflict(f"job {job_id} is {job.state.value} already")
    job.stop_asked = True
    return job


def _find(session: Session, caller: KeyCaller, job_id: int) -> Job:
    job = session.get(Job, job_id)
    if job is None:
        raise NotFound(f"no job {job_id}")
    if caller.branch_id is not None and job.staff_id != caller.staff_id:
        raise NotAllowed("this job is somebody else's")
    return job
