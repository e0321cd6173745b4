from datetime import date

import pytest
from sqlalchemy import select

from library.db import Sessions, reading
from library.errors import Conflict, InvalidInput, NotFound
from library.tables import Interest, InterestProfile
from library.vocabulary import InterestKind, InterestOrigin
from profiles.interest_profiles import (
    Narrowing,
    Wanted,
    add_profile,
    remove_profile,
    replace_profile,
)
from profiles.interests import (
    InterestThere,
    ProfileView,
    add_interest,
    change_interest,
    end_on,
    list_profiles,
    remove_interest,
    show_interest,
    show_profile,
)
from tests.factories import NOON, ada, cy, make_interest

SUBJECT = InterestKind.SUBJECT


def _add(sessions: Sessions, patron_id: int, label: str, weight: float = 1.0) -> int:
    with sessions.begin() as session:
        return add_interest(
            session, patron_id, kind=SUBJECT, label=label, weight=weight, at=NOON
        ).id


@pytest.fixture
def patron_id(sessions: Sessions) -> int:
    with sessions.begin() as session:
        return ada(session).id


def _only_profile(sessions: Sessions, patron_id: int) -> ProfileView:
    with reading(sessions) as session:
        (profile,) = list_profiles(session, patron_id)
    return profile


def test_interests_stand_in_their_profile_the_heaviest_first(
    sessions: Sessions, patron_id: int
) -> None:
    _add(sessions, patron_id, "Stars")
    _add(sessions, patron_id, "كتابداري", 2.0)

    profile = _only_profile(sessions, patron_id)

    assert profile.name == "main"
    assert [i.label for i in profile.interests] == ["کتابداری", "Stars"]
    assert {i.origin for i in profile.interests} == {InterestOrigin.STATED}


def test_another_spelling_is_the_same_interest(
    sessions: Sessions, patron_id: int
) -> None:
    there = _add(sessions, patron_id, "کتاب‌داری")

    with pytest.raises(InterestThere, match="کتاب‌داری") as raised:
        _add(sessions, patron_id, "كتابداري")

    assert raised.value.interest_id == there
    assert len(_only_profile(sessions, patron_id).interests) == 1


def test_an_interest_in_another_kind_or_profile_is_another(
    sessions: Sessions, patron_id: int
) -> None:
    with sessions.begin() as session:
        for kind, profile in (
            (SUBJECT, "main"),
            (InterestKind.CREATOR, "main"),
            (SUBJECT, "thesis"),
        ):
            add_interest(
                session, patron_id, kind=kind, label="X", profile=profile, at=NOON
            )
    with reading(sessions) as session:
        counts = [len(p.interests) for p in list_profiles(session, patron_id)]
    assert counts == [2, 1]


@pytest.mark.parametrize(
    ("label", "weight"),
    [
        pytest.param("…", 1.0, id="no letter"),
        pytest.param("x" * 401, 1.0, id="too long"),
        pytest.param("x", 3.1, id="too heavy"),
        pytest.param("x", -0.1, id="below nothing"),
        pytest.param("x", float("nan"), id="no number"),
    ],
)
def test_an_interest_in_nothing_is_refused(
    sessions: Sessions, patron_id: int, label: str, weight: float
) -> None:
    with pytest.raises(InvalidInput):
        _add(sessions, patron_id, label, weight)


def test_only_what_is_given_changes(sessions: Sessions, patron_id: int) -> None:
    interest_id = _add(sessions, patron_id, "Stars")
    with sessions.begin() as session:
        change_interest(session, patron_id, interest_id, weight=2.5)
        end_on(session, patron_id, interest_id, date(2026, 4, 1))
        change_interest(session, patron_id, interest_id, active=False)
        change_interest(session, patron_id, interest_id, alerts=False, follow=True)

    with reading(sessions) as session:
        seen = show_interest(session, patron_id, interest_id)
    assert (seen.weight, seen.active, seen.alerts, seen.follow) == (
        2.5,
        False,
        False,
        True,
    )
    assert seen.ends_on == date(2026, 4, 1)
    assert seen.label == "Stars"


def test_nobody_touches_another_patrons_interest(
    sessions: Sessions, patron_id: int
) -> None:
    with sessions.begin() as session:
        theirs = make_interest(session, cy(session), "Stars")
    with sessions.begin() as session:
        with pytest.raises(NotFound):
            change_interest(session, patron_id, theirs.id, active=False)
        with pytest.raises(NotFound):
            remove_interest(session, patron_id, theirs.id)
        with pytest.raises(NotFound):
            show_interest(session, patron_id, theirs.id)


def _inferred(sessions: Sessions, patron_id: int, label: str) -> int:
    interest_id = _add(sessions, patron_id, label, 0.4)
    with sessions.begin() as session:
        session.get_one(Interest, interest_id).origin = InterestOrigin.INFERRED
    return interest_id


