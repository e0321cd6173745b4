"""How a patron wants to be told: rhythm, hour, channel, quiet hours, pause.

An interest may have a rhythm of its own, on the patron's weekday and hour.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TypedDict, Unpack
from zoneinfo import available_timezones

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from library.db import insert_into
from library.errors import InvalidInput, NotFound
from library.i18n.jalali import GREGORIAN, JALALI
from library.i18n.messages import PERSIAN
from library.tables import (
    Branch,
    Delivery,
    Interest,
    InterestProfile,
    Patron,
    Pause,
    Preference,
)
from library.vocabulary import Channel, DeliveryState, Purpose, Rhythm
from profiles.causes import Cause
from profiles.patrons import hold_still
from profiles.rhythm import next_digest_at

__all__ = [
    "EVERYTHING",
    "Changes",
    "calendar_of",
    "change",
    "free_held",
    "get",
    "next_after",
    "next_digest_at",
    "own_rhythms",
    "pause",
    "pause_end",
    "pauses",
    "resume",
    "set_rhythm_of",
    "speak",
    "stored",
]

EVERYTHING = "all"
"""The scope of a pause of all messages; else it is a purpose."""

_SCOPES = frozenset({EVERYTHING, *Purpose})
_RHYTHM_FIELDS = frozenset({"rhythm", "weekday", "hour", "zone"})
_QUIET_FIELDS = frozenset({"quiet_from", "quiet_to", "zone"})


class Changes(TypedDict, total=False):
    """What a patron may set; see the columns of `Preference`."""

    rhythm: Rhythm
    weekday: int
    hour: int
    zone: str
    channel: Channel
    quiet_from: int | None
    quiet_to: int | None
    at_least: int
    discreet: bool


_VALID: dict[str, Callable[[object], bool]] = {
    "weekday": lambda value: value in range(7),
    "hour": lambda value: value in range(24),
    "zone": lambda value: value in available_timezones(),
    "quiet_from": lambda value: value is None or value in range(24 * 60),
    "quiet_to": lambda value: value is None or value in range(24 * 60),
    "at_least": lambda value: value in range(1, 101),
}


def get(session: Session, patron_id: int) -> Preference:
    """Return the patron's preferences; what was never set has its default.

    Raises:
        NotFound: There is no such patron.
    """
    found = session.get(Preference, patron_id)
    if found is not None:
        return found
    zone = session.scalar(
        select(Branch.zone)
        .join(Patron, Patron.branch_id == Branch.id)
        .where(Patron.id == patron_id)
    )
    if zone is None:
        raise NotFound(f"there is no patron {patron_id}")
    return Preference(
        patron_id=patron_id,
        rhythm=Rhythm.WEEKLY,
        weekday=5,
        hour=8,
        zone=zone,
        channel=Channel.EMAIL,
        at_least=1,
        discreet=False,
        layout={},
    )


def stored(session: Session, patron_id: int) -> Preference:
    """Return the patron's preferences to be changed; stored now if they never were.

    Raises:
        NotFound: There is no such patron.
    """
    preference = get(session, patron_id)
    if preference in session:
        return preference
    # A page and the run that makes alerts may both be the first to need them.
    first = insert_into(session, Preference).values(
        patron_id=patron_id, zone=preference.zone
    )
    session.execute(first.on_conflict_do_nothing())
    return session.get_one(Preference, patron_id)


def change(
    session: Session, patron_id: int, *, at: datetime, **fields: Unpack[Changes]
) -> Preference:
    """Set some preferences, and work out anew what hangs on them.

    Messages that only the old quiet hours held back are free at once.

    Raises:
        InvalidInput: A value cannot be used; `field` names it.
        NotFound: There is no such patron.
    """
    preference = stored(session, patron_id)
    was_off = preference.rhythm is Rhythm.OFF
    new = {name for name, value in fields.items() if getattr(preference, name) != value}
    for name, value in fields.items():
        if name in _VALID and not _VALID[name](value):
            raise InvalidInput(f"{name}: {value!r} cannot be used", field=name)
        setattr(preference, name, value)
    if _RHYTHM_FIELDS & new:
        _set_clocks(session, preference, at, was_off=was_off)
    if _QUIET_FIELDS & fields.keys():
        free_held(session, patron_id, Cause.QUIET, at=at)
    session.flush()
    return preference


def next_after(
    preference: Preference, rhythm: Rhythm, calendar: str, after: datetime
) -> datetime | None:
    """Return the first moment after `after` of this rhythm, on the patron's days."""
    return next_digest_at(
        rhythm,
        preference.weekday,
        preference.hour,
        preference.zone,
        calendar,
        after,
    )


