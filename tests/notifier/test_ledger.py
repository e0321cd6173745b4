from datetime import timedelta

import pytest
from sqlalchemy.orm import Session

from library.db import Sessions, reading
from library.errors import Conflict, DeliveryFailed, NotFound
from library.settings import Settings
from library.vocabulary import ConsentPurpose, DeliveryState
from notifier import ledger
from tests.factories import NOON, cy, make_patron
from tests.notifier.cast import (
    MINUTE,
    Outbox,
    a_digest_for_ada,
    alert,
    alerts,
    deliver,
    deliveries,
    matched,
    only,
)
from tests.races import meanwhile

HOUR = timedelta(hours=1)


def rows(sessions: Sessions, **wanted: object) -> list[ledger.LedgerRow]:
    with reading(sessions) as session:
        return ledger.ledger(session, **wanted)  # type: ignore[arg-type]


def test_a_sent_message_shows_where_it_went_and_what_was_answered(
    sessions: Sessions, settings: Settings
) -> None:
    delivery_id = a_digest_for_ada(sessions, settings)
    deliver(sessions, settings, Outbox())

    (row,) = rows(sessions)
    assert (row.delivery_id, row.address) == (delivery_id, "ada@patrons.test")
    assert (row.state, row.attempts) == (DeliveryState.SENT, 1)
    assert row.alerts == [one.id for one in alerts(sessions)]
    assert row.answer == "250 taken"
    assert row.subject


def test_what_waits_shows_where_it_would_go(
    sessions: Sessions, settings: Settings
) -> None:
    a_digest_for_ada(sessions, settings)

    (row,) = rows(sessions)
    assert (row.address, row.state) == ("ada@patrons.test", DeliveryState.PENDING)
    assert row.subject is None


def test_other_branches_messages_crowd_out_none_of_a_branchs(
    sessions: Sessions, settings: Settings
) -> None:
    with sessions.begin() as session:
        navid = make_patron(
            session, "Navid", branch="north", consents=tuple(ConsentPurpose)
        )
        matched(session, navid, ["Contact"])
    alert(sessions, settings)
    with sessions.begin() as session:
        matched(session, cy(session), ["Solaris"])
    alert(sessions, settings)

    (newest,) = rows(sessions, limit=1)
    (norths,) = rows(sessions, limit=1, branch_id=navid.branch_id)

    assert norths.patron_id == navid.id != newest.patron_id


def test_the_newest_first_one_patron_one_state_or_a_page(
    sessions: Sessions, settings: Settings
) -> None:
    first = a_digest_for_ada(sessions, settings)
    deliver(sessions, settings, Outbox(DeliveryFailed("550 5.1.1 x", permanent=True)))
    with sessions.begin() as session:
        patron = cy(session)
        matched(session, patron, ["Solaris"])
    alert(sessions, settings)
    second = deliveries(sessions)[1].id

    assert [one.delivery_id for one in rows(sessions)] == [second, first]
    assert [one.delivery_id for one in rows(sessions, patron_id=patron.id)] == [second]
    assert [one.delivery_id for one in rows(sessions, limit=1)] == [second]
    assert [one.delivery_id for one in rows(sessions, before=second)] == [first]
    abandoned = rows(sessions, state=DeliveryState.ABANDONED)
    assert [(one.delivery_id, one.cause) for one in abandoned] == [
        (first, "550 5.1.1 x")
    ]


def test_delivered_again_it_is_a_row_and_a_message_of_its_own(
    sessions: Sessions, settings: Settings
) -> None:
    first = a_digest_for_ada(sessions, settings)
    outbox = Outbox()
    deliver(sessions, settings, outbox)
    with sessions.begin() as session:
        again = ledger.resend(session, first, NOON + HOUR)
    deliver(sessions, settings, outbox, at=NOON + HOUR)

    one, two = outbox.taken
    assert one.message_id != two.message_id
    assert two.message_id == again.message_id
    assert one.subject == two.subject
    assert [row.alerts for row in rows(sessions)] == [rows(sessions)[1].alerts] * 2


def test_what_is_still_on_its_way_is_not_sent_again(
    sessions: Sessions, settings: Settings
) -> None:
    delivery_id = a_digest_for_ada(sessions, settings)

    with pytest.raises(Conflict), sessions.begin() as session:
        ledger.resend(session, delivery_id, NOON)


def test_pressed_twice_at_once_it_is_sent_again_once(
    sessions: Sessions, settings: Settings
) -> None:
    first = a_digest_for_ada(sessions, settings)
    deliver(sessions, settings, Outbox())

    def again(session: Session) -> None:
        ledger.resend(session, first, NOON + HOUR)

    with pytest.raises(Conflict, match="still on its way"):
        meanwhile(sessions, again, again)
    assert len(deliveries(sessions)) == 2

    outbox = Outbox()
    deliver(sessions, settings, outbox, at=NOON + HOUR)
    with sessions.begin() as session:  # when it has gone it may go once more
        ledger.resend(session, deliveries(sessions)[-1].id, NOON + HOUR)
    assert len(outbox.taken) == 1


def test_cancelled_it_never_goes(sessions: Sessions, settings: Settings) -> None:
    delivery_id = a_digest_for_ada(sessions, settings)
    with sessions.begin() as session:
        ledger.cancel(session, delivery_id, NOON)
    outbox = Outbox()

    deliver(sessions, settings, outbox, at=NOON + MINUTE)

    assert outbox.taken == []
    assert (only(sessions).state, only(sessions).cause) == (
        DeliveryState.WITHHELD,
        "cancelled",
    )
    with pytest.raises(Conflict), sessions.begin() as session:
        ledger.cancel(session, delivery_id, NOON)


def test_there_must_be_such_a_delivery(sessions: Sessions) -> None:
    with pytest.raises(NotFound), sessions.begin() as session:
        ledger.cancel(session, 404, NOON)


@pytest.mark.parametrize(
    ("address", "shown"),
    [("ada@patrons.test", "a…@patrons.test"), (None, ""), ("x", "")],
)
def test_an_address_is_masked(address: str | None, shown: str) -> None:
    assert ledger.masked(address) == shown
