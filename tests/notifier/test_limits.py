from collections import Counter
from dataclasses import replace
from datetime import timedelta

from library.db import Sessions, reading
from library.settings import Settings
from library.vocabulary import Channel, ConsentPurpose, DeliveryState
from notifier.resting import holds
from tests.factories import NOON, make_patron
from tests.notifier.cast import MINUTE, Outbox, alert, deliver, matched, states

DAY = timedelta(days=1)


def waiting(sessions: Sessions, settings: Settings, *addresses: str) -> None:
    """Make a digest for a patron at each address."""
    with sessions.begin() as session:
        for number, address in enumerate(addresses):
            patron = make_patron(
                session,
                f"Patron{number}",
                consents=tuple(ConsentPurpose),
                address=address,
            )
            matched(session, patron, [f"Work {number}"])
    alert(sessions, settings)


def test_a_receiving_domain_gets_no_more_than_its_rate_a_minute(
    sessions: Sessions, settings: Settings
) -> None:
    slow = replace(settings, domain_rate=2)
    waiting(
        sessions,
        slow,
        "a@big.test",
        "b@BIG.test",
        "c@big.test",
        "d@big.test",
        "e@x.test",
    )
    outbox = Outbox()
    minutes = []
    for minute in range(3):
        deliver(sessions, slow, outbox, at=NOON + minute * MINUTE)
        minutes.append(len(outbox.taken))

    assert minutes == [3, 5, 5]
    domains = Counter(one.to.address.lower().partition("@")[2] for one in outbox.taken)
    assert domains == {"big.test": 4, "x.test": 1}


def test_the_brake_stops_all_above_it_and_says_so(
    sessions: Sessions, settings: Settings
) -> None:
    braked = replace(settings, daily_brake=2)
    waiting(sessions, braked, "a@x.test", "b@x.test", "c@x.test")
    outbox = Outbox()

    deliver(sessions, braked, outbox)

    assert len(outbox.taken) == 2
    with reading(sessions) as session:
        assert holds(session, at=NOON) == {
            Channel.EMAIL: "brake: 2 messages in 24 hours; "
            "if they are right, raise HAMKHAN_DAILY_BRAKE"
        }
    deliver(sessions, braked, outbox, at=NOON + 10 * MINUTE)
    assert len(outbox.taken) == 2
    deliver(sessions, braked, outbox, at=NOON + DAY + MINUTE)
    assert states(sessions) == [DeliveryState.SENT] * 3


def test_no_more_leave_in_an_hour_than_the_mail_server_takes(
    sessions: Sessions, settings: Settings
) -> None:
    slow = replace(settings, hourly_rate=2)
    waiting(sessions, slow, *(f"{name}@x.test" for name in "abcde"))
    outbox = Outbox()
    taken = []
    for minute in (0, 10, 50, 61, 70, 122):
        deliver(sessions, slow, outbox, at=NOON + minute * MINUTE)
        taken.append(len(outbox.taken))
        with reading(sessions) as session:  # to wait its turn is no fault
            assert holds(session, at=NOON + minute * MINUTE) == {}

    assert taken == [2, 2, 2, 4, 4, 5]


def test_two_workers_share_what_is_left(sessions: Sessions, settings: Settings) -> None:
    """Each claims while the other has sent nothing yet."""
    slow = replace(settings, hourly_rate=3)
    waiting(sessions, slow, *(f"{name}@x.test" for name in "abcdef"))
    second = Outbox()

    def beside() -> None:
        if len(first.taken) == 1:
            deliver(sessions, slow, second, worker="w2")

    first = Outbox(then=beside)
    deliver(sessions, slow, first)

    assert len(first.taken) + len(second.taken) == 3
