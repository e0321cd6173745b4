"""An interest's alerts ride at its own rhythm, in the one digest of a day."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from library.db import Sessions, reading
from library.settings import Settings
from library.tables import Delivery, Interest, Patron, Preference
from library.vocabulary import Channel, ConsentPurpose, Rhythm
from profiles import preferences
from profiles.interests import set_rhythm
from profiles.rhythm import next_digest_at
from tests.factories import NOON, ada, make_interest, make_patron, make_work
from tests.notifier.cast import (
    Outbox,
    alert,
    alerts,
    deliver,
    deliveries,
    make_match,
    matched,
    only,
)
from tests.notifier.lives import THROUGH_2027, came_once_each, of_one_patron_each, tell

DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)
SATURDAY = datetime(2026, 3, 7, 8, 0, tzinfo=UTC)
"""The first one after NOON, a Sunday, at the hour of the default preferences."""
_numbers = count()


def interest_of(
    session: Session, patron: Patron, rhythm: Rhythm | None, at: datetime = NOON
) -> Interest:
    interest = make_interest(session, patron, f"Astronomy {next(_numbers)}")
    set_rhythm(session, patron.id, interest.id, rhythm, at=at)
    return interest


def brought(
    session: Session, patron: Patron, interest: Interest, *, at: datetime = NOON
) -> int:
    work = make_work(session, f"A work, number {next(_numbers)}")
    make_match(session, patron, work, interest_id=interest.id, at=at)
    return work.id


def told_works(sessions: Sessions, delivery: Delivery) -> set[int]:
    return {one.work_id for one in alerts(sessions) if one.delivery_id == delivery.id}


def test_a_weekly_interest_of_a_daily_patron_rides_on_its_day(
    sessions: Sessions, settings: Settings
) -> None:
    with sessions.begin() as session:
        patron = ada(session)
        preferences.change(session, patron.id, at=NOON, rhythm=Rhythm.DAILY)
        waits = brought(session, patron, interest_of(session, patron, Rhythm.WEEKLY))
        matched(session, patron, ["Contact"])
    alert(sessions, settings)
    assert waits not in told_works(sessions, only(sessions))

    with sessions.begin() as session:
        (solaris,) = matched(session, patron, ["Solaris"], at=SATURDAY - DAY)
    for day in range(1, 6):
        alert(sessions, settings, NOON + day * DAY)
    with sessions.begin() as session:
        (fiasco,) = matched(session, patron, ["Fiasco"], at=SATURDAY)
    alert(sessions, settings, SATURDAY + SECOND)

    first, friday, saturday = deliveries(sessions)
    assert waits not in told_works(sessions, first)
    assert told_works(sessions, friday) == {solaris.id}
    assert told_works(sessions, saturday) == {waits, fiasco.id}


def test_a_daily_interest_of_a_weekly_patron_brings_its_own_alerts_alone(
    sessions: Sessions, settings: Settings
) -> None:
    with sessions.begin() as session:
        patron = ada(session)
        session.get_one(Preference, patron.id).next_digest_at = SATURDAY
        daily = brought(session, patron, interest_of(session, patron, Rhythm.DAILY))
        matched(session, patron, ["Contact"])

    alert(sessions, settings)
    assert deliveries(sessions) == []
    alert(sessions, settings, NOON + DAY)

    digest = only(sessions)
    assert told_works(sessions, digest) == {daily}
    assert digest.not_after == NOON + DAY + timedelta(hours=36)


def test_an_interest_that_is_off_brings_nothing_but_to_the_page(
    sessions: Sessions, settings: Settings
) -> None:
    with sessions.begin() as session:
        patron = ada(session)
        aside = brought(session, patron, interest_of(session, patron, Rhythm.OFF))
        (contact,) = matched(session, patron, ["Contact"])

    alert(sessions, settings)

    told = {one.channel: told_works(sessions, one) for one in deliveries(sessions)}
    assert told == {Channel.PAGE: {aside}, Channel.EMAIL: {contact.id}}


def test_an_interest_that_is_off_makes_no_mail_by_itself(
    sessions: Sessions, settings: Settings
) -> None:
    with sessions.begin() as session:
        patron = ada(session)
        brought(session, patron, interest_of(session, patron, Rhythm.OFF))

    report = alert(sessions, settings)

    assert report.digests == 0
    assert only(sessions).channel is Channel.PAGE


def test_who_wants_no_digests_gets_none_for_an_interest_either(
    sessions: Sessions, settings: Settings
) -> None:
    with sessions.begin() as session:
        patron = ada(session)
        brought(session, patron, interest_of(session, patron, Rhythm.DAILY))
        preferences.change(session, patron.id, at=NOON, rhythm=Rhythm.OFF)

    alert(sessions, settings, NOON + DAY)

    assert only(sessions).channel is Channel.PAGE


@pytest.mark.parametrize("days", [1, 3, 10])
def test_a_day_missed_while_down_is_made_up_for_once(
    sessions: Sessions, settings: Settings, days: int
) -> None:
    with sessions.begin() as session:
        patron = ada(session)
        session.get_one(Preference, patron.id).next_digest_at = SATURDAY + 30 * DAY
        interest = interest_of(session, patron, Rhythm.WEEKLY)
        brought(session, patron, interest)

    back = SATURDAY + days * DAY
    for minutes in (0, 5, 10):
        alert(sessions, settings, back + timedelta(minutes=minutes))

    assert only(sessions).not_after == back + timedelta(days=6)
    with reading(sessions) as session:
        following = session.get_one(Interest, interest.id).next_digest_at
    assert following is not None
    assert following.weekday() == SATURDAY.weekday()
    assert back < following <= back + 7 * DAY


def test_a_second_digest_of_a_day_waits_for_the_next_and_not_for_its_week(
    sessions: Sessions, settings: Settings
) -> None:
    with sessions.begin() as session:
        patron = ada(session)
        preferences.change(session, patron.id, at=NOON, hour=20)
        late = brought(session, patron, interest_of(session, patron, Rhythm.DAILY))
        matched(session, patron, ["Contact"])

    alert(sessions, settings)
    alert(sessions, settings, NOON.replace(hour=20, minute=1))
    assert late not in told_works(sessions, only(sessions))
    alert(sessions, settings, NOON.replace(hour=20) + DAY)

    _, second = deliveries(sessions)
    assert told_works(sessions, second) == {late}


def test_at_least_n_counts_what_may_ride_now(
    sessions: Sessions, settings: Settings
) -> None:
    with sessions.begin() as session:
        patron = ada(session)
        preferences.change(session, patron.id, at=NOON, at_least=2)
        brought(session, patron, interest_of(session, patron, Rhythm.MONTHLY))
        matched(session, patron, ["Contact"])

    assert alert(sessions, settings).waiting == 1
    assert deliveries(sessions) == []


def test_a_month_ends_by_the_calendar_of_the_patron(sessions: Sessions) -> None:
    with sessions.begin() as session:
        persian = make_patron(session, "Cy", language="fa_IR")
        interest = interest_of(session, persian, Rhythm.MONTHLY)

    first_of_farvardin = datetime(2026, 3, 21, 8, 0, tzinfo=UTC)
    assert interest.next_digest_at == first_of_farvardin


def test_the_foot_says_how_often_the_quickest_interest_comes(
    sessions: Sessions, settings: Settings
) -> None:
    with sessions.begin() as session:
        patron = ada(session)
        interest_of(session, patron, Rhythm.DAILY)
        matched(session, patron, ["Contact"])
    alert(sessions, settings)
    outbox = Outbox()

    deliver(sessions, settings, outbox)

    assert "It comes once a day at most." in outbox.taken[0].text


def test_another_hour_moves_the_clock_of_an_interest(sessions: Sessions) -> None:
    with sessions.begin() as session:
        patron = ada(session)
        interest = interest_of(session, patron, Rhythm.WEEKLY)
        preferences.change(session, patron.id, at=NOON, hour=20)

    assert interest.next_digest_at == SATURDAY.replace(hour=20)


def test_storing_what_was_chosen_already_moves_no_clock(sessions: Sessions) -> None:
    with sessions.begin() as session:
        patron = ada(session)
        interest = interest_of(session, patron, Rhythm.WEEKLY)
        set_rhythm(session, patron.id, interest.id, Rhythm.WEEKLY, at=SATURDAY + SECOND)
        preferences.change(session, patron.id, at=SATURDAY + SECOND, hour=8)

    assert interest.next_digest_at == SATURDAY


ZONES = ("Asia/Tehran", "Europe/Berlin", "Australia/Lord_Howe", "Pacific/Apia")
RHYTHMS = [Rhythm.DAILY, Rhythm.WEEKLY, Rhythm.MONTHLY]


@dataclass
class Life:
    """A patron's choices, and what happens after how long."""

    start: datetime
    zone: str
    language: str
    rhythm: Rhythm
    weekday: int
    hour: int
    own: list[Rhythm | None]
    steps: list[tuple[timedelta, int | str]]
    """After how long what: a work for an interest, or the hour changes."""


