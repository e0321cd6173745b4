"""DL15: rate and brake hold over workers beside each other, by the server's log."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest

from library.db import Sessions
from library.settings import Settings
from library.vocabulary import ConsentPurpose
from notifier.alerting import make_alerts
from tests.factories import NOON, make_patron, make_work
from tests.faults.rounds import Rounds
from tests.faults.runs import Run
from tests.notifier.cast import make_match
from tests.notifier.mail_server import MailServer

pytestmark = pytest.mark.slow

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)


def digests_at(sessions: Sessions, settings: Settings, counts: dict[str, int]) -> None:
    """Make so many patrons at each domain, each with a digest that is due."""
    with sessions.begin() as session:
        work = make_work(session, "Contact")
        for domain, count in counts.items():
            for number in range(count):
                patron = make_patron(
                    session,
                    f"{domain}{number}",
                    consents=(ConsentPurpose.ALERTS,),
                    address=f"reader{number}@{domain}",
                )
                make_match(session, patron, work)
    assert make_alerts(sessions, settings, at=NOON).digests == sum(counts.values())


def test_three_workers_keep_one_rate_per_domain(
    run: Run, sessions: Sessions, settings: Settings
) -> None:
    counts = {"big.test": 14, "small.test": 3}
    digests_at(sessions, settings, counts)
    with MailServer(run.heard()) as server:
        slow = replace(settings, smtp_url=server.url, domain_rate=5)
        rounds = Rounds(run, sessions, slow, couriers=3)
        gone = []
        for minute in range(4):
            rounds.once(NOON + minute * MINUTE)
            gone.append(Counter(one.recipient.split("@")[1] for one in server.taken))

    assert [one["big.test"] for one in gone] == [5, 10, 14, 14]
    assert [one["small.test"] for one in gone] == [3, 3, 3, 3]


def test_three_workers_keep_one_brake(
    run: Run, sessions: Sessions, settings: Settings
) -> None:
    digests_at(sessions, settings, {"patrons.test": 40})
    with MailServer(run.heard()) as server:
        braked = replace(settings, smtp_url=server.url, daily_brake=12)
        rounds = Rounds(run, sessions, braked, couriers=3)
        gone = []
        for moment in (NOON, NOON + 10 * MINUTE, NOON + DAY + MINUTE):
            rounds.once(moment)
            gone.append(len(server.taken))

    assert gone == [12, 12, 24]
