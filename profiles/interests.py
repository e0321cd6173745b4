"""Named profiles of weighted interests: added, weighed, switched off, replaced.

An interest is known by the squash of its label within a profile, so a word typed with
other letters is the same interest.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from library.errors import Conflict, InvalidInput, NotFound
from library.tables import Interest, InterestProfile
from library.text import canon, squash
from library.vocabulary import InterestKind, InterestOrigin
from profiles.patrons import hold_still

MAIN: Final = "main"
HEAVIEST: Final = 3.0
_LONGEST_KEY: Final = 400


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


@dataclass(frozen=True)
class Wanted:
    """An interest as somebody states it."""

    kind: InterestKind
    label: str
    weight: float = 1.0
    active: bool = True
    alerts: bool = True
    follow: bool = False
    new_works_only: bool = True
    ends_on: date | None = None


@dataclass(frozen=True)
class Narrowing:
    """What the works must also be for a profile's interests to count; empty: any."""

    languages: Sequence[str] = field(default=())
    formats: Sequence[str] = field(default=())
    branches: Sequence[str] = field(default=())


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
    return _view(session, _profile(session, profile_id))


def add_profile(
    session: Session, patron_id: int, name: str, narrowing: Narrowing | None = None
) -> int:
    """Add a profile; return its id.

    Raises:
        Conflict: The patron has one of this name.
        InvalidInput: The name is blank.
        NotFound: No such patron.
    """
    hold_still(session, patron_id)
    shown = _name(name)
    if _named(session, patron_id, shown):
        raise Conflict(f"there is a profile “{shown}” already")
    profile = InterestProfile(patron_id=patron_id, name=shown)
    _narrow(profile, narrowing or Narrowing())
    session.add(profile)
    session.flush()
    return profile.id


def replace_profile(  # noqa: PLR0913 -- all a profile holds
    session: Session,
    profile_id: int,
    *,
    name: str,
    narrowing: Narrowing,
    interests: Sequence[Wanted],
    origin: InterestOrigin,
    at: datetime,
) -> None:
    """Make the profile hold exactly this; an interest that stays keeps its id and age.

    An inferred interest that is among these is stated from now on; one that is left out
    is switched off, as it would else come back by itself.

    Raises:
        Conflict: Two of the interests are the same, or the name is taken.
        InvalidInput: A label or weight cannot be used.
        NotFound: No such profile.
    """
    profile = _profile(session, profile_id)
    hold_still(session, profile.patron_id)
    shown = _name(name)
    same = _named(session, profile.patron_id, shown)
    if same and same.id != profile.id:
        raise Conflict(f"there is a profile “{shown}” already")
    profile.name = shown
    _narrow(profile, narrowing)
    there = {(i.kind, i.squash): i for i in _interests(session, profile_id)}
    for key, wanted in _keyed(interests).items():
        interest = there.pop(key, None) or _new(profile_id, key, origin, at)
        _set(interest, wanted, origin)
        session.add(interest)
    for left_out in there.values():
        _take_out(session, left_out)
    profile.version += 1
    session.flush()


def remove_profile(session: Session, profile_id: int) -> None:
    """Remove a profile and the interests in it.

    Raises:
        NotFound: No such profile.
    """
    profile = _profile(session, profile_id)
    hold_still(session, profile.patron_id)
    session.delete(profile)
    session.flush()


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
    key = _key(wanted)
    row = _named(session, patron_id, _name(profile))
    profile_id = row.id if row else add_profile(session, patron_id, profile)
    there = _find(session, profile_id, key)
    if there and there.origin is not InterestOrigin.INFERRED:
        raise InterestThere(there)
    interest = there or _new(profile_id, key, origin, at)
    _set(interest, wanted, origin)
    session.add(interest)
    _touch(session, profile_id)
    return interest


