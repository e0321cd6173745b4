"""FR1, FR2, FR6, FR7, FR9, FR10: delivering under kills, cuts, clocks and restores."""

import signal
import time
from collections import Counter
from collections.abc import Collection
from dataclasses import replace
from datetime import timedelta
from random import Random

import pytest
from sqlalchemy import func, select

from library.db import Sessions, reading
from library.settings import Settings
from library.tables import Alert, ContactPoint, Delivery, LedgerEntry
from library.vocabulary import ConsentPurpose, DeliveryState
from notifier.alerting import make_alerts
from notifier.delivery import deliver_due
from notifier.fence import Fence
from tests.factories import NOON, make_patron, make_work
from tests.faults.rounds import Courier, Rounds
from tests.faults.runs import Run
from tests.faults.sizes import size
from tests.notifier.cast import make_match
from tests.notifier.dumps import dump, restore
from tests.notifier.mail_server import CUT, CUT_AFTER, HANG, HANG_AFTER, MailServer

pytestmark = pytest.mark.slow


def test_fr1_killed_deliverers_lose_nothing(
    run: Run, sessions: Sessions, settings: Settings
) -> None:
    count, kills = size(60, 5_000, 10_000), size(3, 20, 200)
    digests(sessions, settings, count)

    def wait_for_kills(verb: str, _: str) -> None:
        if verb == "READY":
            rounds.let_kill()

    with MailServer(run.heard(wait_for_kills)) as server:
        settings = replace(settings, smtp_url=server.url)
        rounds = Rounds(
            run,
            sessions,
            settings,
            couriers=3,
            kills=kills,
            # Sooner than need be: who watches is late, and all kills must come.
            each=count * 7 // (10 * kills),
            seen=lambda: len(server.taken),
        )
        rounds.all(NOON)
    tell(run, sessions, server, size=count, events=rounds.killed)

    assert rounds.killed == kills
    assert_all_accounted_for(sessions)
    assert lost(sessions, server) == []
    assert strays(sessions, server) == []
    assert copies(server) <= rounds.killed


def test_killed_between_the_servers_yes_and_our_commit_it_comes_once_more(
    run: Run, sessions: Sessions, settings: Settings
) -> None:
    digests(sessions, settings, 1)
    victims: list[Courier] = []

    def kill_once(verb: str, _: str) -> str | None:
        if verb == "DATA" and victims:
            victims.pop().kill()
        return None

    with MailServer(kill_once) as server:
        settings = replace(settings, smtp_url=server.url)
        rounds = Rounds(run, sessions, settings, couriers=1)
        victim = rounds.start(NOON, 0)
        victims.append(victim)
        assert victim.wait() == -signal.SIGKILL
        rounds.all(NOON)

    assert copies(server) == 1
    assert strays(sessions, server) == []
    with reading(sessions) as session:
        (delivery,) = session.scalars(select(Delivery))
    assert (delivery.state, delivery.attempts) == (DeliveryState.SENT, 2)


@pytest.mark.parametrize("place", [2, 7, 12])
def test_what_was_taken_before_the_message_it_is_killed_at_goes_no_more(
    run: Run, sessions: Sessions, settings: Settings, place: int
) -> None:
    """What a worker has not yet settled, it has listed on the fence."""
    digests(sessions, settings, 12)
    victims: list[Courier] = []

    def kill_there(verb: str, _: str) -> str | None:
        if verb == "DATA" and victims and len(server.taken) == place - 1:
            victims.pop().kill()
            return CUT
        return None

    with MailServer(run.heard(kill_there)) as server:
        settings = replace(settings, smtp_url=server.url)
        rounds = Rounds(run, sessions, settings, couriers=1)
        victim = rounds.start(NOON, 0)
        victims.append(victim)
        assert victim.wait() == -signal.SIGKILL
        assert len(server.taken) == place - 1
        rounds.all(NOON)

    assert copies(server) == 0
    assert lost(sessions, server) == []
    assert_all_accounted_for(sessions)


