"""What a patron does twice at one moment, as by a double click, happens once."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from library.db import Sessions, reading
from library.errors import Conflict
from library.tables import ContactPoint, Interest, Patron, Pause, Preference
from library.vocabulary import Channel, ConsentPurpose
from profiles import consent, contacts, experiments, preferences
from profiles.inference import infer, infer_all
from profiles.trials import Arm
from tests.factories import NOON, ada, make_loan, make_patron, make_work
from tests.races import meanwhile

ARMS = {"new": Arm(0.5), "old": Arm(0.5)}


@pytest.fixture
def patron_id(sessions: Sessions) -> int:
    """Ada, who never set how to be told."""
    with sessions.begin() as session:
        patron = ada(session)
        session.execute(delete(Preference))
        return patron.id


def test_preferences_are_first_stored_once(sessions: Sessions, patron_id: int) -> None:
    def set_hour(hour: int) -> Callable[[Session], object]:
        return lambda session: preferences.change(
            session, patron_id, at=NOON, hour=hour
        )

    meanwhile(sessions, set_hour(9), set_hour(10))

    with reading(sessions) as session:
        assert session.scalars(select(Preference.hour)).all() == [10]


def test_the_last_of_two_pauses_counts(sessions: Sessions, patron_id: int) -> None:
    def pause(days: int) -> Callable[[Session], object]:
        until = NOON + timedelta(days=days)
        return lambda session: preferences.pause(session, patron_id, until=until)

    meanwhile(sessions, pause(1), pause(2))

    with reading(sessions) as session:
        assert session.scalars(select(Pause.until)).all() == [NOON + timedelta(days=2)]


def test_an_address_is_added_once(sessions: Sessions, patron_id: int) -> None:
    def add(session: Session) -> None:
        contacts.add(session, patron_id, Channel.EMAIL, "new@patrons.test", at=NOON)

    meanwhile(sessions, add, add)

    new = select(ContactPoint).where(ContactPoint.address == "new@patrons.test")
    with reading(sessions) as session:
        assert len(session.scalars(new).all()) == 1


def test_nothing_is_concluded_while_a_consent_is_withdrawn(
    sessions: Sessions, patron_id: int
) -> None:
    with sessions.begin() as session:
        patron = session.get_one(Patron, patron_id)
        for title in ("Cosmos", "Contact"):
            make_loan(session, patron, make_work(session, title, subjects=["Stars"]))

    meanwhile(
        sessions,
        lambda session: infer(session, patron_id, NOON),
        lambda session: consent.withdraw(
            session, patron_id, ConsentPurpose.MODEL, at=NOON
        ),
    )

    with reading(sessions) as session:
        assert session.scalars(select(Interest)).all() == []


def test_all_are_inferred_though_one_is_erased_meanwhile(
    sessions: Sessions, patron_id: int
) -> None:
    with sessions.begin() as session:
        patron = make_patron(session, "Dee", consents=tuple(ConsentPurpose))
        for title in ("Cosmos", "Contact"):
            make_loan(session, patron, make_work(session, title, subjects=["Stars"]))

    meanwhile(
        sessions,
        lambda session: session.execute(delete(Patron).where(Patron.id == patron_id)),
        lambda _: infer_all(sessions, at=NOON),
    )

    with reading(sessions) as session:
        assert session.scalars(select(Interest.label)).all() == ["Stars"]


def test_two_experiments_never_run_at_one_time(sessions: Sessions) -> None:
    def begin(code: str) -> Callable[[Session], object]:
        ends_at = NOON + timedelta(days=7)
        return lambda session: experiments.begin(
            session, code, ARMS, starts_at=NOON, ends_at=ends_at, at=NOON
        )

    with pytest.raises(Conflict):
        meanwhile(sessions, begin("one"), begin("other"))