def change_interest(  # noqa: PLR0913 -- each side of it may change alone
    session: Session,
    patron_id: int,
    interest_id: int,
    *,
    weight: float | None = None,
    active: bool | None = None,
    ends_on: date | None = None,
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
        interest.weight = _weight(weight)
        if interest.origin is InterestOrigin.INFERRED:
            interest.origin = InterestOrigin.STATED
    given: dict[str, Any] = {
        "active": active,
        "ends_on": ends_on,
        "alerts": alerts,
        "follow": follow,
    }
    for name, value in given.items():
        if value is not None:
            setattr(interest, name, value)
    if ends_on is not None:
        interest.warned_on = None
    _touch(session, interest.interest_profile_id)
    return interest


def remove_interest(session: Session, patron_id: int, interest_id: int) -> None:
    """Remove one of the patron's interests.

    An inferred one is switched off instead, as it would else come back by itself.

    Raises:
        NotFound: The patron has no such interest.
    """
    interest = _mine(session, patron_id, interest_id)
    _take_out(session, interest)
    _touch(session, interest.interest_profile_id)


def show_interest(session: Session, patron_id: int, interest_id: int) -> InterestView:
    """Return one of the patron's interests.

    Raises:
        NotFound: The patron has no such interest.
    """
    return _interest_view(_find_mine(session, patron_id, interest_id))


def _profile(session: Session, profile_id: int) -> InterestProfile:
    profile = session.get(InterestProfile, profile_id)
    if profile is None:
        raise NotFound(f"no interest profile {profile_id}")
    return profile


def _named(session: Session, patron_id: int, name: str) -> InterestProfile | None:
    return session.scalar(
        select(InterestProfile).where(
            InterestProfile.patron_id == patron_id, InterestProfile.name == name
        )
    )


def _interests(session: Session, profile_id: int) -> Sequence[Interest]:
    return session.scalars(
        select(Interest)
        .where(Interest.interest_profile_id == profile_id)
        .order_by(Interest.weight.desc(), Interest.id)
    ).all()


def _find(
    session: Session, profile_id: int, key: tuple[InterestKind, str]
) -> Interest | None:
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


def _touch(session: Session, profile_id: int) -> None:
    _profile(session, profile_id).version += 1
    session.flush()


def _take_out(session: Session, interest: Interest) -> None:
    if interest.origin is InterestOrigin.INFERRED:
        interest.active = False
    else:
        session.delete(interest)


def _new(
    profile_id: int,
    key: tuple[InterestKind, str],
    origin: InterestOrigin,
    at: datetime,
) -> Interest:
    return Interest(
        interest_profile_id=profile_id,
        kind=key[0],
        squash=key[1],
        origin=origin,
        created_at=at,
    )


def _set(interest: Interest, wanted: Wanted, origin: InterestOrigin) -> None:
    if interest.origin is InterestOrigin.INFERRED:
        interest.origin = origin
    interest.label = canon(wanted.label)
    interest.weight = _weight(wanted.weight)
    interest.active, interest.alerts = wanted.active, wanted.alerts
    interest.follow, interest.new_works_only = wanted.follow, wanted.new_works_only
    interest.ends_on = wanted.ends_on


def _narrow(profile: InterestProfile, narrowing: Narrowing) -> None:
    profile.languages = list(narrowing.languages)
    profile.formats = list(narrowing.formats)
    profile.branches = list(narrowing.branches)


def _keyed(
    interests: Sequence[Wanted],
) -> dict[tuple[InterestKind, str], Wanted]:
    keyed = {_key(wanted): wanted for wanted in interests}
    if len(keyed) < len(interests):
        raise Conflict("two of the interests are the same")
    return keyed


def _key(wanted: Wanted) -> tuple[InterestKind, str]:
    key = squash(wanted.label)
    if not key or len(key) > _LONGEST_KEY:
        raise InvalidInput(
            "an interest needs a letter or digit, and no more than "
            f"{_LONGEST_KEY} of them",
            field="label",
        )
    return wanted.kind, key


def _weight(weight: float) -> float:
    if not 0 <= weight <= HEAVIEST:
        raise InvalidInput(f"a weight is from 0 to {HEAVIEST:g}", field="weight")
    return weight


def _name(name: str) -> str:
    shown = canon(name)
    if not shown or len(shown) > 200:
        raise InvalidInput("a profile's name has 1 to 200 letters", field="name")
    return shown


def _view(session: Session, profile: InterestProfile) -> ProfileView:
    return ProfileView(
        id=profile.id,
        patron_id=profile.patron_id,
        name=profile.name,
        languages=tuple(profile.languages),
        formats=tuple(profile.formats),
        branches=tuple(profile.branches),
        interests=tuple(map(_interest_view, _interests(session, profile.id))),
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
    )
