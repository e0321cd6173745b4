"""Several of the notifier's parts at one moment: none fails, and none is undone."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from library.db import Sessions, reading
from library.settings import Settings
from library.tables import Alert, CallCount, Patron, Preference
from library.vocabulary import Rhythm
from notifier import feeds
from notifier.alerting import make_alerts
from notifier.clocks import hold_clocks
from notifier.limits import waits
from profiles import preferences
from profiles.privacy import erase
from tests.factories import NOON, ada, make_alert, make_work
from tests.notifier.cast import matched
from tests.races import meanwhile


@pytest.fixture
def patron_id(sessions: Sessions) -> int:
    """Ada, who never set how to be told, and for whom there is something."""
    with sessions.begin() as session:
        patron = ada(session)
        matched(session, patron, ["Cosmos"])
        session.execute(delete(Preference))
        return patron.id


def test_the_first_preferences_do_not_stop_the_alerts(
    sessions: Sessions, settings: Settings, patron_id: int
) -> None:
    meanwhile(
        sessions,
        lambda session: preferences.change(
            session, patron_id, at=NOON, rhythm=Rhythm.DAILY
        ),
        lambda _: make_alerts(sessions, settings, at=NOON),
    )

    with reading(sessions) as session:
        assert session.scalars(select(Preference.rhythm)).all() == [Rhythm.DAILY]
        assert len(session.scalars(select(Alert)).all()) == 1


def test_two_who_make_alerts_make_them_once(
    sessions: Sessions, settings: Settings, patron_id: int
) -> None:
    meanwhile(
        sessions,
        lambda session: hold_clocks(session, patron_id, NOON),
        lambda _: make_alerts(sessions, settings, at=NOON),
        lambda _: make_alerts(sessions, settings, at=NOON),
    )

    with reading(sessions) as session:
        assert len(session.scalars(select(Alert)).all()) == 1


def test_a_feed_gets_one_address_at_last(sessions: Sessions, patron_id: int) -> None:
    def renew(session: Session) -> None:
        feeds.renew(session, patron_id)

    meanwhile(sessions, renew, renew)

    with reading(sessions) as session:
        assert len(session.scalars(select(Preference.feed_token)).all()) == 1


def test_an_erasure_waits_for_the_alerts_of_the_patron(
    sessions: Sessions, settings: Settings, patron_id: int
) -> None:
    with sessions.begin() as session:
        preferences.stored(session, patron_id)

    def add_alert(session: Session) -> None:
        patron = session.get_one(Patron, patron_id)
        make_alert(session, patron, make_work(session, "Contact"))

    meanwhile(
        sessions,
        lambda session: hold_clocks(session, patron_id, NOON),
        lambda _: erase(sessions, settings, patron_id, at=NOON),
        then=add_alert,
    )

    with reading(sessions) as session:
        assert session.scalars(select(Alert)).all() == []


def test_workers_who_count_the_same_domains_do_not_block_each_other(
    sessions: Sessions, settings: Settings
) -> None:
    slow = replace(settings, domain_rate=9)

    def count(*addresses: str) -> Callable[[Session], object]:
        return lambda session: waits(session, slow, addresses, at=NOON)

    meanwhile(
        sessions,
        count("x@a.test"),
        count("x@b.test", "x@a.test"),
        then=count("x@b.test"),
    )

    with reading(sessions) as session:
        counted = session.execute(select(CallCount.caller, CallCount.calls)).all()
    assert dict(counted) == {"mail:a.test": 2, "mail:b.test": 2}
