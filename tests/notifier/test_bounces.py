from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from library.db import Sessions, reading
from library.errors import DeliveryFailed
from library.settings import Settings
from library.tables import ContactPoint, LedgerEntry
from notifier import links
from notifier.bounces import Taken, parse_report, take_in
from profiles.contacts import Trouble, record_trouble
from tests.factories import NOON, ada, cy
from tests.notifier.cast import (
    Outbox,
    a_digest_for_ada,
    alert,
    deliver,
    deliveries,
    matched,
    only,
)
from tests.races import meanwhile

SAMPLES = sorted((Path(__file__).parent / "returned").glob("*.eml"))
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@pytest.fixture
def own(settings: Settings) -> Settings:
    return replace(settings, bounce_address="bounces@books.test")


@pytest.fixture
def sent(sessions: Sessions, own: Settings) -> int:
    """A digest that went to Ada; Cy is somebody else."""
    with sessions.begin() as session:
        cy(session)
    delivery_id = a_digest_for_ada(sessions, own)
    deliver(sessions, own, Outbox())
    return delivery_id


def sample(
    name: str, *, tag: str = "", message_id: str = "<x@y>", address: str = "a@b.test"
) -> bytes:
    path = next(path for path in SAMPLES if path.stem.startswith(name))
    text = path.read_text(encoding="utf-8")
    for sign, value in (
        ("RETURN", f"bounces{tag and '+'}{tag}@books.test"),
        ("MESSAGE_ID", message_id),
        ("ADDRESS", address),
    ):
        text = text.replace(sign, value)
    return text.replace("\n", "\r\n").encode()


def point(sessions: Sessions, name: str = "ada") -> ContactPoint:
    with reading(sessions) as session:
        return session.scalars(
            select(ContactPoint).where(ContactPoint.address.startswith(name))
        ).one()


def tag(own: Settings, delivery_id: int) -> str:
    return links.bounce_token(own.secret, delivery_id, at=NOON)


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_what_each_servers_report_says(path: Path) -> None:
    said = path.stem.rpartition("-")[2]
    report = parse_report(
        sample(
            path.stem,
            tag="7-1-abc",
            message_id="<our@books.test>",
            address="سیما@x.test",
        )
    )

    assert report.trouble == (None if said == "nothing" else Trouble(said))
    assert report.tags[0] == "7-1-abc"
    assert report.message_ids == ("<our@books.test>",)


def test_a_signed_return_address_leads_to_the_right_contact_point(
    sessions: Sessions, own: Settings, sent: int
) -> None:
    raw = sample("postfix-unknown", tag=tag(own, sent))

    assert take_in(sessions, own, raw, at=NOON + HOUR) is Taken.COUNTED
    assert (point(sessions).hard, point(sessions, "cy").hard) == (1, 0)
    with reading(sessions) as session:
        outcomes = session.scalars(select(LedgerEntry.outcome)).all()
    assert sorted(outcomes) == ["hard", "sent"]


def test_in_small_letters_it_is_still_ours(
    sessions: Sessions, own: Settings, sent: int
) -> None:
    raw = sample("postfix-unknown", tag=tag(own, sent).upper())

    assert take_in(sessions, own, raw, at=NOON + HOUR) is Taken.COUNTED


def test_without_a_tag_the_message_id_leads_there(
    sessions: Sessions, own: Settings, sent: int
) -> None:
    raw = sample("exim-unknown", message_id=only(sessions).message_id)

    assert take_in(sessions, own, raw, at=NOON + HOUR) is Taken.COUNTED
    assert point(sessions).hard == 1


def weekly(
    sessions: Sessions, own: Settings, *, weeks: int, reported: set[int], lag: timedelta
) -> list[int]:
    """Send a digest a week, taken by a server that passes it on.

    Of some weeks' it says after a while that nobody is there. Returns in which weeks
    one was sent.
    """
    waiting: dict[datetime, int] = {}
    sent_in = []
    with sessions.begin() as session:
        patron = ada(session)
    for week in range(weeks):
        at = NOON + 7 * week * DAY
        for due in [due for due in waiting if due <= at]:
            raw = sample("postfix-unknown", tag=tag(own, waiting.pop(due)))
            take_in(sessions, own, raw, at=due)
        with sessions.begin() as session:
            matched(session, patron, [f"Work of week {week}"], at=at)
        alert(sessions, own, at)
        if deliver(sessions, own, Outbox(), at=at).sent:
            sent_in.append(week)
            if week in reported:
                waiting[at + lag] = deliveries(sessions)[-1].id
    return sent_in


