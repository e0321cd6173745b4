"""Over random clocks, zones and preferences: mail waits when it must, and comes."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import count
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select

from library.db import Sessions, reading
from library.settings import Settings
from library.tables import Alert, Delivery, Patron, Preference
from library.vocabulary import ConsentPurpose, Rhythm
from notifier.outbox import OPEN
from profiles import preferences
from tests.factories import make_patron, make_work
from tests.notifier.cast import Outbox, make_match
from tests.notifier.lives import (
    THROUGH_2027,
    came_once_each,
    mails_to,
    of_one_patron_each,
    tell,
)

WEEK = timedelta(days=7)
MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)
ZONES = (
    *("Asia/Tehran", "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe"),
    *("Pacific/Apia", "Africa/Casablanca", "America/New_York", "UTC"),
)
_numbers = count()


@dataclass
class Life:
    """A patron's choices, and what happens after how long."""

    start: datetime
    zone: str
    rhythm: Rhythm
    weekday: int
    hour: int
    quiet: tuple[int, int] | None
    cap: int
    at_least: int
    steps: list[tuple[timedelta, str]]
    paused: list[tuple[datetime, datetime]] = field(default_factory=list)
    """From when until when."""


minutes = st.integers(0, 24 * 60 - 1)
lives = st.builds(
    Life,
    start=THROUGH_2027,
    zone=st.sampled_from(ZONES),
    rhythm=st.sampled_from([Rhythm.DAILY, Rhythm.WEEKLY, Rhythm.MONTHLY]),
    weekday=st.integers(0, 6),
    hour=st.integers(0, 23),
    quiet=st.none() | st.tuples(minutes, minutes),
    cap=st.integers(1, 3),
    at_least=st.integers(1, 2),
    steps=st.lists(
        st.tuples(
            st.timedeltas(MINUTE, timedelta(days=4)),
            st.sampled_from(["work", "work", "works", "pause", "resume", "nothing"]),
        ),
        min_size=3,
        max_size=12,
    ),
    paused=st.builds(list),
)
given_lives = given(life=lives)


@given_lives
@settings(of_one_patron_each, max_examples=4)
def test_mail_waits_when_it_must_and_comes(
    sessions: Sessions, settings: Settings, life: Life
) -> None:
    lived(sessions, settings, life)


@pytest.mark.slow
@given_lives
@settings(of_one_patron_each, max_examples=30)
def test_mail_waits_when_it_must_and_comes_over_many_lives(
    sessions: Sessions, settings: Settings, life: Life
) -> None:
    lived(sessions, settings, life)


def lived(sessions: Sessions, settings: Settings, life: Life) -> None:
    house = replace(settings, message_cap=life.cap, allowance=1000, floor=0.0)
    patron = born(sessions, life)
    outbox = Outbox()
    at = life.start
    for after, what in life.steps:
        at += after
        happen(sessions, life, patron, what, at)
        tell(sessions, house, outbox, at)
    with sessions.begin() as session:
        preferences.resume(session, patron.id, at=at)
        preferences.change(session, patron.id, at=at, at_least=1)
    life.paused = [(start, min(end, at)) for start, end in life.paused]
    for moment in when_something_is_due(sessions, patron, at):
        tell(sessions, house, outbox, moment)

    sent = [one.date for one in mails_to(patron, outbox)]
    assert_none_in_quiet_hours(life, sent)
    assert_none_above_the_cap(life, sent)
    assert_none_while_paused(life, sent)
    came_once_each(sessions, patron, outbox)


def born(sessions: Sessions, life: Life) -> Patron:
    with sessions.begin() as session:
        session.execute(delete(Patron))  # or earlier lives would be lived on beside
        name = f"Reader{next(_numbers)}"
        patron = make_patron(session, name, consents=tuple(ConsentPurpose))
        preference = session.get_one(Preference, patron.id)
        preference.zone = life.zone
        quiet_from, quiet_to = life.quiet or (None, None)
        preferences.change(
            session,
            patron.id,
            at=life.start,
            rhythm=life.rhythm,
            weekday=life.weekday,
            hour=life.hour,
            at_least=life.at_least,
            quiet_from=quiet_from,
            quiet_to=quiet_to,
        )
    return patron


def happen(
    sessions: Sessions, life: Life, patron: Patron, what: str, at: datetime
) -> None:
    with sessions.begin() as session:
        if what in {"work", "works"}:
            for _ in range(1 if what == "work" else 4):
                work = make_work(session, f"A work, number {next(_numbers)}")
                make_match(session, patron, work, at=at)
        elif what == "pause":
            until = at + timedelta(days=9)
            preferences.pause(session, patron.id, until=until)
            life.paused.append((at, until))
        elif what == "resume":
            preferences.resume(session, patron.id, at=at)
            life.paused = [(start, min(end, at)) for start, end in life.paused]


def when_something_is_due(
    sessions: Sessions, patron: Patron, at: datetime
) -> Iterator[datetime]:
    """Yield the moments at which mail may go, until nothing is open."""
    for _ in range(200):
        yield at
        with reading(sessions) as session:
            waiting = session.scalars(
                select(Delivery.due_at).where(
                    Delivery.patron_id == patron.id, Delivery.state.in_(OPEN)
                )
            ).all()
            loose = session.scalars(
                select(Alert.id).where(
                    Alert.patron_id == patron.id, Alert.delivery_id.is_(None)
                )
            ).all()
            digest = session.get_one(Preference, patron.id).next_digest_at
        if not waiting and not loose:
            return
        # What waits for the cap has no moment of its own: builders keep asking.
        later = [one for one in (*waiting, digest) if one and one >= at]
        at = min(later, default=at + timedelta(hours=12)) + SECOND
    raise AssertionError("something is held for ever")


def assert_none_in_quiet_hours(life: Life, sent: list[datetime]) -> None:
    if life.quiet is None:
        return
    start, end = life.quiet
    for at in sent:
        local = at.astimezone(ZoneInfo(life.zone))
        minute = local.hour * 60 + local.minute
        if start < end:
            assert not start <= minute < end, local
        elif start > end:
            assert end <= minute < start, local


def assert_none_above_the_cap(life: Life, sent: list[datetime]) -> None:
    for at in sent:
        week = [one for one in sent if at - WEEK < one <= at]
        assert len(week) <= life.cap, week


def assert_none_while_paused(life: Life, sent: list[datetime]) -> None:
    for start, end in life.paused:
        assert not [at for at in sent if start <= at < end]
