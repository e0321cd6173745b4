from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.orm import Session

from library.db import Sessions, reading
from library.errors import InvalidInput, NotFound
from library.tables import ContactPoint, Guardian, Patron
from library.vocabulary import Channel
from profiles.contacts import (
    SOFT_LIMIT,
    Health,
    Trouble,
    add,
    address_of,
    after_success,
    after_trouble,
    restart,
    stop,
    verify,
)
from tests.factories import NOON, ada, bo

HOUR = timedelta(hours=1)


def test_one_hard_bounce_warns_the_second_stops() -> None:
    once = after_trouble(Health(), Trouble.HARD, at=NOON)
    twice = after_trouble(once, Trouble.HARD, at=NOON)

    assert (once.hard, once.stopped_at) == (1, None)
    assert twice.stopped_at == NOON


def test_soft_bounces_wait_longer_each_time_and_stop_at_the_sixth() -> None:
    health, waits = Health(), []
    for _ in range(SOFT_LIMIT):
        health = after_trouble(health, Trouble.SOFT, at=NOON)
        assert health.retry_at is not None
        waits.append((health.retry_at - NOON) / HOUR)

    assert waits == [2, 4, 8, 16, 32, 64]
    assert health.stopped_at == NOON


def test_a_complaint_stops_at_once() -> None:
    assert after_trouble(Health(), Trouble.COMPLAINT, at=NOON).stopped_at == NOON


def test_success_clears_what_was_counted() -> None:
    health = after_trouble(Health(), Trouble.SOFT, at=NOON)

    assert after_success(health) == Health()


@given(st.lists(st.sampled_from([*Trouble, None]), max_size=30))
def test_it_is_stopped_by_two_hard_six_soft_in_a_row_a_complaint_or_its_end(
    events: list[Trouble | None],
) -> None:
    health, hard, soft, stopped = Health(), 0, 0, False
    for event in events:
        if event is None:
            if not stopped:
                health, hard, soft = after_success(health), 0, 0
            continue
        health = after_trouble(health, event, at=NOON)
        hard += event is Trouble.HARD
        soft += event is Trouble.SOFT
        at_once = event in {Trouble.COMPLAINT, Trouble.GONE}
        stopped = stopped or hard >= 2 or soft >= 6 or at_once

        assert (health.stopped_at is not None) == stopped


def points(session: Session, patron: Patron) -> list[ContactPoint]:
    return list(
        session.scalars(
            select(ContactPoint)
            .where(ContactPoint.patron_id == patron.id)
            .order_by(ContactPoint.id)
        )
    )


def test_a_new_address_goes_before_the_old_once_it_is_confirmed(
    sessions: Sessions,
) -> None:
    with sessions.begin() as session:
        patron = ada(session)
        new = add(session, patron.id, Channel.EMAIL, "new@x.test", at=NOON + HOUR)
        before = address_of(session, patron.id, Channel.EMAIL)
        verify(session, new.id, at=NOON + HOUR)
        after = address_of(session, patron.id, Channel.EMAIL)

    assert before is not None
    assert before.address == "ada@patrons.test"
    assert after is not None
    assert after.address == "new@x.test"


def test_a_stopped_address_gives_way_to_one_that_works(sessions: Sessions) -> None:
    with sessions.begin() as session:
        patron = ada(session)
        second = add(session, patron.id, Channel.EMAIL, "b@x.test", at=NOON + HOUR)
        verify(session, second.id, at=NOON)
        stop(session, second.id, at=NOON)
        found = address_of(session, patron.id, Channel.EMAIL)

    assert found is not None
    assert found.address == "ada@patrons.test"


def test_a_childs_messages_go_to_the_guardian(sessions: Sessions) -> None:
    with sessions.begin() as session:
        child, guardian = ada(session), bo(session)
        session.add(Guardian(patron_id=child.id, guardian_id=guardian.id))
        session.flush()
        found = address_of(session, child.id, Channel.EMAIL)

    assert found is not None
    assert found.address == "bo@patrons.test"


def test_a_family_may_share_an_address(sessions: Sessions) -> None:
    with sessions.begin() as session:
        for patron in (ada(session), bo(session)):
            add(session, patron.id, Channel.EMAIL, "family@x.test", at=NOON)
    with reading(sessions) as session:
        shared = select(ContactPoint).where(ContactPoint.address == "family@x.test")
        assert len(session.scalars(shared).all()) == 2


def test_adding_an_address_twice_adds_one(sessions: Sessions) -> None:
    with sessions.begin() as session:
        patron = ada(session)
        first = add(session, patron.id, Channel.EMAIL, " a@x.test ", at=NOON)
        second = add(session, patron.id, Channel.EMAIL, "a@x.test", at=NOON)

    assert first.id == second.id


def test_verifying_starts_a_stopped_address_again(sessions: Sessions) -> None:
    with sessions.begin() as session:
        (point,) = points(session, ada(session))
        point.hard = 2
        stop(session, point.id, at=NOON)
        verify(session, point.id, at=NOON + HOUR)

    assert (point.stopped_at, point.hard) == (None, 0)
    assert point.verified_at == NOON + HOUR


def test_there_must_be_such_a_contact_point(sessions: Sessions) -> None:
    with pytest.raises(NotFound), sessions.begin() as session:
        restart(session, 404)


def test_what_is_no_address_is_refused(sessions: Sessions) -> None:
    with pytest.raises(InvalidInput), sessions.begin() as session:
        add(session, ada(session).id, Channel.EMAIL, "no address", at=NOON)
