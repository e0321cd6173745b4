from datetime import UTC, datetime, timedelta
from threading import Barrier, Event, Thread

import pytest
from sqlalchemy import func, select, update

from api.working.bell import DELIVER_CALL, HEARTBEAT, Call, job_call, turn_call
from api.working.claims import ATTEMPTS
from api.working.scheduler import (
    DEAF_AFTER,
    DELIVERIES_A_RING,
    Beat,
    Recurring,
    give_up,
    heard_at,
    keep_time,
    next_slot,
    rows_due,
    take_turns,
)
from api.working.tasks import queue_job, record_heartbeat
from library.clock import utc_now
from library.db import Sessions, reading
from library.runtime import Runtime
from library.settings import Settings
from library.tables import Delivery, Job, Schedule, ScheduleRun
from library.vocabulary import Channel, DeliveryState, JobState, Purpose, SlotState
from tests.factories import NOON, ada

HALF_HOURLY = Recurring("harvest", every=timedelta(minutes=30))
NIGHTLY = Recurring("shelves", hour=3)
FRIDAYS = Recurring("train", hour=1, weekday=4)


@pytest.mark.parametrize(
    ("job", "after", "zone", "expected"),
    [
        pytest.param(
            HALF_HOURLY,
            NOON,
            "UTC",
            NOON + timedelta(minutes=30),
            id="an interval counts from its slot",
        ),
        pytest.param(
            HALF_HOURLY,
            NOON + timedelta(days=3, minutes=1),
            "UTC",
            NOON + timedelta(days=3, minutes=30),
            id="after three days down one turn, not 144",
        ),
        pytest.param(
            NIGHTLY,
            NOON,
            "UTC",
            datetime(2026, 3, 2, 3, tzinfo=UTC),
            id="tonight is tomorrow at three",
        ),
        pytest.param(
            NIGHTLY,
            datetime(2026, 3, 1, 23, 0, tzinfo=UTC),
            "Asia/Tehran",
            datetime(2026, 3, 1, 23, 30, tzinfo=UTC),
            id="three in Tehran is half past eleven in London",
        ),
        pytest.param(
            FRIDAYS,
            NOON,
            "UTC",
            datetime(2026, 3, 6, 1, tzinfo=UTC),
            id="the next Friday",
        ),
        pytest.param(
            FRIDAYS,
            datetime(2026, 3, 6, 1, tzinfo=UTC),
            "UTC",
            datetime(2026, 3, 13, 1, tzinfo=UTC),
            id="at its very moment, a week later",
        ),
    ],
)
def test_next_slot(
    job: Recurring, after: datetime, zone: str, expected: datetime
) -> None:
    assert next_slot(job, after, slot=NOON, zone=zone) == expected


def test_a_job_is_entered_and_then_takes_its_turn(sessions: Sessions) -> None:
    entered = take_turns(sessions, [HALF_HOURLY], at=NOON, zone="UTC")
    calls = take_turns(sessions, [HALF_HOURLY], at=NOON, zone="UTC")
    again = take_turns(sessions, [HALF_HOURLY], at=NOON, zone="UTC")

    assert (entered, again) == ([], [])
    assert calls == [turn_call(_only_run(sessions).id, "harvest")]
    assert _only_run(sessions).slot == NOON


