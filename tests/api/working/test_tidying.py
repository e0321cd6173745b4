from datetime import timedelta

from sqlalchemy import select

from api.working.tasks import record_heartbeat
from api.working.tidying import tidy
from library.db import Sessions, reading
from library.tables import Heartbeat, ScheduleRun, SignedIn
from library.vocabulary import SlotState
from tests.factories import NOON, ada


def test_what_served_its_time_goes_and_the_rest_stays(sessions: Sessions) -> None:
    record_heartbeat(sessions, "gone", at=NOON - timedelta(days=2))
    record_heartbeat(sessions, "here", at=NOON)
    with sessions.begin() as session:
        patron_id = ada(session).id
        for days in (20, 1):
            session.add(
                ScheduleRun(
                    name="harvest",
                    slot=NOON - timedelta(days=days),
                    due_at=NOON,
                    state=SlotState.DONE,
                    ended_at=NOON - timedelta(days=days),
                )
            )
            session.add(
                SignedIn(
                    token_hash=str(days),
                    patron_id=patron_id,
                    expires_at=NOON + timedelta(days=3 - days),
                    created_at=NOON,
                )
            )

    report = tidy(sessions, at=NOON)

    with reading(sessions) as session:
        assert session.scalars(select(Heartbeat.worker)).all() == ["here"]
        assert len(session.scalars(select(ScheduleRun)).all()) == 1
        assert session.scalars(select(SignedIn.token_hash)).all() == ["1"]
    assert report.removed == {
        "heartbeat": 1,
        "schedule_run": 1,
        "call_count": 0,
        "idempotency_key": 0,
        "sign_in": 0,
        "signed_in": 1,
    }


def test_a_turn_still_to_do_is_never_cleared_away(sessions: Sessions) -> None:
    with sessions.begin() as session:
        session.add(
            ScheduleRun(name="harvest", slot=NOON - timedelta(days=99), due_at=NOON)
        )

    assert tidy(sessions, at=NOON).removed["schedule_run"] == 0
