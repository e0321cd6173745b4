"""Whole interest profiles: added, replaced by another state, removed.

An interest is known by the squash of its label within a profile, so a word typed with
other letters is the same interest.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from library.errors import Conflict, NotFound
from library.tables import Interest, InterestProfile
from library.text import canon
from library.vocabulary import InterestKind, InterestOrigin, Rhythm
from profiles.interest_rules import checked_weight, key_of, profile_name
from profiles.patrons import hold_still
from profiles.preferences import set_rhythm_of

MAIN: Final = "main"
"""The profile of a patron who never named one."""
Key = tuple[InterestKind, str]


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
    rhythm: Rhythm | None = None

    @property
    def key(self) -> Key:
        """What it is known by in its profile."""
        return self.kind, key_of(self.label)


@dataclass(frozen=True)
class Narrowing:
    """What the works must also be for a profile's interests to count; empty: any."""

    languages: Sequence[str] = field(default=())
    formats: Sequence[str] = field(default=())
    branches: Sequence[str] = field(default=())


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
    shown = profile_name(name)
    if find_named(session, patron_id, shown):
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
    profile = find_profile(session, profile_id)
    hold_still(session, profile.patron_id)
    _rename(session, profile, name)
    _narrow(profile, narrowing)
    there = {(i.kind, i.squash): i for i in interests_in(session, profile_id)}
    for key, wanted in _keyed(interests).items():
        put(session, profile_id, there.pop(key, None), wanted, origin=origin, at=at)
    for left_out in there.values():
        take_out(session, left_out)
    touch(session, profile_id)


def remove_profile(session: Session, profile_id: int) -> None:
    """Remove a profile and the interests in it.

    Raises:
        NotFound: No such profile.
    """
    profile = find_profile(session, profile_id)
    hold_still(session, profile.patron_id)
    session.delete(profile)
    session.flush()


def find_profile(session: Session, profile_id: int) -> InterestProfile:
    """Return a profile.

    Raises:
        NotFound: No such profile.
    """
    profile = session.get(InterestProfile, profile_id)
    if profile is None:
        raise NotFound(f"no interest profile {profile_id}")
    return profile


def find_named(session: Session, patron_id: int, name: str) -> InterestProfile | None:
    """Return the patron's profile of this name, if there is one."""
    return session.scalar(
        select(InterestProfile).where(
            InterestProfile.patron_id == patron_id, InterestProfile.name == name
        )
    )


def interests_in(session: Session, profile_id: int) -> Sequence[Interest]:
    """Return a profile's interests, the heaviest first."""
    return session.scalars(
        select(Interest)
        .where(Interest.interest_profile_id == profile_id)
        .order_by(Interest.weight.desc(), Interest.id)
    ).all()


def put(
    session: Session,
    profile_id: int,
    there: Interest | None,
    wanted: Wanted,
    *,
    origin: InterestOrigin,
    at: datetime,
) -> Interest:
    """Write an interest as it is wanted, over the one that is there if there is."""
    kind, key = wanted.key
    interest = there or Interest(
        interest_profile_id=profile_id, kind=kind, squash=key, created_at=at
    )
    if there is None or there.origin is InterestOrigin.INFERRED:
        interest.origin = origin
    interest.label = canon(wanted.label)
    interest.weight = checked_weight(wanted.weight)
    interest.active, interest.alerts = wanted.active, wanted.alerts
    interest.follow, interest.new_works_only = wanted.follow, wanted.new_works_only
    interest.ends_on = wanted.ends_on
    patron_id = find_profile(session, profile_id).patron_id
    set_rhythm_of(session, interest, wanted.rhythm, patron_id=patron_id, at=at)
    session.add(interest)
    return interest


def take_out(session: Session, interest: Interest) -> None:
    """Remove a stated interest; switch an inferred one off, or it would come back."""
    if interest.origin is InterestOrigin.INFERRED:
        interest.active = False
    else:
        session.delete(interest)


def touch(session: Session, profile_id: int) -> None:
    """Count one change of a profile."""
    find_profile(session, profile_id).version += 1
    session.flush()


def _rename(session: Session, profile: InterestProfile, name: str) -> None:
    shown = profile_name(name)
    same = find_named(session, profile.patron_id, shown)
    if same and same.id != profile.id:
        raise Conflict(f"there is a profile “{shown}” already")
    profile.name = shown


def _narrow(profile: InterestProfile, narrowing: Narrowing) -> None:
    profile.languages = list(narrowing.languages)
    profile.formats = list(narrowing.formats)
    profile.branches = list(narrowing.branches)


def _keyed(interests: Sequence[Wanted]) -> dict[Key, Wanted]:
    keyed = {wanted.key: wanted for wanted in interests}
    if len(keyed) < len(interests):
        raise Conflict("two of the interests are the same")
    return keyed
