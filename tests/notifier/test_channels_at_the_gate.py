"""No channel passes the gate by, and none has a rule of its own."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from library.db import Sessions
from library.settings import Settings
from library.tables import ContactPoint, Delivery, Patron
from library.vocabulary import Channel, ConsentPurpose, DeliveryState, Purpose, Rhythm
from notifier.delivery import DeliveryReport, deliver_due
from notifier.push_keys import public_key
from profiles import contacts, devices, preferences
from profiles.causes import Cause
from profiles.consent import withdraw
from profiles.devices import Device
from tests.factories import NOON, ada
from tests.notifier.cast import Outbox, alert, matched

HOUR = timedelta(hours=1)
CARRIED = (Channel.EMAIL, Channel.PUSH, Channel.WEBHOOK)

Change = Callable[[Session, Patron], object]


def pauses(session: Session, patron: Patron) -> None:
    preferences.pause(session, patron.id, until=NOON + HOUR)


def wants_quiet(session: Session, patron: Patron) -> None:
    preferences.change(
        session, patron.id, at=NOON, quiet_from=11 * 60, quiet_to=13 * 60
    )


def wants_none(session: Session, patron: Patron) -> None:
    preferences.change(session, patron.id, at=NOON, rhythm=Rhythm.OFF)


def withdraws(session: Session, patron: Patron) -> None:
    withdraw(session, patron.id, ConsentPurpose.ALERTS, at=NOON)


def was_stopped(session: Session, patron: Patron) -> None:
    for point in session.scalars(
        select(ContactPoint).where(ContactPoint.patron_id == patron.id)
    ):
        contacts.stop(session, point.id, at=NOON)


def had_enough(session: Session, patron: Patron) -> None:
    for day in range(7):
        went = NOON - timedelta(days=6) + timedelta(hours=20 * day)
        session.add(
            Delivery(
                patron_id=patron.id,
                purpose=Purpose.CAMPAIGN,
                channel=Channel.EMAIL,
                state=DeliveryState.SENT,
                due_at=went,
                not_after=went,
                message_id=f"<{day}@x>",
                created_at=went,
                settled_at=went,
            )
        )


@pytest.fixture(params=CARRIED)
def channel(request: pytest.FixtureRequest) -> Channel:
    return Channel(request.param)


@pytest.fixture
def patron(sessions: Sessions, settings: Settings, channel: Channel) -> Patron:
    """Somebody with a way on each channel, told by this one, with a digest waiting."""
    key = public_key(settings)
    device = Device("https://push.test/1", key, "A" * 22, key)
    with sessions.begin() as session:
        patron = ada(session)
        matched(session, patron, ["Contact"])
        devices.add(session, patron.id, device, "Firefox", at=NOON)
        devices.name_to_app(session, patron.id, at=NOON)
        preferences.change(session, patron.id, at=NOON, channel=channel)
    alert(sessions, replace(settings, app_url="https://app.test/hamkhan"))
    return patron


def carry(
    sessions: Sessions,
    settings: Settings,
    outbox: Outbox,
    at: timedelta = timedelta(),
) -> DeliveryReport:
    return deliver_due(
        sessions,
        settings,
        at=NOON + at,
        worker="w1",
        channels=dict.fromkeys(CARRIED, outbox),
    )


@pytest.mark.usefixtures("patron")
def test_what_may_go_goes_by_the_chosen_channel(
    sessions: Sessions, settings: Settings, channel: Channel
) -> None:
    outbox = Outbox()

    assert carry(sessions, settings, outbox).sent == 1

    assert [message.channel for message in outbox.taken] == [channel]


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        (pauses, Cause.PAUSE),
        (wants_quiet, Cause.QUIET),
        (had_enough, Cause.CAP),
    ],
    ids=["pause", "quiet hours", "cap"],
)
def test_what_must_wait_waits_and_goes_afterwards(
    sessions: Sessions,
    settings: Settings,
    patron: Patron,
    change: Change,
    cause: Cause,
) -> None:
    with sessions.begin() as session:
        change(session, patron)
    outbox = Outbox()

    assert carry(sessions, settings, outbox).held == 1
    assert (only_digest(sessions).cause, outbox.taken) == (cause, [])
    assert carry(sessions, settings, outbox, timedelta(days=1.5)).sent == 1


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        (withdraws, Cause.CONSENT),
        (was_stopped, Cause.STOPPED),
        (wants_none, Cause.OFF),
    ],
    ids=["no consent", "stopped", "off"],
)
def test_what_may_never_go_is_withheld(
    sessions: Sessions,
    settings: Settings,
    patron: Patron,
    change: Change,
    cause: Cause,
) -> None:
    with sessions.begin() as session:
        change(session, patron)
    outbox = Outbox()

    assert carry(sessions, settings, outbox).withheld == 1

    assert (only_digest(sessions).cause, outbox.taken) == (cause, [])


@pytest.mark.usefixtures("patron")
def test_a_test_installation_reaches_nobody_but_the_listed(
    sessions: Sessions, settings: Settings, channel: Channel
) -> None:
    outbox = Outbox()

    carry(sessions, replace(settings, deliver_only_to=("@patrons.test",)), outbox)

    # Neither a device nor an account in the app can be listed.
    assert [one.channel for one in outbox.taken] == [channel] * (
        channel is Channel.EMAIL
    )
    if channel is not Channel.EMAIL:
        assert only_digest(sessions).cause == Cause.TEST


def only_digest(sessions: Sessions) -> Delivery:
    with sessions() as session:
        return session.scalars(
            select(Delivery).where(Delivery.purpose == Purpose.DIGEST)
        ).one()
