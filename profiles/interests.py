"""A patron's interests, one by one: added, weighed, switched off, removed."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from library.errors import Conflict, NotFound
from library.tables import Interest, InterestProfile
from library.vocabulary import InterestKind, InterestOrigin, Rhythm
from profiles.interest_profiles import (
    MAIN,
    Key,
    Wanted,
    add_profile,
    find_named,
    find_profile,
    interests_in,
    put,
    take_out,
    touch,
)
from profiles.interest_rules import checked_weight, profile_name
from profiles.patrons import hold_still
from profiles.preferences import get as get_preference
from profiles.preferences import own_rhythms, set_rhythm_of

_QUICKER: Final = {
    Rhythm.WEEKLY: {Rhythm.DAILY},
    Rhythm.MONTHLY: {Rhythm.DAILY, Rhythm.WEEKLY},
}


class InterestThere(Conflict):
    """The profile has this interest already.

    Attributes:
        interest_id: The one that is there.
        label: As it is spelled there.
    """

    def __init__(self, interest: Interest) -> None:
        super().__init__(f"“{interest.label}” is among the interests already")
        self.interest_id = interest.id
        self.label = interest.label


@dataclass(frozen=True)
class InterestView:
    """One interest as pages and the API show it."""

    id: int
    kind: InterestKind
    label: str
    weight: float
    origin: InterestOrigin
    active: bool
    alerts: bool
    follow: bool
    new_works_only: bool
    ends_on: date | None
    rhythm: Rhythm | None


@dataclass(frozen=True)
class ProfileView:
    """One profile with its interests, the heaviest first."""

    id: int
    patron_id: int
    name: str
    languages: tuple[str, ...]
    formats: tuple[str, ...]
    branches: tuple[str, ...]
    interests: tuple[InterestView, ...]


def list_profiles(session: Session, patron_id: int) -> list[ProfileView]:
    """Return the patron's profiles, the oldest first."""
    mine = select(InterestProfile).where(InterestProfile.patron_id == patron_id)
    return [
        _view(session, profile)
        for profile in session.scalars(mine.order_by(InterestProfile.id))
    ]


def show_profile(session: Session, profile_id: int) -> ProfileView:
    """Return one profile.

    Raises:
        NotFound: No such profile.
    """
    return _view(session, find_profile(session, profile_id))


def add_interest(  # noqa: PLR0913 -- what, how much, where to, by whom, when
    session: Session,
    patron_id: int,
    *,
    kind: InterestKind,
    label: str,
    weight: float = 1.0,
    profile: str = MAIN,
    origin: InterestOrigin = InterestOrigin.STATED,
    at: datetime,
) -> Interest:
    """Add an interest to one of the patron's profiles, made if there is none.

    An inferred one of the same name becomes the patron's own, with this weight.

    Raises:
        InterestThere: It is there in some spelling.
        InvalidInput: The label has no letter or digit, or the weight is out of range.
        NotFound: No such patron.
    """
    hold_still(session, patron_id)
    wanted = Wanted(kind, label, weight)
    row = find_named(session, patron_id, profile_name(profile))
    profile_id = row.id if row else add_profile(session, patron_id, profile)
    there = _find(session, profile_id, wanted.key)
    if there and there.origin is not InterestOrigin.INFERRED:
        raise InterestThere(there)
    interest = put(session, profile_id, there, wanted, origin=origin, at=at)
    touch(session, profile_id)
    return interest


def change_interest(  # noqa: PLR0913 -- each side of it may change alone
    session: Session,
    patron_id: int,
    interest_id: int,
    *,
    weight: float | None = None,
    active: bool | None = None,
    alerts: bool | None = None,
    follow: bool | None = None,
) -> Interest:
    """Change what is given of one of the patron's interests; None leaves it.

    Weighing an inferred interest makes it the patron's own.

    Raises:
        InvalidInput: The weight is out of range.
        NotFound: The patron has no such interest.
    """
    interest = _mine(session, patron_id, interest_id)
    if weight is not None:
        interest.weight = checked_weight(weight)
        if interest.origin is InterestOrigin.INFERRED:
            interest.origin = InterestOrigin.STATED
    given: dict[str, Any] = {
        "active": active,
        "alerts": alerts,
        "follow": follow,
    }
    for name, value in given.items():
        if value is not None:
            setattr(interest, name, value)
    touch(session, interest.interest_profile_id)
    return interest