lives = st.builds(
    Life,
    start=THROUGH_2027,
    zone=st.sampled_from(ZONES),
    language=st.sampled_from(["en", "fa_IR"]),
    rhythm=st.sampled_from(RHYTHMS),
    weekday=st.integers(0, 6),
    hour=st.integers(0, 23),
    own=st.lists(st.sampled_from([None, *RHYTHMS]), min_size=3, max_size=3),
    steps=st.lists(
        st.tuples(
            st.timedeltas(timedelta(minutes=1), timedelta(days=4)),
            st.sampled_from([0, 0, 1, 1, 2, 2, "hour"]),
        ),
        min_size=4,
        max_size=12,
    ),
)
given_lives = given(life=lives)


@given_lives
@settings(of_one_patron_each, max_examples=4)
def test_each_alert_rides_once_and_never_before_its_interests_day(
    sessions: Sessions, settings: Settings, life: Life
) -> None:
    lived(sessions, settings, life)


@pytest.mark.slow
@given_lives
@settings(of_one_patron_each, max_examples=40)
def test_each_alert_rides_once_over_many_lives(
    sessions: Sessions, settings: Settings, life: Life
) -> None:
    lived(sessions, settings, life)


def lived(sessions: Sessions, settings: Settings, life: Life) -> None:
    house = replace(settings, message_cap=1000, allowance=1000, floor=0.0)
    patron, own = born(sessions, life)
    outbox = Outbox()
    not_before: dict[int, datetime] = {}
    at = life.start
    for after, what in life.steps:
        for moment in strikes(sessions, patron, before=at + after):
            tell(sessions, house, outbox, moment)
        at += after
        with sessions.begin() as session:
            if isinstance(what, int):
                work_id = brought(session, patron, own[what], at=at)
                not_before[work_id] = first_moment(life, life.own[what], at)
            else:
                life.hour = (life.hour + 5) % 24
                preferences.change(session, patron.id, at=at, hour=life.hour)
                not_before.clear()  # what waited has another moment now
        tell(sessions, house, outbox, at)
    for moment in strikes(sessions, patron, before=at + timedelta(days=33)):
        tell(sessions, house, outbox, moment)

    rode = came_once_each(sessions, patron, outbox)
    assert {alert_.work_id for alert_, _ in rode} >= not_before.keys()
    for alert_, digest in rode:
        moment = not_before.get(alert_.work_id, life.start)
        assert digest.created_at >= moment, (alert_.id, moment)
    assert_one_a_day(sessions, patron)


