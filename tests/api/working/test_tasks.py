import pytest
from sqlalchemy import select

from api.working.bell import DELIVER_CALL, QUEUE_OF, Call, no_ring
from api.working.tasks import _work, do_job, do_turn, queue_job
from library.db import Sessions, reading
from library.runtime import Runtime
from library.settings import Settings
from library.tables import Job, ScheduleRun
from library.vocabulary import JobState, SlotState
from tests.factories import NOON, make_source


@pytest.fixture
def runtime(settings: Settings, sessions: Sessions) -> Runtime:
    return Runtime(settings, sessions)


def test_a_turn_is_done_once(runtime: Runtime) -> None:
    run_id = _add_turn(runtime.sessions, "harvest")

    first = do_turn(runtime, run_id, worker="a", ring=no_ring)
    second = do_turn(runtime, run_id, worker="b", ring=no_ring)

    assert (first, second) == (True, False)
    assert _turn(runtime.sessions).state == SlotState.DONE


def test_alerts_ring_for_their_delivery(runtime: Runtime) -> None:
    rung: list[Call] = []

    do_turn(runtime, _add_turn(runtime.sessions, "alert"), worker="a", ring=rung.append)

    assert _turn(runtime.sessions).state == SlotState.DONE
    assert rung == [DELIVER_CALL]


def test_a_job_that_cannot_be_done_says_why(runtime: Runtime) -> None:
    job_id = queue_job(runtime.sessions, "harvest", {"source": "nowhere"}, at=NOON)

    do_job(runtime, job_id, worker="a", ring=no_ring)

    job = _job(runtime.sessions, job_id)
    assert job.state == JobState.FAILED
    assert "nowhere" in str(job.error)


def test_a_bug_fails_the_job_and_not_the_worker(runtime: Runtime) -> None:
    job_id = queue_job(runtime.sessions, "train", {"seed": "no number"}, at=NOON)

    do_job(runtime, job_id, worker="a", ring=no_ring)

    job = _job(runtime.sessions, job_id)
    assert job.state == JobState.FAILED
    assert job.error == "ValueError: see the log"


def test_a_job_leaves_its_report(runtime: Runtime) -> None:
    with runtime.sessions.begin() as session:
        # A private address is refused before anything is sent.
        make_source(session, "acq", url="http://127.0.0.1:1/feed")
    job_id = queue_job(runtime.sessions, "harvest", {"source": "acq"}, at=NOON)

    do_job(runtime, job_id, worker="a", ring=no_ring)

    job = _job(runtime.sessions, job_id)
    assert job.state == JobState.DONE
    assert job.result is not None
    assert job.result["report"][0]["source"] == "acq"


def test_every_kind_of_work_has_its_code() -> None:
    assert all(callable(_work(name)) for name in QUEUE_OF)


def _add_turn(sessions: Sessions, name: str) -> int:
    with sessions.begin() as session:
        run = ScheduleRun(name=name, slot=NOON, due_at=NOON)
        session.add(run)
        session.flush()
        return run.id


def _turn(sessions: Sessions) -> ScheduleRun:
    with reading(sessions) as session:
        return session.scalars(select(ScheduleRun)).one()


def _job(sessions: Sessions, job_id: int) -> Job:
    with reading(sessions) as session:
        return session.get_one(Job, job_id)