def end_on(
    session: Session, patron_id: int, interest_id: int, day: date | None
) -> None:
    """Let an interest end with a day; None: with none.

    Raises:
        NotFound: The patron has no such interest.
    """
    interest = _mine(session, patron_id, interest_id)
    interest.ends_on, interest.warned_on = day, None
    touch(session, interest.interest_profile_id)


def set_rhythm(
    session: Session,
    patron_id: int,
    interest_id: int,
    rhythm: Rhythm | None,
    *,
    at: datetime,
) -> None:
    """Let an interest's alerts come at a rhythm of its own; None: at the patron's.

    Raises:
        NotFound: The patron has no such interest.
    """
    interest = _mine(session, patron_id, interest_id)
    set_rhythm_of(session, interest, rhythm, patron_id=patron_id, at=at)
    touch(session, interest.interest_profile_id)


def slower(session: Session, patron_id: int) -> list[Rhythm]:
    """Return the rhythms at which the patron would get fewer messages than now."""
    rhythm = get_preference(session, patron_id).rhythm
    if rhythm is Rhythm.OFF:
        return []
    now = {rhythm, *(one.rhythm for one in own_rhythms(session, patron_id))}
    return [one for one, quicker in _QUICKER.items() if now & quicker]


def slow_down(
    session: Session, patron_id: int, rhythm: Rhythm, *, at: datetime
) -> None:
    """Let no interest of the patron come more often than this."""
    hold_still(session, patron_id)
    for interest in own_rhythms(session, patron_id):
        if interest.rhythm in _QUICKER.get(rhythm, ()):
            set_rhythm_of(session, interest, None, patron_id=patron_id, at=at)
            touch(session, interest.interest_profile_id)


def remove_interest(session: Session, patron_id: int, interest_id: int) -> None:
    """Remove one of the patron's interests.

    An inferred one is switched off instead, as it would else come back by itself.

    Raises:
        NotFound: The patron has no such interest.
    """
    interest = _mine(session, patron_id, interest_id)
    take_out(session, interest)
    touch(session, interest.interest_profile_id)


def show_interest(session: Session, patron_id: int, interest_id: int) -> InterestView:
    """Return one of the patron's interests.

    Raises:
        NotFound: The patron has no such interest.
    """
    return _interest_view(_find_mine(session, patron_id, interest_id))


def _find(session: Session, profile_id: int, key: Key) -> Interest | None:
    return session.scalar(
        select(Interest).where(
            Interest.interest_profile_id == profile_id,
            Interest.kind == key[0],
            Interest.squash == key[1],
        )
    )


def _mine(session: Session, patron_id: int, interest_id: int) -> Interest:
    hold_still(session, patron_id)
    return _find_mine(session, patron_id, interest_id)


def _find_mine(session: Session, patron_id: int, interest_id: int) -> Interest:
    interest = session.scalar(
        select(Interest)
        .join(InterestProfile, InterestProfile.id == Interest.interest_profile_id)
        .where(Interest.id == interest_id, InterestProfile.patron_id == patron_id)
    )
    if interest is None:
        raise NotFound(f"no interest {interest_id}")
    return interest


def _view(session: Session, profile: InterestProfile) -> ProfileView:
    return ProfileView(
        id=profile.id,
        patron_id=profile.patron_id,
        name=profile.name,
        languages=tuple(profile.languages),
        formats=tuple(profile.formats),
        branches=tuple(profile.branches),
        interests=tuple(map(_interest_view, interests_in(session, profile.id))),
    )


def _interest_view(interest: Interest) -> InterestView:
    return InterestView(
        id=interest.id,
        kind=interest.kind,
        label=interest.label,
        weight=interest.weight,
        origin=interest.origin,
        active=interest.active,
        alerts=interest.alerts,
        follow=interest.follow,
        new_works_only=interest.new_works_only,
        ends_on=interest.ends_on,
        rhythm=interest.rhythm,
    )