def test_stating_or_weighing_an_inferred_interest_makes_it_ones_own(
    sessions: Sessions, patron_id: int
) -> None:
    stated = _inferred(sessions, patron_id, "Stars")
    weighed = _inferred(sessions, patron_id, "Maths")
    assert _add(sessions, patron_id, "stars", 2.0) == stated
    with sessions.begin() as session:
        change_interest(session, patron_id, weighed, weight=1.0)

    profile = _only_profile(sessions, patron_id)
    assert {i.origin for i in profile.interests} == {InterestOrigin.STATED}
    assert profile.interests[0].weight == 2.0


def test_removing_deletes_what_was_stated_and_silences_what_was_inferred(
    sessions: Sessions, patron_id: int
) -> None:
    for interest_id in (
        _add(sessions, patron_id, "Stars"),
        _inferred(sessions, patron_id, "Maths"),
    ):
        with sessions.begin() as session:
            remove_interest(session, patron_id, interest_id)

    left = _only_profile(sessions, patron_id).interests
    assert [(i.label, i.active) for i in left] == [("Maths", False)]


def _replace(sessions: Sessions, profile_id: int, name: str, *labels: str) -> None:
    with sessions.begin() as session:
        replace_profile(
            session,
            profile_id,
            name=name,
            narrowing=Narrowing(languages=["per"]),
            interests=[Wanted(SUBJECT, label) for label in labels],
            origin=InterestOrigin.STAFF,
            at=NOON,
        )


def test_a_profile_is_replaced_whole(sessions: Sessions, patron_id: int) -> None:
    kept = _add(sessions, patron_id, "Stars")
    _add(sessions, patron_id, "Cookery")
    profile_id = _only_profile(sessions, patron_id).id

    _replace(sessions, profile_id, "thesis", "stars", "Law")

    with reading(sessions) as session:
        seen = show_profile(session, profile_id)
    assert (seen.name, seen.languages, seen.formats) == ("thesis", ("per",), ())
    by_label = {i.label: i for i in seen.interests}
    assert set(by_label) == {"stars", "Law"}
    assert by_label["stars"].id == kept
    assert by_label["stars"].origin is InterestOrigin.STATED
    assert by_label["Law"].origin is InterestOrigin.STAFF


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        pytest.param("main", ["Stars", "STARS"], id="the same interest twice"),
        pytest.param("other", ["Stars"], id="a name that is taken"),
    ],
)
def test_a_profile_cannot_hold_the_same_twice(
    sessions: Sessions, patron_id: int, name: str, labels: list[str]
) -> None:
    _add(sessions, patron_id, "Law")
    profile_id = _only_profile(sessions, patron_id).id
    with sessions.begin() as session:
        add_profile(session, patron_id, "other")
    with pytest.raises(Conflict):
        _replace(sessions, profile_id, name, *labels)
    with reading(sessions) as session:
        assert [i.label for i in show_profile(session, profile_id).interests] == ["Law"]


def test_every_change_counts_up_the_version(sessions: Sessions, patron_id: int) -> None:
    versions = []
    interest_id = _add(sessions, patron_id, "Stars")
    profile_id = _only_profile(sessions, patron_id).id

    def version() -> int:
        with reading(sessions) as session:
            return session.scalars(select(InterestProfile.version)).one()

    versions.append(version())
    with sessions.begin() as session:
        change_interest(session, patron_id, interest_id, active=False)
    versions.append(version())
    _replace(sessions, profile_id, "main", "Law")
    versions.append(version())
    assert versions == sorted(set(versions))


def test_a_profile_is_removed_with_its_interests(
    sessions: Sessions, patron_id: int
) -> None:
    _add(sessions, patron_id, "Stars")
    with sessions.begin() as session:
        remove_profile(session, list_profiles(session, patron_id)[0].id)
    with reading(sessions) as session:
        assert list_profiles(session, patron_id) == []
        assert session.scalars(select(Interest)).all() == []


@pytest.mark.parametrize("name", ["", " ", "x" * 201])
def test_a_profile_needs_a_name(sessions: Sessions, patron_id: int, name: str) -> None:
    with sessions.begin() as session, pytest.raises(InvalidInput):
        add_profile(session, patron_id, name)


def test_a_profile_has_its_name_alone(sessions: Sessions, patron_id: int) -> None:
    with sessions.begin() as session:
        add_profile(session, patron_id, "thesis")
        with pytest.raises(Conflict):
            add_profile(session, patron_id, " thesis ")
        with pytest.raises(NotFound):
            show_profile(session, 999)
        with pytest.raises(NotFound):
            add_interest(session, 999, kind=SUBJECT, label="x", at=NOON)
