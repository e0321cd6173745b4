"""Where the gate says no, every path and channel is silent, cause kept: DL1, DL25."""

from datetime import timedelta
from itertools import product

import pytest
from sqlalchemy import select, update

from library.db import Sessions, reading
from library.errors import NotAllowed
from library.settings import Settings
from library.tables import ContactPoint, Delivery, Patron
from library.vocabulary import Channel, DeliveryState, Purpose
from notifier import feeds
from notifier.asked_for import queue_confirm, queue_sign_in
from notifier.delivery import deliver_due
from notifier.previewing import preview_for, send_preview
from profiles.causes import Cause
from tests.factories import NOON, bo, make_alert, make_work
from tests.notifier.cast import (
    Outbox,
    a_digest_for_ada,
    alert,
    alerts,
    deliveries,
    matched,
    point_of,
)

EVERY = list(product(Purpose, Channel))


def a_delivery_of_every_kind(sessions: Sessions, patron_id: int) -> None:
    """Store one for each purpose and channel, as any path could, with its alert."""
    with sessions.begin() as session:
        patron = session.get_one(Patron, patron_id)
        for number, (purpose, channel) in enumerate(EVERY):
            delivery = Delivery(
                patron_id=patron_id,
                purpose=purpose,
                channel=channel,
                due_at=NOON,
                not_after=NOON + timedelta(days=1),
                message_id=f"<{number}@test>",
                created_at=NOON,
            )
            session.add(delivery)
            session.flush()
            told = make_alert(session, patron, make_work(session, f"Work {number}"))
            told.delivery_id = delivery.id


def deliver_by_every_channel(sessions: Sessions, settings: Settings) -> list[str]:
    """Deliver what is due; name the channels something left by."""
    outboxes = {channel: Outbox() for channel in Channel}
    deliver_due(sessions, settings, at=NOON, worker="w1", channels=outboxes)
    return [channel for channel, outbox in outboxes.items() if outbox.taken]


def test_of_who_agreed_to_nothing_every_path_and_channel_is_silent(
    sessions: Sessions, settings: Settings
) -> None:
    with sessions.begin() as session:
        patron = bo(session)
        session.execute(update(ContactPoint).values(stopped_at=NOON))
        matched(session, patron, ["Contact"])
        token = feeds.renew(session, patron.id)
    report = alert(sessions, settings)
    assert (alerts(sessions), deliveries(sessions)) == ([], [])
    assert report.digests == 0
    a_delivery_of_every_kind(sessions, patron.id)

    left_by = deliver_by_every_channel(sessions, settings)

    assert left_by == []
    rows = deliveries(sessions)
    assert len(rows) == len(EVERY)
    assert {row.state for row in rows} == {DeliveryState.WITHHELD}
    assert all(row.cause for row in rows)
    with reading(sessions) as session:
        assert b"Work" not in feeds.feed(session, settings, token, at=NOON).body


def test_a_stopped_contact_point_gets_nothing_from_any_path(
    sessions: Sessions, settings: Settings
) -> None:
    a_digest_for_ada(sessions, settings)
    with sessions.begin() as session:
        patron = session.scalars(select(Patron)).one()
        queue_confirm(session, settings, point_of(session, patron), at=NOON)
        link = f"{settings.base_url}/x"
        queue_sign_in(session, settings, patron.id, link=link, code="1", at=NOON)
        shown = preview_for(session, settings, patron.id, at=NOON)
        session.execute(update(ContactPoint).values(stopped_at=NOON))
    a_delivery_of_every_kind(sessions, patron.id)

    left_by = deliver_by_every_channel(sessions, settings)

    assert set(left_by) <= {Channel.PAGE, Channel.FEED}
    mails = [one for one in deliveries(sessions) if one.channel is Channel.EMAIL]
    assert len(mails) == 3 + len(Purpose)
    assert {one.state for one in mails} == {DeliveryState.WITHHELD}
    assert {one.cause for one in mails} == {Cause.STOPPED}
    with pytest.raises(NotAllowed, match="was stopped"):
        send_preview(sessions, settings, shown, "ada@patrons.test")
    assert not settings.mail.exists()