def own_rhythms(session: Session, patron_id: int) -> Sequence[Interest]:
    """Return the patron's interests that have a rhythm of their own."""
    return session.scalars(
        select(Interest)
        .join(InterestProfile, InterestProfile.id == Interest.interest_profile_id)
        .where(InterestProfile.patron_id == patron_id, Interest.rhythm.is_not(None))
        .order_by(Interest.id)
    ).all()


def set_rhythm_of(
    session: Session,
    interest: Interest,
    rhythm: Rhythm | None,
    *,
    patron_id: int,
    at: datetime,
) -> None:
    """Let an interest's alerts come at a rhythm of its own; None: at the patron's.

    They come on the patron's weekday and at the patron's hour, from `at` on; one that
    has this rhythm already keeps its next moment. Off: they are on the page alone.
    """
    if rhythm is interest.rhythm:
        return
    interest.rhythm, interest.next_digest_at = rhythm, None
    if rhythm is not None:
        calendar = calendar_of(session.get_one(Patron, patron_id))
        preference = get(session, patron_id)
        interest.next_digest_at = next_after(preference, rhythm, calendar, at)


def calendar_of(patron: Patron) -> str:
    """Return the calendar the patron chose, or that of their language."""
    return patron.calendar or (JALALI if patron.language == PERSIAN else GREGORIAN)


def speak(
    session: Session,
    patron_id: int,
    language: str,
    *,
    calendar: str | None,
    digits: str | None,
    at: datetime,
) -> None:
    """Set how the patron is spoken to; in another calendar, months begin elsewhere.

    Raises:
        NotFound: There is no such patron.
    """
    patron = hold_still(session, patron_id)
    before = calendar_of(patron)
    patron.language, patron.calendar, patron.digits = language, calendar, digits
    if calendar_of(patron) != before:
        _set_clocks(session, stored(session, patron_id), at, was_off=False)


def pauses(session: Session, patron_id: int, *, at: datetime) -> dict[str, datetime]:
    """Return until when each scope is paused; one without an end is `datetime.max`."""
    rows = session.execute(
        select(Pause.scope, Pause.until).where(Pause.patron_id == patron_id)
    )
    ends = ((scope, pause_end(until)) for scope, until in rows)
    return {scope: until for scope, until in ends if until > at}


def pause_end(until: datetime | None) -> datetime:
    """Return when a pause ends; one without an end, at the end of time."""
    return until or datetime.max.replace(tzinfo=UTC) - timedelta(days=366)


def pause(
    session: Session, patron_id: int, scope: str = EVERYTHING, *, until: datetime | None
) -> None:
    """Send nothing of `scope` until a moment, or until the patron says otherwise.

    Raises:
        InvalidInput: `scope` is neither "all" nor a purpose.
    """
    if scope not in _SCOPES:
        raise InvalidInput(f"{scope!r} cannot be paused", field="scope")
    row = insert_into(session, Pause).values(
        patron_id=patron_id, scope=scope, until=until
    )
    session.execute(
        row.on_conflict_do_update(
            index_elements=[Pause.patron_id, Pause.scope],
            set_={"until": row.excluded.until},
        )
    )


def resume(
    session: Session, patron_id: int, scope: str = EVERYTHING, *, at: datetime
) -> None:
    """End a pause now; what it held back is free at once."""
    session.execute(
        delete(Pause).where(Pause.patron_id == patron_id, Pause.scope == scope)
    )
    free_held(session, patron_id, Cause.PAUSE, at=at)


def free_held(session: Session, patron_id: int, cause: Cause, *, at: datetime) -> None:
    """Make due what waits for this cause; the gate is asked again then."""
    session.execute(
        update(Delivery)
        .where(
            Delivery.patron_id == patron_id,
            Delivery.state == DeliveryState.PENDING,
            Delivery.cause == cause,
            Delivery.due_at > at,
        )
        .values(due_at=at)
    )


def _set_clocks(
    session: Session, preference: Preference, at: datetime, *, was_off: bool
) -> None:
    calendar = calendar_of(session.get_one(Patron, preference.patron_id))
    # A patron who never had a digest stays due at once, whatever the rhythm.
    if was_off or preference.next_digest_at is not None:
        preference.next_digest_at = next_after(
            preference, preference.rhythm, calendar, at
        )
    for interest in own_rhythms(session, preference.patron_id):
        if interest.rhythm is not None:
            interest.next_digest_at = next_after(
                preference, interest.rhythm, calendar, at
            )
