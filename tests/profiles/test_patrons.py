import json

import pytest

from library.db import Sessions, reading
from library.errors import Conflict, NotFound
from library.vocabulary import Channel
from profiles import contacts, preferences
from profiles.patrons import find, show
from tests.factories import (
    NOON,
    ada,
    cy,
    make_interest,
    make_loan,
    make_patron,
    make_work,
)
from tests.notifier.cast import point_of


@pytest.fixture
def known(sessions: Sessions) -> dict[str, int]:
    with sessions.begin() as session:
        one, two = ada(session), cy(session)
        two.external_id = "B-1"
        same = make_patron(session, "Twin")
        same.system, same.external_id = "koha", "B-1"
        return {"ada": one.id, "cy": two.id, "twin": same.id}


@pytest.mark.parametrize(
    ("ref", "who"),
    [
        pytest.param("ada", "ada", id="number alone"),
        pytest.param(" ada ", "ada", id="with blanks"),
        pytest.param("test:ada", "ada", id="system and number"),
        pytest.param("koha:B-1", "twin", id="system tells twins apart"),
        pytest.param("Ada@patrons.test", "ada", id="e-mail address"),
    ],
)
def test_a_patron_is_found(
    sessions: Sessions, known: dict[str, int], ref: str, who: str
) -> None:
    with reading(sessions) as session:
        assert find(session, ref).id == known[who]
        assert find(session, str(known[who])).id == known[who]


@pytest.mark.parametrize("ref", ["", "nobody", "koha:ada", "9" * 30, "٣", "²"])
def test_nobody_is_found(sessions: Sessions, known: dict[str, int], ref: str) -> None:
    with reading(sessions) as session, pytest.raises(NotFound):
        find(session, ref)


def test_a_number_two_systems_know_needs_the_system(
    sessions: Sessions, known: dict[str, int]
) -> None:
    with reading(sessions) as session, pytest.raises(Conflict, match="koha, test"):
        find(session, "B-1")


def test_an_address_of_a_family_names_nobody(sessions: Sessions) -> None:
    with sessions.begin() as session:
        for name in ("Ada", "Cy"):
            make_patron(session, name, address="home@patrons.test")

    with reading(sessions) as session:
        with pytest.raises(Conflict, match="several patrons: test:ada, test:cy"):
            find(session, "home@patrons.test")
        with pytest.raises(NotFound, match="no patron has the address"):
            find(session, "else@patrons.test")


def test_a_patron_is_shown_in_plain_values(sessions: Sessions) -> None:
    with sessions.begin() as session:
        patron = ada(session)
        make_loan(session, patron, make_work(session, "Cosmos"))
        make_interest(session, patron, "Stars")

    with reading(sessions) as session:
        shown = show(session, patron.id)

    json.dumps(shown)
    assert shown["branch"] == "main"
    assert shown["loans"] == 1
    assert shown["interests"] == ["subject:Stars"]
    assert shown["addresses"] == ["email:ada@patrons.test"]
    assert shown["rhythm"] == "weekly"
    assert "model" in shown["consents"]


def test_why_a_patron_hears_nothing_can_be_seen(sessions: Sessions) -> None:
    with sessions.begin() as session:
        patron = ada(session)
        preferences.pause(session, patron.id, until=NOON)
        contacts.stop(session, point_of(session, patron).id, at=NOON)
        contacts.ask_for(session, patron.id, Channel.EMAIL, "new@home.test", at=NOON)

    with reading(sessions) as session:
        shown = show(session, patron.id)

    assert shown["channel"] == "email"
    assert shown["pauses"] == [f"all until {NOON.isoformat()}"]
    assert shown["addresses"] == [
        "email:ada@patrons.test (stopped)",
        "email:new@home.test (not confirmed)",
    ]


def test_nobody_cannot_be_shown(sessions: Sessions) -> None:
    with reading(sessions) as session, pytest.raises(NotFound):
        show(session, 999)