@pytest.mark.parametrize("lag", [timedelta(seconds=5), 5 * DAY, 8 * DAY])
def test_a_server_that_passes_mail_on_and_returns_it_hides_no_dead_address(
    sessions: Sessions, own: Settings, lag: timedelta
) -> None:
    sent_in = weekly(sessions, own, weeks=6, reported=set(range(6)), lag=lag)

    assert sent_in == ([0, 1, 2] if lag > 7 * DAY else [0, 1])
    assert point(sessions).stopped_at is not None


def test_one_that_came_back_is_forgotten_when_the_next_did_not(
    sessions: Sessions, own: Settings
) -> None:
    lag = timedelta(seconds=5)

    sent_in = weekly(sessions, own, weeks=6, reported={0, 3}, lag=lag)

    assert sent_in == [0, 1, 2, 3, 4, 5]
    assert (point(sessions).hard, point(sessions).stopped_at) == (0, None)


def test_the_same_again_counts_for_nothing(
    sessions: Sessions, own: Settings, sent: int
) -> None:
    raw = sample("postfix-unknown", tag=tag(own, sent))
    take_in(sessions, own, raw, at=NOON + HOUR)

    assert take_in(sessions, own, raw, at=NOON + HOUR) is Taken.REPEATED
    assert point(sessions).hard == 1


def test_the_same_twice_at_one_moment_counts_once(
    sessions: Sessions, own: Settings, sent: int
) -> None:
    raw = sample("postfix-unknown", tag=tag(own, sent))
    taken: list[Taken] = []

    def take(_: Session) -> None:
        taken.append(take_in(sessions, own, raw, at=NOON + HOUR))

    meanwhile(
        sessions,
        lambda session: session.scalars(select(ContactPoint).with_for_update()).all(),
        take,
        take,
    )

    assert sorted(taken) == [Taken.COUNTED, Taken.REPEATED]
    assert point(sessions).hard == 1


def test_a_report_and_a_refusal_at_one_moment_both_count(
    sessions: Sessions, own: Settings
) -> None:
    a_digest_for_ada(sessions, own)
    refuses = Outbox(DeliveryFailed("550 5.1.1 no such user", permanent=True))
    point_id = point(sessions).id

    def report(session: Session) -> None:
        held = session.get_one(ContactPoint, point_id, with_for_update=True)
        record_trouble(held, Trouble.HARD, at=NOON)

    meanwhile(sessions, report, lambda _: deliver(sessions, own, refuses))

    assert point(sessions).hard == 2
    assert point(sessions).stopped_at is not None


def test_a_forged_tag_counts_for_nothing(
    sessions: Sessions, own: Settings, sent: int
) -> None:
    forged = tag(replace(own, secret="another"), sent)

    raw = sample("postfix-unknown", tag=forged)
    assert take_in(sessions, own, raw, at=NOON + HOUR) is Taken.UNKNOWN
    assert point(sessions).hard == 0


def test_an_old_report_counts_for_nothing(
    sessions: Sessions, own: Settings, sent: int
) -> None:
    raw = sample("postfix-unknown", tag=tag(own, sent))

    assert take_in(sessions, own, raw, at=NOON + 15 * DAY) is Taken.OLD
    assert point(sessions).hard == 0


def test_a_delay_says_nothing_against_an_address(
    sessions: Sessions, own: Settings, sent: int
) -> None:
    raw = sample("postfix-delayed", tag=tag(own, sent))

    assert take_in(sessions, own, raw, at=NOON + HOUR) is Taken.NOTHING


def test_a_complaint_stops_the_address_and_not_the_patron(
    sessions: Sessions, own: Settings, sent: int
) -> None:
    raw = sample("arf-abuse", tag=tag(own, sent))

    take_in(sessions, own, raw, at=NOON + HOUR)

    assert point(sessions).stopped_at == NOON + HOUR


def test_a_report_on_an_address_that_is_gone_hits_no_other(
    sessions: Sessions, own: Settings, sent: int
) -> None:
    with sessions.begin() as session:
        session.execute(
            update(ContactPoint)
            .where(ContactPoint.address == "ada@patrons.test")
            .values(address="ada.new@patrons.test")
        )
    raw = sample("postfix-unknown", tag=tag(own, sent))

    assert take_in(sessions, own, raw, at=NOON + HOUR) is Taken.UNKNOWN
    assert point(sessions).hard == 0


@given(st.binary(max_size=400))
def test_no_bytes_break_it(raw: bytes) -> None:
    for whole in (raw, b"Status: 5.1.1\r\n\r\n" + raw):
        assert isinstance(parse_report(whole).tags, tuple)
