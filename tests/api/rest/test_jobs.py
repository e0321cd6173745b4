import pytest
from sqlalchemy import select

from library.db import Sessions, reading
from library.staff import create_staff
from library.tables import Job, Staff
from library.vocabulary import JobState
from tests.api.rest.client import ApiClient, key_of
from tests.factories import NOON, make_branch


def _job(sessions: Sessions, state: JobState, staff_id: int | None = None) -> int:
    with sessions.begin() as session:
        job = Job(
            kind="harvest",
            state=state,
            done=3,
            total=9,
            staff_id=staff_id,
            created_at=NOON,
        )
        session.add(job)
        session.flush()
        return job.id


def test_a_job_tells_how_far_it_is(api: ApiClient, sessions: Sessions) -> None:
    job_id = _job(sessions, JobState.RUNNING)
    shown = api.get(f"/jobs/{job_id}").get_json()
    assert (shown["done"], shown["total"], shown["state"]) == (3, 9, "running")
    assert [job["id"] for job in api.get("/jobs").get_json()["items"]] == [job_id]


@pytest.mark.parametrize(
    ("state", "status", "asked"),
    [
        pytest.param(JobState.RUNNING, 202, True, id="running"),
        pytest.param(JobState.QUEUED, 202, True, id="waiting"),
        pytest.param(JobState.DONE, 409, False, id="over"),
    ],
)
def test_a_job_is_asked_to_stop(
    api: ApiClient, sessions: Sessions, state: JobState, status: int, asked: bool
) -> None:
    job_id = _job(sessions, state)
    assert api.post(f"/jobs/{job_id}/stop").status_code == status
    with reading(sessions) as session:
        assert session.scalars(select(Job.stop_asked)).one() is asked


def test_a_key_of_one_branch_sees_its_owners_jobs(
    api: ApiClient, sessions: Sessions
) -> None:
    with sessions.begin() as session:
        north = make_branch(session, "north").id
        other = create_staff(session, "other@x.test", "Other", at=NOON).id
    northern = ApiClient(api.app, key_of(sessions, branch_id=north))
    with reading(sessions) as session:
        owner = session.scalars(select(Staff.id).where(Staff.branch_id == north)).one()
    own, foreign = (_job(sessions, JobState.RUNNING, who) for who in (owner, other))

    assert [job["id"] for job in northern.get("/jobs").get_json()["items"]] == [own]
    assert northern.get(f"/jobs/{foreign}").status_code == 403
    assert northern.post(f"/jobs/{foreign}/stop").status_code == 403
