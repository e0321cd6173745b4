from datetime import timedelta

import pytest
from sqlalchemy.orm import Session

from library.db import Sessions, reading
from library.errors import Conflict, InvalidInput, NotFound
from library.staff import (
    check_password,
    create_staff,
    find_key,
    issue_key,
    revoke_key,
)
from library.tables import Staff
from tests.factories import NOON, make_branch
from tests.races import meanwhile

PASSWORD = "a long enough password"


def test_a_password_opens_its_account_alone(sessions: Sessions) -> None:
    with sessions.begin() as session:
        create_staff(session, "Lib@x.test", "Lib", password=PASSWORD, at=NOON)

    with reading(sessions) as session:
        found = check_password(session, " lib@X.test ", PASSWORD)
        assert found is not None
        assert found.name == "Lib"
        assert check_password(session, "lib@x.test", PASSWORD + "!") is None
        assert check_password(session, "nobody@x.test", PASSWORD) is None
        assert PASSWORD not in str(found.password_hash)
        assert str(found.password_hash).startswith("$argon2id$")


def test_an_account_switched_off_or_without_password_opens_nothing(
    sessions: Sessions,
) -> None:
    with sessions.begin() as session:
        off = create_staff(session, "off@x.test", "Off", password=PASSWORD, at=NOON)
        off.active = False
        create_staff(session, "keys@x.test", "Keys", at=NOON)

    with reading(sessions) as session:
        assert check_password(session, "off@x.test", PASSWORD) is None
        assert check_password(session, "keys@x.test", "") is None


@pytest.mark.parametrize(
    ("email", "password"),
    [
        pytest.param("not an address", PASSWORD, id="no address"),
        pytest.param("lib@x.test", "short", id="short password"),
    ],
)
def test_an_account_that_protects_nothing_is_refused(
    sessions: Sessions, email: str, password: str
) -> None:
    with pytest.raises(InvalidInput), sessions.begin() as session:
        create_staff(session, email, "Lib", password=password, at=NOON)


def test_an_address_has_one_account(sessions: Sessions) -> None:
    with sessions.begin() as session:
        create_staff(session, "lib@x.test", "Lib", at=NOON)
        with pytest.raises(Conflict, match=r"lib@x\.test"):
            create_staff(session, "LIB@x.test", "Again", at=NOON)


def test_an_address_added_twice_at_once_has_one_account(sessions: Sessions) -> None:
    def add(session: Session) -> None:
        create_staff(session, "lib@x.test", "Lib", at=NOON)

    with pytest.raises(Conflict, match=r"lib@x\.test"):
        meanwhile(sessions, add, add)


def _owner(sessions: Sessions, branch: str | None = None) -> int:
    with sessions.begin() as session:
        branch_id = make_branch(session, branch).id if branch else None
        return create_staff(
            session, "lib@x.test", "Lib", branch_id=branch_id, at=NOON
        ).id


def test_a_key_is_found_by_what_was_shown_and_not_kept(sessions: Sessions) -> None:
    owner = _owner(sessions)
    with sessions.begin() as session:
        key, shown = issue_key(session, owner, "catalogue", ["read:works"], at=NOON)

    with reading(sessions) as session:
        found = find_key(session, shown, at=NOON)
        assert found is not None
        assert found.id == key.id
        assert shown.split("_", 2)[2] not in str(vars(found))


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda shown: shown[:-1] + "~", id="another letter"),
        pytest.param(lambda shown: shown + "A", id="longer"),
        pytest.param(lambda shown: shown.split("_", 2)[2], id="the secret alone"),
        pytest.param(lambda shown: shown.replace("hamkhan", "hamkhan_x"), id="prefix"),
        pytest.param(lambda shown: shown[:0], id="nothing"),
    ],
)
def test_anything_else_finds_no_key(sessions: Sessions, spoil: object) -> None:
    assert callable(spoil)
    owner = _owner(sessions)
    with sessions.begin() as session:
        _, shown = issue_key(session, owner, "catalogue", ["read:works"], at=NOON)

    with reading(sessions) as session:
        assert find_key(session, spoil(shown), at=NOON) is None


def test_a_key_ends_with_its_time_its_revoking_or_its_owner(
    sessions: Sessions,
) -> None:
    owner = _owner(sessions)
    with sessions.begin() as session:
        _, short = issue_key(session, owner, "a", ["read:works"], days=1, at=NOON)
        key, revoked = issue_key(session, owner, "b", ["read:works"], at=NOON)
        _, other = issue_key(session, owner, "c", ["read:works"], at=NOON)
        revoke_key(session, key.id, at=NOON)

    with sessions.begin() as session:
        assert find_key(session, short, at=NOON + timedelta(days=1)) is None
        assert find_key(session, revoked, at=NOON) is None
        assert find_key(session, other, at=NOON) is not None
        session.get_one(Staff, owner).active = False
    with reading(sessions) as session:
        assert find_key(session, other, at=NOON) is None


def test_a_librarian_of_one_branch_cannot_have_a_key_for_another(
    sessions: Sessions,
) -> None:
    owner = _owner(sessions, "north")
    with sessions.begin() as session:
        south = make_branch(session, "south").id
        key, _ = issue_key(
            session, owner, "k", ["read:works"], branch_id=south, at=NOON
        )
        assert key.branch_id == make_branch(session, "north").id


@pytest.mark.parametrize(
    ("scopes", "days"),
    [
        pytest.param(["read:everything"], 1, id="unknown scope"),
        pytest.param([], 1, id="no scope"),
        pytest.param(["read:works"], 0, id="no time"),
    ],
)
def test_a_key_without_sense_is_refused(
    sessions: Sessions, scopes: list[str], days: int
) -> None:
    owner = _owner(sessions)
    with pytest.raises(InvalidInput), sessions.begin() as session:
        issue_key(session, owner, "k", scopes, days=days, at=NOON)


def test_a_key_needs_an_owner_and_revoking_a_key(sessions: Sessions) -> None:
    with sessions.begin() as session:
        with pytest.raises(NotFound):
            issue_key(session, 999, "k", ["read:works"], at=NOON)
        with pytest.raises(NotFound):
            revoke_key(session, 999, at=NOON)
