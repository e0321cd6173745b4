import subprocess
import sys
from datetime import timedelta

import pytest
from sqlalchemy import select

from api.working.claims import claim_turn
from api.working.leftovers import take_back, take_back_from
from api.working.naming import is_dead, worker_name
from library.db import Sessions, reading
from library.runtime import Runtime
from library.settings import Settings
from library.tables import Delivery, ScheduleRun
from library.vocabulary import Channel, DeliveryState, Purpose, SlotState
from notifier.fence import Fence
from notifier.outcomes import AMBIGUOUS_WAIT
from tests.factories import NOON, ada

LEASE_END = NOON + timedelta(minutes=15)


@pytest.fixture(scope="module")
def dead() -> str:
    """The name of a worker of this machine that is gone."""
    ended = subprocess.run(
        [
            sys.executable,
            "-c",
            "from api.working.naming import *; print(worker_name())",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    return ended.stdout.strip()


def test_a_process_that_ended_is_dead_and_this_one_lives(dead: str) -> None:
    assert is_dead(dead)
    assert not is_dead(worker_name())


@pytest.mark.parametrize(
    "name", ["elsewhere-1.1.abc", "", "a", "a.b.c"], ids=lambda name: name or "none"
)
def test_of_other_machines_nothing_is_known(name: str) -> None:
    assert not is_dead(name)


def test_a_turn_of_a_dead_worker_is_due_at_once(
    settings: Settings, sessions: Sessions, dead: str
) -> None:
    with sessions.begin() as session:
        session.add(ScheduleRun(id=1, name="harvest", slot=NOON, due_at=NOON))
    claim_turn(sessions, 1, worker=dead, at=NOON)

    take_back(Runtime(settings, sessions), at=NOON)

    with reading(sessions) as session:
        assert session.get_one(ScheduleRun, 1).state == SlotState.DUE


@pytest.mark.parametrize(
    ("smtp_url", "left", "expected"),
    [
        pytest.param("", False, NOON, id="a file not begun"),
        pytest.param("", True, NOON, id="a file begun is written over"),
        pytest.param("smtp://h", False, NOON, id="a mail not begun"),
        pytest.param(
            "smtp://h", True, NOON + AMBIGUOUS_WAIT, id="a mail that may be out rests"
        ),
    ],
)
def test_a_delivery_of_a_dead_worker_waits_no_longer_than_it_must(
    settings: Settings,
    sessions: Sessions,
    dead: str,
    smtp_url: str,
    left: bool,
    expected: object,
) -> None:
    _add_delivery(sessions, worker=dead, left=left)

    take_back(
        Runtime(Settings(home=settings.home, smtp_url=smtp_url), sessions), at=NOON
    )

    assert _due_at(sessions) == expected


@pytest.mark.parametrize(
    ("came_to", "expected"),
    [("marked", NOON), ("leaving", NOON + AMBIGUOUS_WAIT), ("sent", NOON)],
)
def test_only_a_message_that_was_leaving_rests(
    settings: Settings,
    sessions: Sessions,
    dead: str,
    came_to: str,
    expected: object,
) -> None:
    _add_delivery(sessions, worker=dead, left=True)
    fence = Fence(settings.home)
    fence.marked(["<1@test>"], at=NOON)
    if came_to != "marked":
        fence.leaving("<1@test>", at=NOON)
    if came_to == "sent":
        fence.sent("<1@test>", at=NOON)
    fence.close()

    own = Settings(home=settings.home, smtp_url="smtp://h")
    take_back(Runtime(own, sessions), at=NOON)

    assert _due_at(sessions) == expected


def test_a_living_workers_delivery_stays_its_own(
    settings: Settings, sessions: Sessions
) -> None:
    _add_delivery(sessions, worker=worker_name(), left=False)

    take_back(Runtime(settings, sessions), at=NOON)

    assert _due_at(sessions) == LEASE_END


def test_who_leaves_hands_back_what_it_did_not_finish(
    settings: Settings, sessions: Sessions
) -> None:
    own = worker_name()  # it lives: nobody could tell from its number
    _add_delivery(sessions, worker=own, left=False)

    take_back_from(Runtime(settings, sessions), own, at=NOON)

    assert _due_at(sessions) == NOON


def _add_delivery(sessions: Sessions, *, worker: str, left: bool) -> None:
    with sessions.begin() as session:
        session.add(
            Delivery(
                patron_id=ada(session).id,
                purpose=Purpose.DIGEST,
                channel=Channel.EMAIL,
                state=DeliveryState.SENDING,
                due_at=LEASE_END,
                not_after=NOON + timedelta(days=1),
                data_at=NOON if left else None,
                worker=worker,
                attempts=1,
                message_id="<1@test>",
                created_at=NOON,
            )
        )


def _due_at(sessions: Sessions) -> object:
    with reading(sessions) as session:
        return session.scalars(select(Delivery.due_at)).one()
