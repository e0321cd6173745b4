from collections import Counter
from dataclasses import replace
from datetime import timedelta

from library.db import Sessions, reading
from library.settings import Settings
from library.vocabulary import Channel, ConsentPurpose, DeliveryState
from notifier.delivery import holds
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
            Channel.EMAIL: "brake: 2 messages in 24 hours"
        }
    deliver(sessions, braked, outbox, at=NOON + 10 * MINUTE)
    assert len(outbox.taken) == 2
    deliver(sessions, braked, outbox, at=NOON + DAY + MINUTE)
    assert states(sessions) == [DeliveryState.SENT] * 3
