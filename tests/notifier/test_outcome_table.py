"""What a real server's answer makes of a stored delivery: DL9 and DL10."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from library.db import Sessions, reading
from library.settings import Settings
from library.tables import ContactPoint, LedgerEntry, Setting
from library.vocabulary import Channel, DeliveryState
from notifier.channels.email import EmailChannel, Server, Timeouts, parse_server
from tests.factories import NOON
from tests.faults.test_delivering import copies, digests, lost, strays
from tests.notifier.cast import MINUTE, a_digest_for_ada, deliver, only, states
from tests.notifier.mail_server import (
    CUT,
    CUT_AFTER,
    HANG,
    HANG_AFTER,
    MailServer,
    Script,
)
from tests.processes import free_port

QUICK = Timeouts(connect=2, command=0.5, data=0.5)
SOON = timedelta(seconds=30)
BEFORE_DATA = ("EHLO", "MAIL", "RCPT", "READY")
IN_DOUBT = (CUT, CUT_AFTER, HANG, HANG_AFTER)


def channel_to(url: str) -> EmailChannel:
    return EmailChannel(parse_server(url), timeouts=QUICK)


def says(verb: str, answer: str) -> Script:
    return lambda asked, _: answer if asked == verb else None


def outcomes(sessions: Sessions) -> list[str]:
    with reading(sessions) as session:
        found = select(LedgerEntry.outcome).order_by(LedgerEntry.id)
        return list(session.scalars(found))


def counted(sessions: Sessions) -> tuple[int, int]:
    with reading(sessions) as session:
        (point,) = session.scalars(select(ContactPoint))
    return point.hard, point.soft


def held(sessions: Sessions) -> bool:
    with reading(sessions) as session:
        return session.get(Setting, f"hold:{Channel.EMAIL}") is not None


def test_taken_it_is_sent_and_the_answer_kept(
    sessions: Sessions, settings: Settings
) -> None:
    a_digest_for_ada(sessions, settings)

    with MailServer() as server:
        deliver(sessions, settings, channel_to(server.url))

    assert only(sessions).state is DeliveryState.SENT
    with reading(sessions) as session:
        assert session.scalars(select(LedgerEntry.reason)).all() == ["250 2.0.0 taken"]


@pytest.mark.parametrize(
    ("verb", "answer", "wait"),
    [
        *[(verb, "451 4.7.0 later", MINUTE) for verb in (*BEFORE_DATA[1:], "DATA")],
        ("RCPT", "450 4.2.1 greylisted, try again in 300 seconds", 5 * MINUTE),
        ("DATA", "452 4.3.1 full", MINUTE),
        *[(verb, CUT, MINUTE) for verb in BEFORE_DATA],
        *[(verb, HANG, MINUTE) for verb in BEFORE_DATA],
    ],
)
def test_put_off_it_waits_and_then_goes_once(
    sessions: Sessions, settings: Settings, verb: str, answer: str, wait: timedelta
) -> None:
    a_digest_for_ada(sessions, settings)
    with MailServer(says(verb, answer)) as server:
        deliver(sessions, settings, channel_to(server.url))
    row = only(sessions)
    assert row.state is DeliveryState.PENDING
    assert timedelta() <= row.due_at - (NOON + wait) < SOON
    assert row.data_at is None
    assert row.cause
    assert outcomes(sessions) == ["deferred"]
    assert counted(sessions) == (0, 0)

    with MailServer() as again:
        deliver(sessions, settings, channel_to(again.url), at=row.due_at)

    assert [one.message_id for one in again.taken] == [row.message_id]
    assert server.taken == []
    assert only(sessions).state is DeliveryState.SENT


def test_where_nobody_listens_it_waits(sessions: Sessions, settings: Settings) -> None:
    a_digest_for_ada(sessions, settings)
    nowhere = EmailChannel(Server("127.0.0.1", free_port()), timeouts=QUICK)

    deliver(sessions, settings, nowhere)

    assert only(sessions).state is DeliveryState.PENDING
    assert only(sessions).data_at is None


@pytest.mark.parametrize("how", IN_DOUBT)
@pytest.mark.parametrize("pipelining", [False, True], ids=["in turn", "at once"])
def test_in_doubt_it_waits_ten_minutes_and_goes_under_the_same_id(
    sessions: Sessions, settings: Settings, how: str, pipelining: bool
) -> None:
    a_digest_for_ada(sessions, settings)
    with MailServer(says("DATA", how), pipelining=pipelining) as server:
        deliver(sessions, settings, channel_to(server.url))
    row = only(sessions)
    assert row.state is DeliveryState.PENDING
    assert row.data_at is not None
    assert timedelta() <= row.due_at - (NOON + 10 * MINUTE) < SOON
    assert outcomes(sessions) == ["unknown"]

    with MailServer() as again:
        early = deliver(sessions, settings, channel_to(again.url), at=NOON + 9 * MINUTE)
        deliver(sessions, settings, channel_to(again.url), at=row.due_at)

    assert early.sent == 0
    taken = [one.message_id for one in (*server.taken, *again.taken)]
    assert set(taken) == {row.message_id}
    assert len(taken) == 1 + (how in {CUT_AFTER, HANG_AFTER})


@pytest.mark.parametrize(
    ("verb", "answer", "counts"),
    [
        pytest.param("RCPT", "550 5.1.1 no such user", (1, 0), id="no such address"),
        pytest.param("RCPT", "550 5.1.10 null MX", (1, 0), id="takes no mail at all"),
        pytest.param("RCPT", "552 5.2.2 over quota", (0, 1), id="full"),
        pytest.param("RCPT", "550 5.4.4 no route", (0, 1), id="not reached"),
        pytest.param("RCPT", "550 5.7.1 go away", (0, 0), id="unwelcome"),
        pytest.param("READY", "554 no valid recipients", (0, 0), id="no data wanted"),
        pytest.param("DATA", "554 5.6.0 spam", (0, 0), id="refused when read"),
        pytest.param("DATA", "550 5.1.1 no such user", (1, 0), id="known late"),
    ],
)
def test_refused_for_good_it_is_given_up_at_once(
    sessions: Sessions,
    settings: Settings,
    verb: str,
    answer: str,
    counts: tuple[int, int],
) -> None:
    a_digest_for_ada(sessions, settings)

    with MailServer(says(verb, answer)) as server:
        deliver(sessions, settings, channel_to(server.url))
        deliver(sessions, settings, channel_to(server.url), at=NOON + timedelta(days=1))

    row = only(sessions)
    assert (row.state, row.cause) == (DeliveryState.ABANDONED, answer)
    assert row.attempts == 1
    assert counted(sessions) == counts
    assert server.taken == []


def test_a_refusal_of_us_holds_the_channel_and_gives_up_nothing(
    sessions: Sessions, settings: Settings
) -> None:
    digests(sessions, settings, 3)

    with MailServer(says("MAIL", "550 5.7.1 no relaying")) as server:
        deliver(sessions, settings, channel_to(server.url))

    assert states(sessions) == [DeliveryState.PENDING] * 3
    assert held(sessions)
    assert server.taken == []


@pytest.mark.filterwarnings("ignore:Requiring AUTH")
def test_a_login_that_is_refused_does_the_same(
    sessions: Sessions, settings: Settings
) -> None:
    digests(sessions, settings, 3)

    with MailServer(password="right") as server:
        url = server.url.replace("//", "//library:wrong@")
        deliver(sessions, settings, channel_to(url))

    assert states(sessions) == [DeliveryState.PENDING] * 3
    assert held(sessions)
    assert server.taken == []


@pytest.fixture
def five_hundred(sessions: Sessions, settings: Settings) -> int:
    digests(sessions, settings, 500)
    return 500


@pytest.mark.slow
@pytest.mark.parametrize(
    ("verb", "answer"),
    [
        ("RCPT", "550 5.1.1 no such user"),
        ("RCPT", CUT),
        ("DATA", "554 5.6.0 no"),
        ("DATA", CUT_AFTER),
    ],
)
def test_one_bad_address_in_500_stops_or_repeats_nobody_elses(
    sessions: Sessions,
    settings: Settings,
    five_hundred: int,
    verb: str,
    answer: str,
) -> None:
    bad = "patron250@patrons.test"

    def script(asked: str, recipient: str) -> str | None:
        return answer if (asked, recipient) == (verb, bad) else None

    # Nobody is silent here, and of two thousand answers one may come late.
    with MailServer(script) as server:
        patient = EmailChannel(parse_server(server.url))
        report = deliver(sessions, settings, patient)
        deliver(sessions, settings, patient)

    assert report.sent == five_hundred - 1
    assert lost(sessions, server, besides=[bad]) == []
    assert strays(sessions, server) == []
    assert copies(server) == 0