def test_fr2_a_faulty_server_loses_nothing(
    run: Run, sessions: Sessions, settings: Settings
) -> None:
    count = size(30, 800, 1_500)
    server_in_bad_mood = BadMood(run.luck())
    digests(sessions, settings, count)

    def answer(verb: str, recipient: str) -> str | None:
        if verb == "READY":
            rounds.let_kill()
        return server_in_bad_mood(verb, recipient)

    with MailServer(run.heard(answer)) as server:
        settings = replace(settings, smtp_url=server.url)
        rounds = Rounds(
            run,
            sessions,
            settings,
            couriers=size(2, 3, 3),
            kills=size(1, 4, 40),
            each=size(8, 80, 25),
            seen=lambda: len(server.taken),
            patience=2.0,
        )
        rounds.all(NOON)
    events = rounds.killed + server_in_bad_mood.doubtful
    unknown = [address for address in expected(sessions) if is_unknown(address)]
    tell(run, sessions, server, size=count, events=events, besides=unknown)

    assert rounds.killed == size(1, 4, 40)
    assert_all_accounted_for(sessions)
    assert lost(sessions, server, besides=unknown) == []
    assert strays(sessions, server) == []
    assert copies(server) <= events
    assert not {one.recipient for one in server.taken} & set(unknown)
    with reading(sessions) as session:
        given_up = session.scalars(
            select(Delivery).where(Delivery.state == DeliveryState.ABANDONED)
        ).all()
    assert [one.cause for one in given_up] == [UNKNOWN] * len(unknown)
    assert len(unknown) == -(-count // 500)


UNKNOWN = "550 5.1.1 no such user"
HANGS = 0.002
"""So often each verb, and the message itself, is met with silence."""


def is_unknown(recipient: str) -> bool:
    """Tell whether it is the one address in 500 that nobody has."""
    number = recipient.partition("@")[0].removeprefix("patron")
    return int(number) % 500 == 7


class BadMood:
    """A server that puts off 15 % and cuts 15 %, 10 % after taking; some it leaves.

    It knows none of one address in 500, and now and then says nothing at all.
    """

    def __init__(self, luck: Random) -> None:
        self.doubtful = 0
        """After how many messages nobody knows whether they were taken."""
        self._luck = luck

    def __call__(self, verb: str, recipient: str) -> str | None:
        """Answer as a mail server's script does."""
        if verb == "RCPT" and is_unknown(recipient):
            return UNKNOWN
        if self._luck.random() < HANGS:
            self.doubtful += verb == "DATA"
            return HANG_AFTER if verb == "DATA" else HANG
        if verb != "DATA":
            return None
        luck = self._luck.random()
        self.doubtful += 0.15 <= luck < 0.30
        if luck < 0.15:
            return "451 4.3.0 try later"
        return CUT_AFTER if luck < 0.25 else CUT if luck < 0.30 else None


def test_fr7_without_a_fault_each_goes_once(
    run: Run, sessions: Sessions, settings: Settings
) -> None:
    count = size(60, 300, 300)
    digests(sessions, settings, count)
    with MailServer(run.heard()) as server:
        settings = replace(settings, smtp_url=server.url)
        Rounds(run, sessions, settings, couriers=size(3, 6, 6)).all(NOON)
    tell(run, sessions, server, size=count)

    assert len(server.taken) == count
    assert copies(server) == 0
    assert lost(sessions, server) == []
    assert_all_accounted_for(sessions)


def test_fr9_clocks_a_minute_apart_do_no_harm(
    run: Run, sessions: Sessions, settings: Settings
) -> None:
    count = size(40, 500, 500)
    digests(sessions, settings, count)
    with MailServer(run.heard()) as server:
        settings = replace(settings, smtp_url=server.url)
        rounds = Rounds(run, sessions, settings, couriers=2, apart=timedelta(minutes=1))
        rounds.all(NOON)
    tell(run, sessions, server, size=count)

    assert copies(server) == 0
    assert lost(sessions, server) == []


def test_fr9_a_clock_that_jumps_does_no_harm(
    run: Run, sessions: Sessions, settings: Settings
) -> None:
    count, kills = size(40, 500, 500), size(4, 20, 20)
    digests(sessions, settings, count)
    hour, day = timedelta(hours=1), timedelta(days=1)
    with MailServer(run.heard()) as server:
        settings = replace(settings, smtp_url=server.url)
        rounds = Rounds(
            run,
            sessions,
            settings,
            couriers=2,
            kills=kills,
            each=max(count // (2 * kills), 1),
            seen=lambda: len(server.taken),
        )
        half_a_second_back = day - timedelta(milliseconds=500)
        for jump in (timedelta(), hour, -hour, day, half_a_second_back):
            rounds.once(NOON + jump)
        rounds.all(NOON + 2 * day)
    tell(run, sessions, server, size=count, events=rounds.killed)

    assert_all_accounted_for(sessions)
    assert lost(sessions, server) == []
    assert copies(server) <= rounds.killed


@pytest.mark.parametrize("where", ["in place", "as a clone"])
def test_fr10_a_restored_database_sends_nothing_until_somebody_agrees(
    run: Run, sessions: Sessions, settings: Settings, where: str
) -> None:
    count = size(10, 500, 500)
    digests(sessions, settings, 2 * count)
    late = NOON + timedelta(days=6, minutes=1)
    with MailServer() as server:
        settings = replace(settings, smtp_url=server.url)
        deliver_due(sessions, settings, at=NOON, worker="w1", limit=count)
        kept = dump(sessions)
        deliver_due(sessions, settings, at=NOON, worker="w1")
        assert len(server.taken) == 2 * count
        restore(sessions, kept)
        if where == "as a clone":
            settings = replace(settings, home=settings.home / "elsewhere")

        before = deliver_due(sessions, settings, at=NOON, worker="w1")
        agreed = Fence(settings.home).agree(sessions, at=late)
        after = deliver_due(sessions, settings, at=late, worker="w1")
    tell(run, sessions, server, size=2 * count, events=1)

    assert before.trouble
    assert (before.sent, after.sent) == (0, 0)
    assert copies(server) == 0
    assert len(server.taken) == 2 * count
    # The original knows what went out; a clone does not, and it is too late for those.
    in_place = where == "in place"
    assert (agreed, after.withheld) == ((count, 0) if in_place else (0, count))
    assert_all_accounted_for(sessions)


@pytest.mark.parametrize(
    ("asleep_at", "copied"),
    [
        pytest.param("RCPT", 0, id="before it starts DATA"),
        pytest.param("DATA", 1, id="before it hears the answer"),
    ],
)
def test_a_worker_that_sleeps_past_its_lease_neither_sends_nor_settles(
    run: Run, sessions: Sessions, settings: Settings, asleep_at: str, copied: int
) -> None:
    digests(sessions, settings, 1)
    sleepers: list[Courier] = []

    def put_to_sleep(verb: str, _: str) -> str | None:
        if verb == asleep_at and sleepers:
            sleepers[0].send_signal(signal.SIGSTOP)
        return None

    with MailServer(put_to_sleep) as server:
        settings = replace(settings, smtp_url=server.url)
        rounds = Rounds(run, sessions, settings, couriers=1, lease=4)
        sleeper = rounds.start(NOON, 0)
        sleepers.append(sleeper)
        while asleep_at not in server.verbs:
            time.sleep(0.05)
        sleepers.clear()
        time.sleep(5)
        later = NOON + timedelta(minutes=16)
        report = deliver_due(sessions, settings, at=later, worker="awake")
        sleeper.send_signal(signal.SIGCONT)
        assert sleeper.wait(60) == 0

    assert report.sent == 1
    assert copies(server) == copied
    assert strays(sessions, server) == []
    with reading(sessions) as session:
        (delivery,) = session.scalars(select(Delivery))
        outcomes = session.scalars(select(LedgerEntry.outcome)).all()
    assert (delivery.state, delivery.attempts) == (DeliveryState.SENT, 2)
    assert outcomes == ["sent"]


def test_fr6_five_builders_make_one_digest_per_patron_and_date(
    run: Run, sessions: Sessions, settings: Settings
) -> None:
    count, killed = size(25, 300, 3_000), 0
    patrons_with_a_match(sessions, count)
    for day in range(2):
        rounds = Rounds(
            run,
            sessions,
            settings,
            couriers=size(3, 5, 5),
            kills=size(2, 10, 50),
            each=size(6, 25, 50),
            seen=lambda: _made(sessions),
            task="build",
        )
        rounds.once(NOON + timedelta(days=7 * day))
        killed += rounds.killed

    with reading(sessions) as session:
        made = session.scalars(select(Delivery)).all()
        loose = session.scalars(select(Alert).where(Alert.delivery_id.is_(None))).all()
    patrons = len({one.patron_id for one in made})
    run.tell(
        size=count,
        events=killed,
        lost=count - patrons,
        wrong=len(loose),
        copies=len(made) - patrons,
    )
    assert killed >= size(2, 10, 50)
    assert len(made) == count
    assert patrons == count
    assert loose == []


def _made(sessions: Sessions) -> int:
    with reading(sessions) as session:
        return session.scalar(select(func.count(Delivery.id))) or 0


def digests(sessions: Sessions, settings: Settings, count: int) -> None:
    """Make this many patrons, each with a digest that is due."""
    patrons_with_a_match(sessions, count)
    assert make_alerts(sessions, settings, at=NOON).digests == count


def patrons_with_a_match(sessions: Sessions, count: int) -> None:
    """Make this many patrons whom one new work suits."""
    with sessions.begin() as session:
        work = make_work(session, "Contact")
    # A few a session: it looks at all it has whenever it writes.
    for first in range(0, count, 50):
        with sessions.begin() as session:
            for number in range(first, min(first + 50, count)):
                patron = make_patron(
                    session, f"Patron{number}", consents=(ConsentPurpose.ALERTS,)
                )
                make_match(session, patron, work)


def assert_all_accounted_for(sessions: Sessions) -> None:
    """Due is sent and withheld and abandoned, each that was not sent with its cause."""
    with reading(sessions) as session:
        rows = session.execute(select(Delivery.state, Delivery.cause)).all()
        entries = session.scalar(
            select(func.count(func.distinct(LedgerEntry.delivery_id)))
        )
    ended = {DeliveryState.SENT, DeliveryState.WITHHELD, DeliveryState.ABANDONED}
    assert {row.state for row in rows} <= ended
    assert all(row.cause for row in rows if row.state is not DeliveryState.SENT)
    assert entries == len(rows)


def tell(
    run: Run,
    sessions: Sessions,
    server: MailServer,
    *,
    size: int,
    events: int = 0,
    besides: Collection[str] = (),
) -> None:
    """Tell what a run of deliveries came to."""
    run.tell(
        size=size,
        events=events,
        lost=len(lost(sessions, server, besides=besides)),
        wrong=len(strays(sessions, server)),
        copies=copies(server),
    )


def lost(
    sessions: Sessions, server: MailServer, *, besides: Collection[str] = ()
) -> list[str]:
    """Name the addresses whose digest never came."""
    came = {(one.recipient, one.message_id) for one in server.taken}
    return [
        address
        for address, message_id in expected(sessions).items()
        if (address, message_id) not in came and address not in besides
    ]


def strays(sessions: Sessions, server: MailServer) -> list[str]:
    """Name the messages that went to a wrong patron, or had another Message-ID."""
    right = expected(sessions)
    return [
        one.message_id
        for one in server.taken
        if right.get(one.recipient) != one.message_id
    ]


def copies(server: MailServer) -> int:
    """Count the messages that came again."""
    times = Counter(one.message_id for one in server.taken)
    return sum(count - 1 for count in times.values())


def expected(sessions: Sessions) -> dict[str, str]:
    """Return the Message-ID that each address should get."""
    with reading(sessions) as session:
        rows = session.execute(
            select(ContactPoint.address, Delivery.message_id).join(
                Delivery, Delivery.patron_id == ContactPoint.patron_id
            )
        )
        return {address: message_id for address, message_id in rows}  # noqa: C416 -- mypy
