from datetime import timedelta
from threading import Barrier, Thread

import pytest
from sqlalchemy import select

from api.working import claims
from api.working.claims import (
    ATTEMPTS,
    LEASE,
    Claim,
    claim_job,
    claim_turn,
    hand_back,
    kept,
    renew,
    settle,
)
from api.working.listening import wait_until
from api.working.tasks import queue_job
from library.db import Sessions, reading
from library.tables import Job, ScheduleRun
from library.vocabulary import JobState, SlotState
from tests.factories import NOON

LATER = NOON + LEASE


def test_a_turn_is_claimed_once_until_its_lease_ends(sessions: Sessions) -> None:
    run_id = _add_turn(sessions)

    first = claim_turn(sessions, run_id, worker="a", at=NOON)
    second = claim_turn(sessions, run_id, worker="b", at=LATER - timedelta(seconds=1))
    third = claim_turn(sessions, run_id, worker="b", at=LATER)

    assert first == Claim(ScheduleRun, run_id, "harvest", {}, "a")
    assert second is None
    assert third is not None
    assert _turn(sessions, run_id).attempts == 2


def test_a_job_is_claimed_once_until_its_lease_ends(sessions: Sessions) -> None:
    job_id = queue_job(sessions, "harvest", {"source": "acq"}, at=NOON)

    first = claim_job(sessions, job_id, worker="a", at=NOON)
    second = claim_job(sessions, job_id, worker="b", at=NOON)
    third = claim_job(sessions, job_id, worker="b", at=LATER)

    assert first == Claim(Job, job_id, "harvest", {"source": "acq"}, "a")
    assert second is None
    assert third is not None


def test_of_many_workers_one_gets_the_turn(sessions: Sessions) -> None:
    run_id = _add_turn(sessions)
    together = Barrier(6)
    got: list[str] = []

    def work(worker: str) -> None:
        together.wait()
        if claim_turn(sessions, run_id, worker=worker, at=NOON):
            got.append(worker)

    threads = [Thread(target=work, args=(name,)) for name in "abcdef"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(got) == 1


def test_a_turn_that_keeps_killing_workers_is_no_longer_claimed(
    sessions: Sessions,
) -> None:
    run_id = _add_turn(sessions)
    for attempt in range(ATTEMPTS):
        assert claim_turn(sessions, run_id, worker="a", at=NOON + attempt * LEASE)

    assert not claim_turn(sessions, run_id, worker="a", at=NOON + ATTEMPTS * LEASE)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        pytest.param(None, SlotState.DONE, id="done"),
        pytest.param("no answer", SlotState.FAILED, id="failed"),
    ],
)
def test_a_turn_is_settled(
    sessions: Sessions, error: str | None, expected: SlotState
) -> None:
    run_id = _add_turn(sessions)
    claim = _claimed(claim_turn(sessions, run_id, worker="a", at=NOON))

    settled = settle(sessions, claim, error=error, at=LATER)

    row = _turn(sessions, run_id)
    assert settled
    assert (row.state, row.error, row.ended_at) == (expected, error, LATER)


def test_who_slept_past_the_lease_settles_nothing(sessions: Sessions) -> None:
    job_id = queue_job(sessions, "train", {}, at=NOON)
    sleeper = _claimed(claim_job(sessions, job_id, worker="a", at=NOON))
    _claimed(claim_job(sessions, job_id, worker="b", at=LATER))

    assert not settle(sessions, sleeper, error="late", at=LATER)
    assert not renew(sessions, sleeper, at=LATER)
    assert _job(sessions, job_id).state == JobState.RUNNING


def test_a_job_keeps_its_result(sessions: Sessions) -> None:
    job_id = queue_job(sessions, "train", {}, at=NOON)
    claim = _claimed(claim_job(sessions, job_id, worker="a", at=NOON))

    settle(sessions, claim, result={"loans": 3}, at=LATER)

    row = _job(sessions, job_id)
    assert (row.state, row.result) == (JobState.DONE, {"loans": 3})


def test_a_lease_is_renewed_while_the_work_goes_on(
    sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "RENEW_EVERY", 0.05)
    run_id = _add_turn(sessions)
    claim = _claimed(claim_turn(sessions, run_id, worker="a", at=NOON))

    with kept(sessions, claim):
        renewed = wait_until(lambda: _turn(sessions, run_id).due_at > LATER, 10.0)

    assert renewed


def test_a_leaving_worker_hands_back_its_own_work_only(sessions: Sessions) -> None:
    mine, others = _add_turn(sessions), _add_turn(sessions, minute=1)
    job_id = queue_job(sessions, "train", {}, at=NOON)
    claim_turn(sessions, mine, worker="a", at=NOON)
    claim_turn(sessions, others, worker="b", at=NOON)
    claim_job(sessions, job_id, worker="a", at=NOON)

    hand_back(sessions, "a", at=NOON)

    assert _turn(sessions, mine).state == SlotState.DUE
    assert _turn(sessions, others).state == SlotState.RUNNING
    assert _job(sessions, job_id).state == JobState.QUEUED


def _claimed(claim: Claim | None) -> Claim:
    assert claim is not None
    return claim


def _add_turn(sessions: Sessions, *, minute: int = 0) -> int:
    with sessions.begin() as session:
        run = ScheduleRun(
            name="harvest", slot=NOON + timedelta(minutes=minute), due_at=NOON
        )
        session.add(run)
        session.flush()
        return run.id


def _turn(sessions: Sessions, run_id: int) -> ScheduleRun:
    with reading(sessions) as session:
        return session.scalars(
            select(ScheduleRun).where(ScheduleRun.id == run_id)
        ).one()


def _job(sessions: Sessions, job_id: int) -> Job:
    with reading(sessions) as session:
        return session.get_one(Job, job_id)
