from datetime import timedelta

import pytest
from sqlalchemy.orm import Session

from library.db import Sessions
from library.errors import NotFound
from library.tables import Delivery, Patron
from library.vocabulary import Channel, ConsentPurpose, DeliveryState, Purpose
from profiles import consent, preferences
from profiles.standing import standing
from tests.factories import NOON, ada, bo

DAY = timedelta(days=1)


def sent(
    session: Session,
    patron: Patron,
    name: str,
    *,
    purpose: Purpose = Purpose.DIGEST,
    channel: Channel = Channel.EMAIL,
    state: DeliveryState = DeliveryState.SENT,
) -> Delivery:
    row = Delivery(
        patron_id=patron.id,
        purpose=purpose,
        channel=channel,
        state=state,
        due_at=NOON,
        not_after=NOON + DAY,
        data_at=NOON if state is DeliveryState.SENDING else None,
        message_id=name,
        created_at=NOON,
        settled_at=NOON if state is DeliveryState.SENT else None,
    )
    session.add(row)
    session.flush()
    return row


def test_all_the_gate_needs_is_read_at_once(sessions: Sessions) -> None:
    with sessions.begin() as session:
        patron = ada(session)
        preferences.pause(session, patron.id, until=NOON + DAY)
        preferences.change(session, patron.id, at=NOON, quiet_from=60, quiet_to=120)
        found = standing(session, patron.id, Channel.EMAIL, at=NOON)

    assert found.active
    assert found.consents == frozenset(ConsentPurpose)
    assert found.pauses == {"all": NOON + DAY}
    assert (found.quiet_from, found.quiet_to) == (60, 120)
    assert found.contact is not None
    assert found.contact.address == "ada@patrons.test"
    assert found.contact.verified


def test_only_consent_that_is_not_withdrawn_counts(sessions: Sessions) -> None:
    with sessions.begin() as session:
        patron = ada(session)
        consent.withdraw(session, patron.id, ConsentPurpose.ALERTS, at=NOON)
        found = standing(session, patron.id, Channel.EMAIL, at=NOON)

        assert ConsentPurpose.ALERTS not in found.consents
        nobody = standing(session, bo(session).id, Channel.EMAIL, at=NOON)
        assert nobody.consents == frozenset()


def test_messages_of_the_last_week_are_counted(sessions: Sessions) -> None:
    with sessions.begin() as session:
        patron = ada(session)
        sent(session, patron, "digest")
        sent(session, patron, "campaign", purpose=Purpose.CAMPAIGN)
        sent(session, patron, "may be out", state=DeliveryState.SENDING)
        sent(session, patron, "sign-in", purpose=Purpose.SIGN_IN)
        sent(session, patron, "page", channel=Channel.PAGE)
        sent(session, patron, "waiting", state=DeliveryState.PENDING)

        def recent(days: int) -> int:
            found = standing(session, patron.id, Channel.EMAIL, at=NOON + days * DAY)
            return len(found.recent)

        assert (recent(0), recent(6), recent(7)) == (3, 3, 0)


def test_the_one_asked_for_is_not_counted(sessions: Sessions) -> None:
    with sessions.begin() as session:
        patron = ada(session)
        own = sent(session, patron, "own", state=DeliveryState.SENDING)
        found = standing(session, patron.id, Channel.EMAIL, at=NOON, besides=own.id)

    assert found.recent == ()


def test_a_membership_that_is_over_is_not_active(sessions: Sessions) -> None:
    with sessions.begin() as session:
        patron = ada(session)
        patron.expires_on = NOON.date()
        assert standing(session, patron.id, Channel.EMAIL, at=NOON).active
        assert not standing(session, patron.id, Channel.EMAIL, at=NOON + DAY).active


def test_a_page_needs_no_address(sessions: Sessions) -> None:
    with sessions.begin() as session:
        found = standing(session, ada(session).id, Channel.PAGE, at=NOON)

    assert found.contact is None


def test_nobody_has_no_standing(sessions: Sessions) -> None:
    with sessions.begin() as session, pytest.raises(NotFound):
        standing(session, 404, Channel.EMAIL, at=NOON)
