"""Interest profiles, the interests in them, and what is never to be shown."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from flask import Response, jsonify, url_for
from pydantic import Field
from sqlalchemy.orm import Session

from api.auth.keys import KeyCaller
from api.rest.blueprint import part
from api.rest.doors import note_read, reads, writes
from api.rest.fields import In, Out, Short, Text, Weight, as_json
from api.rest.patrons import patron_for, record_change
from api.rest.protocol.conditional import require_match, tag_of, tagged
from library.clock import utc_now
from library.errors import NotFound
from library.vocabulary import (
    InterestKind,
    InterestOrigin,
    Rhythm,
    SuppressionKind,
)
from profiles import interest_profiles, interests, suppression
from profiles.patrons import hold_still

bp = part("interests")
_ROOT = "/patrons/<int:patron_id>"
_ONE = f"{_ROOT}/interest-profiles/<int:profile_id>"


class InterestIn(In):
    """An interest to add."""

    kind: InterestKind
    label: Text
    weight: Weight = 1.0
    active: bool = True
    alerts: bool = Field(default=True, description="Off: it brings no message.")
    follow: bool = Field(
        default=False, description="Every new work of this creator or series."
    )
    new_works_only: bool = True
    ends_on: date | None = None
    rhythm: Rhythm | None = Field(
        default=None,
        description="Its own; null: the patron's. Off: on the page alone.",
    )


class ProfileIn(In):
    """All an interest profile holds."""

    name: Short
    languages: list[Short] = Field(default=[], max_length=50)
    formats: list[Short] = Field(default=[], max_length=50)
    branches: list[Short] = Field(default=[], max_length=50)
    interests: list[InterestIn] = Field(default=[], max_length=500)


class InterestOut(Out):
    """An interest."""

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


class ProfileOut(Out):
    """An interest profile."""

    id: int
    patron_id: int
    name: str
    languages: list[str]
    formats: list[str]
    branches: list[str]
    interests: list[InterestOut]


class ProfilesOut(Out):
    """A patron's interest profiles."""

    items: list[ProfileOut]


class SuppressionIn(In):
    """What is never to be shown."""

    kind: SuppressionKind
    target: Text = Field(description="A work's id, or a name in any spelling.")
    label: Text | None = None


class SuppressionOut(Out):
    """What is never shown to a patron."""

    id: int
    kind: SuppressionKind
    target: str
    label: str
    created_at: datetime


class SuppressionsOut(Out):
    """All that is never shown to a patron."""

    items: list[SuppressionOut]


@bp.get(f"{_ROOT}/interest-profiles")
@reads("interests")
@bp.output(ProfilesOut)
def list_profiles(
    session: Session, caller: KeyCaller, patron_id: int
) -> dict[str, Any]:
    """List a patron's interest profiles."""
    patron_for(session, caller, patron_id)
    note_read(patron_id)
    return {"items": interests.list_profiles(session, patron_id)}


@bp.post(f"{_ROOT}/interest-profiles")
@writes("interests")
@bp.input(ProfileIn)
@bp.output(ProfileOut, status_code=201)
def add_profile(
    session: Session, caller: KeyCaller, patron_id: int, json_data: ProfileIn
) -> Response:
    """Add an interest profile with its interests."""
    patron_for(session, caller, patron_id)
    profile_id = interest_profiles.add_profile(session, patron_id, json_data.name)
    _replace(session, profile_id, json_data)
    record_change(session, caller, patron_id, "interests.added")
    answer = _answer(session, profile_id, 201)
    answer.headers["Location"] = url_for(
        "rest_interests.get_profile", patron_id=patron_id, profile_id=profile_id
    )
    return answer


@bp.get(_ONE)
@reads("interests")
@bp.output(ProfileOut)
def get_profile(
    session: Session, caller: KeyCaller, patron_id: int, profile_id: int
) -> Response:
    """Return an interest profile, with its ETag."""
    patron_for(session, caller, patron_id)
    _of(session, patron_id, profile_id)
    note_read(patron_id)
    return _answer(session, profile_id)


@bp.put(_ONE)
@writes("interests")
@bp.input(ProfileIn)
@bp.output(ProfileOut)
def replace_profile(
    session: Session,
    caller: KeyCaller,
    patron_id: int,
    profile_id: int,
    json_data: ProfileIn,
) -> Response:
    """Make an interest profile hold exactly this; needs If-Match."""
    _unchanged(session, caller, patron_id, profile_id)
    _replace(session, profile_id, json_data)
    record_change(session, caller, patron_id, "interests.replaced")
    return _answer(session, profile_id)


