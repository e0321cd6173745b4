"""When a patron is told: the next digest, and the end of quiet hours.

Pure. Wall times become moments here alone: an hour that a clock change skips is the
next moment there is, an hour that comes twice is its first.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from library.i18n.jalali import JALALI, next_month_start, to_jalali
from library.vocabulary import Rhythm

_DAY = timedelta(days=1)
_MINUTE = timedelta(minutes=1)


def next_digest_at(
    rhythm: Rhythm,
    weekday: int,
    hour: int,
    zone: str,
    calendar: str,
    after: datetime,
) -> datetime | None:
    """Return the first moment after `after` at which a digest is due.

    Args:
        rhythm: Daily, weekly, or monthly: on the first day of the month.
        weekday: For weekly; 0 is Monday.
        hour: Wall time in `zone`.
        zone: An IANA name.
        calendar: "jalali" or "gregorian": whose months count.
        after: A moment, usually that of the digest before.

    Returns:
        None when the patron wants no digests.
    """
    if rhythm is Rhythm.OFF:
        return None
    place = ZoneInfo(zone)
    start = after.astimezone(place).date()
    days = _days(rhythm, weekday, calendar, start)
    moments = (moment_of(day, time(hour), place) for day in days)
    return next(moment for moment in moments if moment > after)


def slot_of(moment: datetime, zone: str) -> date:
    """Return the local day a moment is on; each has one digest at most."""
    return moment.astimezone(ZoneInfo(zone)).date()


def is_over(day: date | None, zone: str, *, at: datetime) -> bool:
    """Tell whether a last day is over where its patron is; without one nothing ends."""
    return day is not None and day < slot_of(at, zone)


def end_of_day(day: date, zone: str) -> datetime:
    """Return the moment at which a local day is over."""
    return moment_of(day + _DAY, time(), ZoneInfo(zone)) - timedelta(microseconds=1)


def quiet_until(
    quiet_from: int | None, quiet_to: int | None, zone: str, at: datetime
) -> datetime | None:
    """Return the end of the quiet hours that `at` falls into, None if it is in none.

    Args:
        quiet_from: First quiet minute after local midnight.
        quiet_to: First minute that is not; the time between may cross midnight.
        zone: An IANA name.
        at: The moment asked about.
    """
    if quiet_from is None or quiet_to is None or quiet_from == quiet_to:
        return None
    place = ZoneInfo(zone)
    local = at.astimezone(place)
    minute = local.hour * 60 + local.minute
    if not _is_quiet(minute, quiet_from, quiet_to):
        return None
    day = local.date() if minute < quiet_to else local.date() + _DAY
    ends_at = time(quiet_to // 60, quiet_to % 60)
    first = moment_of(day, ends_at, place)
    if first > at:
        return first
    # A clock set back goes through these minutes again; their second end is meant.
    return _wall(day, ends_at, place, fold=1)


def moment_of(day: date, wall: time, place: ZoneInfo) -> datetime:
    """Return the moment at which a clock in `place` first shows this time, or more."""
    first = _wall(day, wall, place, fold=0)
    shown = first.astimezone(place)
    if shown.replace(tzinfo=None) == datetime.combine(day, wall):
        return first
    # Skipped. What the two offsets make of it lies on both sides of the change.
    return _change_between(_wall(day, wall, place, fold=1), first, place)


def _days(rhythm: Rhythm, weekday: int, calendar: str, start: date) -> Iterator[date]:
    if rhythm is Rhythm.MONTHLY:
        day = _month_start(start, calendar)
        while True:
            yield day
            day = _next_month(day, calendar)
    step = _DAY
    day = start
    if rhythm is Rhythm.WEEKLY:
        step = 7 * _DAY
        day += timedelta((weekday - start.weekday()) % 7)
    while True:
        yield day
        day += step


def _month_start(day: date, calendar: str) -> date:
    number = to_jalali(day).day if calendar == JALALI else day.day
    return day - timedelta(number - 1)


def _next_month(day: date, calendar: str) -> date:
    if calendar == JALALI:
        return next_month_start(day)
    return (day.replace(day=28) + timedelta(days=4)).replace(day=1)


def _is_quiet(minute: int, quiet_from: int, quiet_to: int) -> bool:
    if quiet_from < quiet_to:
        return quiet_from <= minute < quiet_to
    return minute >= quiet_from or minute < quiet_to


def _wall(day: date, wall: time, place: ZoneInfo, *, fold: int) -> datetime:
    local = datetime.combine(day, wall, tzinfo=place).replace(fold=fold)
    return local.astimezone(UTC)


def _change_between(low: datetime, high: datetime, place: ZoneInfo) -> datetime:
    before = low.astimezone(place).utcoffset()
    while high - low > timedelta(seconds=1):
        middle = low + (high - low) / 2
        if middle.astimezone(place).utcoffset() == before:
            low = middle
        else:
            high = middle
    return high.replace(microsecond=0)
