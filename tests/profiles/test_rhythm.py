from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from library.vocabulary import Rhythm
from profiles.rhythm import (
    end_of_day,
    moment_of,
    next_digest_at,
    quiet_until,
    slot_of,
)

SATURDAY = 5


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("rhythm", "zone", "calendar", "after", "due"),
    [
        pytest.param(
            *(Rhythm.WEEKLY, "Asia/Tehran", "jalali"),
            *("2026-03-01T12:00", "2026-03-07T04:30"),
            id="weekly, Saturday 08:00 in Tehran",
        ),
        pytest.param(
            *(Rhythm.WEEKLY, "Asia/Tehran", "jalali"),
            *("2026-07-01T12:00", "2026-07-04T04:30"),
            id="no summer time in Iran since 2022",
        ),
        pytest.param(
            *(Rhythm.WEEKLY, "Asia/Tehran", "jalali"),
            *("2026-03-07T04:30", "2026-03-14T04:30"),
            id="at the very moment the next week's",
        ),
        pytest.param(
            *(Rhythm.DAILY, "UTC", "gregorian"),
            *("2026-03-01T07:59", "2026-03-01T08:00"),
            id="daily, the same day",
        ),
        pytest.param(
            *(Rhythm.DAILY, "America/New_York", "gregorian"),
            *("2026-03-08T03:00", "2026-03-08T12:00"),
            id="daily, the hour after the clock change",
        ),
        pytest.param(
            *(Rhythm.MONTHLY, "Asia/Tehran", "jalali"),
            *("2026-03-01T12:00", "2026-03-21T04:30"),
            id="monthly, 1 Farvardin 1405",
        ),
        pytest.param(
            *(Rhythm.MONTHLY, "UTC", "gregorian"),
            *("2026-01-31T12:00", "2026-02-01T08:00"),
            id="monthly, the first",
        ),
        pytest.param(
            *(Rhythm.MONTHLY, "UTC", "gregorian"),
            *("2026-12-01T08:00", "2027-01-01T08:00"),
            id="monthly, over the year",
        ),
    ],
)
def test_the_next_digest(
    rhythm: Rhythm, zone: str, calendar: str, after: str, due: str
) -> None:
    found = next_digest_at(rhythm, SATURDAY, 8, zone, calendar, at(after))

    assert found == at(due)


def test_who_wants_none_has_no_next() -> None:
    assert next_digest_at(Rhythm.OFF, 5, 8, "UTC", "jalali", at("2026-01-01")) is None


def test_an_hour_that_is_skipped_is_the_next_moment_there_is() -> None:
    berlin = ZoneInfo("Europe/Berlin")

    found = moment_of(date(2027, 3, 28), time(2, 30), berlin)

    assert found == at("2027-03-28T01:00")  # 03:00 there, the first after 01:59


def test_an_hour_that_comes_twice_is_its_first() -> None:
    berlin = ZoneInfo("Europe/Berlin")

    found = moment_of(date(2027, 10, 31), time(2, 30), berlin)

    assert found == at("2027-10-31T00:30")


@pytest.mark.parametrize(
    ("start", "end", "now", "until"),
    [
        pytest.param(22, 7, "23:30", "2026-03-02T07:00", id="over midnight, before it"),
        pytest.param(22, 7, "00:30", "2026-03-01T07:00", id="over midnight, after it"),
        pytest.param(22, 7, "07:00", None, id="the end is not quiet"),
        pytest.param(22, 7, "12:00", None, id="by day"),
        pytest.param(12, 14, "12:00", "2026-03-01T14:00", id="by day, quiet"),
        pytest.param(8, 8, "08:00", None, id="none at all"),
    ],
)
def test_quiet_hours(start: int, end: int, now: str, until: str | None) -> None:
    found = quiet_until(start * 60, end * 60, "UTC", at(f"2026-03-01T{now}"))

    assert found == (at(until) if until else None)


def test_quiet_hours_end_after_the_second_pass_of_a_clock_set_back() -> None:
    second_pass = at("2027-10-31T01:10")  # 02:10 in Berlin, for the second time

    found = quiet_until(0, 2 * 60 + 30, "Europe/Berlin", second_pass)

    assert found == at("2027-10-31T01:30")


@given(
    zone=st.sampled_from(sorted(available_timezones())),
    start=st.integers(0, 1439),
    end=st.integers(0, 1439),
    now=st.datetimes(datetime(2026, 1, 1), datetime(2028, 1, 1)),
)
def test_quiet_hours_always_end(zone: str, start: int, end: int, now: datetime) -> None:
    moment = now.replace(tzinfo=UTC)
    until = quiet_until(start, end, zone, moment)

    if until:
        assert moment < until < moment + timedelta(hours=27)


def test_fr8_one_digest_per_local_date_in_every_zone_and_change_of_2027(
    record_property: Callable[[str, object], None],
) -> None:
    """Each half hour from 00:00 to 03:30 cannot be set; each hour can."""
    record_property("size", len(available_timezones()))
    for zone in sorted(available_timezones()):
        for first in _around_changes(zone):
            for hour in range(4):
                _expect_one_a_day(zone, hour, first)


@pytest.mark.parametrize("half", range(8))
def test_fr8_every_half_hour_is_one_moment_of_its_date(
    half: int, record_property: Callable[[str, object], None]
) -> None:
    record_property("size", len(available_timezones()))
    wall = time(half // 2, half % 2 * 30)
    for zone in sorted(available_timezones()):
        place = ZoneInfo(zone)
        for first in _around_changes(zone):
            days = [first + timedelta(n) for n in range(4)]
            moments = [moment_of(day, wall, place) for day in days]
            assert [slot_of(one, zone) for one in moments] == days
            assert moments == sorted(set(moments))


def _expect_one_a_day(zone: str, hour: int, first: date) -> None:
    due = end_of_day(first - timedelta(1), zone)
    slots = []
    for _ in range(4):
        found = next_digest_at(Rhythm.DAILY, 0, hour, zone, "gregorian", due)
        assert found is not None
        due = found
        slots.append(slot_of(due, zone))
    assert slots == [first + timedelta(n) for n in range(4)]


def _around_changes(zone: str) -> list[date]:
    """Return the day before the day before each change of the clock in 2027."""
    place = ZoneInfo(zone)
    noons = [datetime(2027, 1, 1, 12, tzinfo=UTC) + timedelta(n) for n in range(365)]
    offsets = [noon.astimezone(place).utcoffset() for noon in noons]
    changes = [n for n in range(1, 365) if offsets[n] != offsets[n - 1]]
    return [noons[n].date() - timedelta(2) for n in changes]