def first_moment(life: Life, rhythm: Rhythm | None, at: datetime) -> datetime:
    if rhythm is None:
        return at
    calendar = "jalali" if life.language == "fa_IR" else "gregorian"
    moment = next_digest_at(
        rhythm, life.weekday, life.hour, life.zone, calendar, at - SECOND
    )
    assert moment is not None
    return moment


def born(sessions: Sessions, life: Life) -> tuple[Patron, list[Interest]]:
    with sessions.begin() as session:
        session.execute(delete(Patron))  # or earlier lives would be lived on beside
        name = f"Reader{next(_numbers)}"
        patron = make_patron(
            session, name, consents=tuple(ConsentPurpose), language=life.language
        )
        preferences.change(
            session,
            patron.id,
            at=life.start,
            rhythm=life.rhythm,
            zone=life.zone,
            weekday=life.weekday,
            hour=life.hour,
        )
        own = [interest_of(session, patron, one, life.start) for one in life.own]
    return patron, own


def strikes(
    sessions: Sessions, patron: Patron, *, before: datetime
) -> Iterator[datetime]:
    """Yield each moment at which a clock of the patron strikes."""
    for _ in range(200):
        with reading(sessions) as session:
            preference = session.get_one(Preference, patron.id)
            own = preferences.own_rhythms(session, patron.id)
            clocks = [preference.next_digest_at, *(one.next_digest_at for one in own)]
        moment = min(filter(None, clocks), default=before)
        if moment >= before:
            return
        yield moment
    raise AssertionError("a clock stands still")


def assert_one_a_day(sessions: Sessions, patron: Patron) -> None:
    with reading(sessions) as session:
        zone = ZoneInfo(session.get_one(Preference, patron.id).zone)
        made = session.scalars(
            select(Delivery.created_at).where(Delivery.patron_id == patron.id)
        ).all()
    days = Counter(at.astimezone(zone).date() for at in made)
    assert set(days.values()) <= {1}, days