def test_of_many_schedulers_one_makes_the_turn(sessions: Sessions) -> None:
    take_turns(sessions, [HALF_HOURLY], at=NOON, zone="UTC")
    together = Barrier(5)
    calls: list[Call] = []

    def schedule() -> None:
        together.wait()
        for slot in range(6):
            at = NOON + slot * timedelta(minutes=30)
            calls.extend(take_turns(sessions, [HALF_HOURLY], at=at, zone="UTC"))

    threads = [Thread(target=schedule) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    with reading(sessions) as session:
        slots = session.scalars(select(ScheduleRun.slot)).all()
    assert len(calls) == len(slots) == len(set(slots)) == 6


def test_what_was_never_rung_for_is_swept_up(sessions: Sessions) -> None:
    run_id = _add_run(sessions)
    job_id = queue_job(sessions, "train", {}, at=NOON)
    _add_delivery(sessions, due_at=NOON)

    assert rows_due(sessions, at=NOON) == [
        DELIVER_CALL,
        job_call(job_id, "train"),
        turn_call(run_id, "harvest"),
    ]


def test_what_is_not_yet_due_is_left_alone(sessions: Sessions) -> None:
    _add_run(sessions, due_at=NOON + timedelta(minutes=1))
    _add_delivery(sessions, due_at=NOON + timedelta(minutes=1))

    assert rows_due(sessions, at=NOON) == []


def test_a_dead_workers_turn_is_swept_up_when_its_lease_ends(
    sessions: Sessions,
) -> None:
    run_id = _add_run(sessions, state=SlotState.RUNNING)

    assert rows_due(sessions, at=NOON) == [turn_call(run_id, "harvest")]
    assert rows_due(sessions, at=NOON - timedelta(seconds=1)) == []


def test_a_turn_that_kills_every_worker_is_given_up(sessions: Sessions) -> None:
    _add_run(sessions, state=SlotState.RUNNING, attempts=ATTEMPTS)

    swept = rows_due(sessions, at=NOON)
    give_up(sessions, at=NOON)

    assert swept == []
    assert _only_run(sessions).state == SlotState.FAILED
    assert "given up" in str(_only_run(sessions).error)


def test_many_deliveries_get_few_rings(sessions: Sessions) -> None:
    for _ in range(2 * DELIVERIES_A_RING + 1):
        _add_delivery(sessions, due_at=NOON)

    assert rows_due(sessions, at=NOON) == [DELIVER_CALL] * 3


def test_a_tick_rings_for_turns_rows_and_the_heart(
    settings: Settings, sessions: Sessions
) -> None:
    rung: list[Call] = []
    beat = Beat(
        Runtime(settings, sessions), rung.append, "w", "w.queue", _never, [HALF_HOURLY]
    )

    beat.tick()
    beat.tick()

    run_id = _only_run(sessions).id
    assert rung == [
        Call(HEARTBEAT, None, "w.queue"),
        turn_call(run_id, "harvest"),
    ]


@pytest.mark.parametrize(
    ("heard_before", "expected"),
    [
        pytest.param(0.0, 0, id="just heard"),
        pytest.param(DEAF_AFTER + 1, 1, id="silent for three periods"),
        pytest.param(None, 1, id="never heard"),
    ],
)
def test_a_worker_that_hears_nothing_is_started_anew(
    settings: Settings,
    sessions: Sessions,
    heard_before: float | None,
    expected: int,
) -> None:
    if heard_before is not None:
        at = utc_now() - timedelta(seconds=heard_before)
        record_heartbeat(sessions, "w", at=at)
    restarts: list[str] = []
    beat = Beat(
        Runtime(settings, sessions),
        _no_ring,
        "w",
        "w.queue",
        lambda: restarts.append("anew"),
        [],
    )
    beat.listening_since -= DEAF_AFTER + 1

    beat.tick()

    assert len(restarts) == expected


@pytest.mark.parametrize(
    ("minutes_left", "expected"),
    [
        pytest.param(1, 0, id="at work"),
        pytest.param(-1, 1, id="its lease ran out"),
    ],
)
@pytest.mark.parametrize("work", ["a turn", "a job", "messages"])
def test_a_busy_worker_is_not_taken_for_deaf(
    settings: Settings, sessions: Sessions, work: str, minutes_left: int, expected: int
) -> None:
    until = utc_now() + timedelta(minutes=minutes_left)
    if work == "a turn":
        _add_run(sessions, due_at=until, state=SlotState.RUNNING, attempts=5)
        table: type[ScheduleRun | Job | Delivery] = ScheduleRun
    elif work == "a job":
        queue_job(sessions, "train", {}, at=NOON)
        table = Job
    else:
        _add_delivery(sessions, due_at=until)
        table = Delivery
    with sessions.begin() as session:
        session.execute(update(table).values(worker="w", state=_AT_WORK[table]))
        if table is Job:
            session.execute(update(Job).values(lease_until=until))
    restarts: list[str] = []
    runtime = Runtime(settings, sessions)
    beat = Beat(runtime, _no_ring, "w", "w.queue", lambda: restarts.append("anew"), [])
    beat.listening_since -= DEAF_AFTER + 1

    beat.tick()

    assert len(restarts) == expected


_AT_WORK = {
    ScheduleRun: SlotState.RUNNING,
    Job: JobState.RUNNING,
    Delivery: DeliveryState.SENDING,
}


def test_the_last_heartbeat_of_any_worker_is_known(sessions: Sessions) -> None:
    record_heartbeat(sessions, "a", at=NOON)
    record_heartbeat(sessions, "b", at=NOON - timedelta(minutes=1))
    record_heartbeat(sessions, "b", at=NOON + timedelta(minutes=1))

    assert heard_at(sessions) == heard_at(sessions, "b") == NOON + timedelta(minutes=1)
    assert heard_at(sessions, "c") is None


def test_the_schedule_outlives_a_bell_that_breaks(
    settings: Settings, sessions: Sessions
) -> None:
    stop = Event()

    def broken(call: Call) -> None:
        stop.set()
        raise ZeroDivisionError(call.task)

    keep_time(Beat(Runtime(settings, sessions), broken, "w", "q", _never, []), stop)

    assert stop.is_set()


def _never() -> None:
    raise AssertionError("nothing here is deaf")


def _no_ring(call: Call) -> None:
    pass


def _only_run(sessions: Sessions) -> ScheduleRun:
    with reading(sessions) as session:
        assert session.scalar(select(func.count()).select_from(Schedule)) in (0, 1)
        return session.scalars(select(ScheduleRun)).one()


def _add_run(
    sessions: Sessions,
    *,
    due_at: datetime = NOON,
    state: SlotState = SlotState.DUE,
    attempts: int = 0,
) -> int:
    with sessions.begin() as session:
        run = ScheduleRun(
            name="harvest", slot=NOON, due_at=due_at, state=state, attempts=attempts
        )
        session.add(run)
        session.flush()
        return run.id


def _add_delivery(sessions: Sessions, *, due_at: datetime) -> None:
    with sessions.begin() as session:
        count = session.scalar(select(func.count()).select_from(Delivery))
        patron_id = session.scalar(select(Delivery.patron_id)) or ada(session).id
        session.add(
            Delivery(
                patron_id=patron_id,
                purpose=Purpose.DIGEST,
                channel=Channel.EMAIL,
                state=DeliveryState.PENDING,
                due_at=due_at,
                not_after=due_at + timedelta(days=1),
                message_id=f"<{count}@test>",
                created_at=NOON,
            )
        )