@bp.delete(_ONE)
@writes("interests")
@bp.output({}, status_code=204)
def remove_profile(
    session: Session, caller: KeyCaller, patron_id: int, profile_id: int
) -> str:
    """Remove an interest profile and its interests; needs If-Match."""
    _unchanged(session, caller, patron_id, profile_id)
    interest_profiles.remove_profile(session, profile_id)
    record_change(session, caller, patron_id, "interests.removed")
    return ""


@bp.post(f"{_ONE}/interests")
@writes("interests")
@bp.input(InterestIn)
@bp.output(ProfileOut, status_code=201)
def add_interest(
    session: Session,
    caller: KeyCaller,
    patron_id: int,
    profile_id: int,
    json_data: InterestIn,
) -> Response:
    """Add one interest to a profile; 409 where it is there in some spelling."""
    patron_for(session, caller, patron_id)
    profile, at = _of(session, patron_id, profile_id), utc_now()
    added = interests.add_interest(
        session,
        patron_id,
        kind=json_data.kind,
        label=json_data.label,
        weight=json_data.weight,
        profile=profile.name,
        origin=InterestOrigin.STAFF,
        at=at,
    )
    interests.change_interest(
        session,
        patron_id,
        added.id,
        active=json_data.active,
        alerts=json_data.alerts,
        follow=json_data.follow,
    )
    interests.end_on(session, patron_id, added.id, json_data.ends_on)
    interests.set_rhythm(session, patron_id, added.id, json_data.rhythm, at=at)
    added.new_works_only = json_data.new_works_only
    record_change(session, caller, patron_id, "interests.added")
    return _answer(session, profile_id, 201)


@bp.get(f"{_ROOT}/suppressions")
@reads("interests")
@bp.output(SuppressionsOut)
def list_suppressions(
    session: Session, caller: KeyCaller, patron_id: int
) -> dict[str, Sequence[object]]:
    """List what is never shown to a patron."""
    patron_for(session, caller, patron_id)
    note_read(patron_id)
    return {"items": suppression.list_suppressions(session, patron_id)}


@bp.post(f"{_ROOT}/suppressions")
@writes("interests")
@bp.input(SuppressionIn)
@bp.output(SuppressionOut, status_code=201)
def suppress(
    session: Session, caller: KeyCaller, patron_id: int, json_data: SuppressionIn
) -> object:
    """Never show a work, creator, subject or series to a patron."""
    patron_for(session, caller, patron_id)
    made = suppression.suppress(
        session,
        patron_id,
        json_data.kind,
        json_data.target,
        json_data.label or "",
        utc_now(),
    )
    record_change(session, caller, patron_id, "suppression.made")
    return made


@bp.delete(f"{_ROOT}/suppressions/<int:suppression_id>")
@writes("interests")
@bp.output({}, status_code=204)
def lift(
    session: Session, caller: KeyCaller, patron_id: int, suppression_id: int
) -> str:
    """Let it be shown again."""
    patron_for(session, caller, patron_id)
    suppression.lift(session, patron_id, suppression_id)
    record_change(session, caller, patron_id, "suppression.lifted")
    return ""


def _of(session: Session, patron_id: int, profile_id: int) -> interests.ProfileView:
    profile = interests.show_profile(session, profile_id)
    if profile.patron_id != patron_id:
        raise NotFound(f"no interest profile {profile_id}")
    return profile


def _unchanged(
    session: Session, caller: KeyCaller, patron_id: int, profile_id: int
) -> None:
    patron_for(session, caller, patron_id)
    # Held before it is read: else another change could come between check and change.
    hold_still(session, patron_id)
    require_match(_tag(_of(session, patron_id, profile_id)))


def _tag(profile: interests.ProfileView) -> str:
    return tag_of(as_json(ProfileOut.model_validate(profile)))


def _replace(session: Session, profile_id: int, wanted: ProfileIn) -> None:
    interest_profiles.replace_profile(
        session,
        profile_id,
        name=wanted.name,
        narrowing=interest_profiles.Narrowing(
            wanted.languages, wanted.formats, wanted.branches
        ),
        interests=[interest_profiles.Wanted(**dict(each)) for each in wanted.interests],
        origin=InterestOrigin.STAFF,
        at=utc_now(),
    )


def _answer(session: Session, profile_id: int, status: int = 200) -> Response:
    profile = ProfileOut.model_validate(interests.show_profile(session, profile_id))
    answer = jsonify(as_json(profile))
    answer.status_code = status
    return tagged(answer, tag_of(as_json(profile)))
