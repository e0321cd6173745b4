"""When a patron may be told: one clock of the patron, one of each interest apart.

The patron's own rhythm has its clock in `preference`, an interest with a rhythm of its
own in `interest`; what has none goes by the patron's. All of a patron's clocks strike
on the patron's weekday and at the patron's hour.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import ColumnElement, func, or_, select, union_all
from sqlalchemy.orm import Session, aliased

from library.tables import Interest, InterestProfile, Patron, Preference
from library.vocabulary import Rhythm
from profiles import preferences
from profiles.rhythm import end_of_day, slot_of

_CLOCK = func.coalesce(Interest.next_digest_at, Preference.next_digest_at)


def may_ride(at: datetime) -> ColumnElement[bool]:
    """Tell in SQL whether what an interest brought may be told now.

    Of `interest`, outer-joined, and `preference`. A patron who never had a digest is
    told at once of what goes by the patron's own rhythm.
    """
    return or_(_CLOCK.is_(None), at >= _CLOCK)


def has_struck(at: datetime) -> ColumnElement[bool]:
    """Tell in SQL whether one of a patron's clocks has struck, or was never set."""
    return or_(Preference.next_digest_at.is_(None), is_past(at))


def is_past(at: datetime) -> ColumnElement[bool]:
    """Tell in SQL whether one of a patron's clocks was set, and has struck."""
    # One by one, so that each can go by its index: most patrons are not due.
    own = aliased(Preference)
    of_patrons = select(own.patron_id).where(own.next_digest_at <= at)
    of_interests = (
        select(InterestProfile.patron_id)
        .join(Interest, Interest.interest_profile_id == InterestProfile.id)
        .where(Interest.next_digest_at <= at)
    )
    return Patron.id.in_(union_all(of_patrons, of_interests))


@dataclass(frozen=True)
class Clocks:
    """All clocks of one patron, held until the transaction ends."""

    preference: Preference
    interests: Sequence[Interest]
    """Those with a clock of their own."""
    calendar: str

    def struck(self, at: datetime) -> list[Preference | Interest]:
        """Return those whose moment has come."""
        return [one for one in self._all() if _has_come(one.next_digest_at, at)]

    def rhythms(self, at: datetime) -> set[Rhythm]:
        """Return in which rhythms something may be told now."""
        return {_rhythm(one) for one in self.struck(at)}

    def slot(self, at: datetime) -> date:
        """Return the local day whose digest it is now: that of the longest wait."""
        moments = [one.next_digest_at or at for one in self.struck(at)]
        return slot_of(min(moments, default=at), self.preference.zone)

    def yesterday(self, at: datetime) -> datetime:
        """Return the last moment before the patron's local day."""
        zone = self.preference.zone
        return end_of_day(slot_of(at, zone) - timedelta(days=1), zone)

    def pass_by(self, at: datetime) -> None:
        """Set what has struck to its next moment; nothing was told.

        Who never had a digest stays due at once.
        """
        for one in self.struck(at):
            if one.next_digest_at is not None:
                one.next_digest_at = self._next(_rhythm(one), at)

    def told(self, at: datetime) -> None:
        """Set what has struck to its next moment; nothing more strikes that day."""
        for one in self.struck(at):
            one.next_digest_at = self._next(_rhythm(one), self._tonight(at))
        self.put_off(at)

    def put_off(self, at: datetime) -> None:
        """Let what strikes today strike tomorrow: a day has one digest."""
        tonight = self._tonight(at)
        for one in self._all():
            if _has_come(one.next_digest_at, tonight):
                one.next_digest_at = self._next(Rhythm.DAILY, tonight)

    def _all(self) -> list[Preference | Interest]:
        return [self.preference, *self.interests]

    def _tonight(self, at: datetime) -> datetime:
        zone = self.preference.zone
        return end_of_day(slot_of(at, zone), zone)

    def _next(self, rhythm: Rhythm, after: datetime) -> datetime | None:
        return preferences.next_after(self.preference, rhythm, self.calendar, after)


def hold_clocks(session: Session, patron_id: int, at: datetime) -> Clocks | None:
    """Hold a patron's clocks; None where none has struck, or another builder has them.

    A patron without preferences gets the default ones.
    """
    # The patron first, as who erases one does, or each could wait for the other.
    stays = {"read": True, "key_share": True}
    if session.get(Patron, patron_id, with_for_update=stays) is None:
        return None
    held = (
        select(Preference)
        .where(Preference.patron_id == patron_id)
        .with_for_update(skip_locked=True)
        .execution_options(populate_existing=True)
    )
    preference = session.scalar(held)
    if preference is None:  # another has them, or there are none
        preferences.stored(session, patron_id)
        preference = session.scalar(held)
    if preference is None:
        return None
    (clocks,) = clocks_of(session, [preference])
    return clocks if clocks.struck(at) else None


def clocks_of(session: Session, held: Sequence[Preference]) -> list[Clocks]:
    """Return the clocks of patrons whose preferences are held, and hold them too."""
    ids = [preference.patron_id for preference in held]
    patrons = session.scalars(select(Patron).where(Patron.id.in_(ids)))
    calendars = {patron.id: preferences.calendar_of(patron) for patron in patrons}
    interests: dict[int, list[Interest]] = defaultdict(list)
    for patron_id, interest in session.execute(
        select(InterestProfile.patron_id, Interest)
        .join(Interest, Interest.interest_profile_id == InterestProfile.id)
        .where(InterestProfile.patron_id.in_(ids), Interest.next_digest_at.is_not(None))
        .order_by(Interest.id)
        .with_for_update(of=Interest)
    ):
        interests[patron_id].append(interest)
    return [
        Clocks(one, interests[one.patron_id], calendars[one.patron_id]) for one in held
    ]


def _has_come(moment: datetime | None, at: datetime) -> bool:
    return moment is None or moment <= at


def _rhythm(one: Preference | Interest) -> Rhythm:
    # The page is looked after daily where no digest is wanted.
    rhythm = one.rhythm or Rhythm.DAILY
    return Rhythm.DAILY if rhythm is Rhythm.OFF else rhythm
