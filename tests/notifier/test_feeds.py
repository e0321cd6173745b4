import json
from datetime import timedelta

import feedparser
import pytest
from sqlalchemy import select, update

from library.db import Sessions, reading
from library.errors import NotFound
from library.settings import Settings
from library.tables import Alert, Consent, Feedback, Patron
from library.vocabulary import Channel, Verdict
from notifier import feeds
from profiles import preferences
from tests.factories import NOON, ada, cy
from tests.notifier.cast import alert, alerts, matched

HOUR = timedelta(hours=1)


@pytest.fixture
def token(sessions: Sessions, settings: Settings) -> str:
    """The address of Ada's feed; she has two alerts and Cy has one."""
    with sessions.begin() as session:
        patron = ada(session)
        matched(session, patron, ["Contact & more <b>", "Solaris"])
        matched(session, cy(session), ["بوف کور"])
        token = feeds.renew(session, patron.id)
    alert(sessions, settings)
    return token


def titles(sessions: Sessions, settings: Settings, token: str) -> list[str]:
    with reading(sessions) as session:
        found = feeds.feed(session, settings, token, at=NOON + HOUR)
    document = feedparser.parse(found.body)
    assert not document.bozo
    assert document.version == "atom10"
    return [entry.title for entry in document.entries]


def test_it_shows_the_patrons_own_alerts_and_nobody_elses(
    sessions: Sessions, settings: Settings, token: str
) -> None:
    assert titles(sessions, settings, token) == ["Contact & more <b>", "Solaris"]


def test_as_json_it_shows_the_same(
    sessions: Sessions, settings: Settings, token: str
) -> None:
    with reading(sessions) as session:
        found = feeds.feed(
            session, settings, token, at=NOON + HOUR, content_type=feeds.JSON
        )
    document = json.loads(found.body)

    assert [item["title"] for item in document["items"]] == [
        "Contact & more <b>",
        "Solaris",
    ]
    assert "Cosmos" in document["items"][0]["content_text"]


def test_a_verdict_takes_the_work_out(
    sessions: Sessions, settings: Settings, token: str
) -> None:
    first = alerts(sessions)[0]
    with sessions.begin() as session:
        session.add(
            Feedback(
                patron_id=first.patron_id,
                work_id=first.work_id,
                verdict=Verdict.WANTED,
                given_at=NOON,
                via=Channel.EMAIL,
            )
        )

    assert titles(sessions, settings, token) == ["Solaris"]


def test_a_new_address_ends_the_old_one(
    sessions: Sessions, settings: Settings, token: str
) -> None:
    with sessions.begin() as session:
        patron = session.scalars(select(Patron).where(Patron.name == "Ada")).one()
        new = feeds.renew(session, patron.id)

    assert len(titles(sessions, settings, new)) == 2
    with pytest.raises(NotFound), reading(sessions) as session:
        feeds.feed(session, settings, token, at=NOON)


def test_ended_it_is_gone(sessions: Sessions, settings: Settings, token: str) -> None:
    with sessions.begin() as session:
        patron = session.scalars(select(Patron).where(Patron.name == "Ada")).one()
        feeds.end(session, patron.id)

    with pytest.raises(NotFound), reading(sessions) as session:
        feeds.feed(session, settings, token, at=NOON)


@pytest.mark.parametrize("how", ["paused", "withdrawn"])
def test_it_asks_the_gate_too(
    sessions: Sessions, settings: Settings, token: str, how: str
) -> None:
    with sessions.begin() as session:
        if how == "paused":
            patron = session.scalars(select(Patron).where(Patron.name == "Ada")).one()
            preferences.pause(session, patron.id, until=None)
        else:
            session.execute(update(Consent).values(withdrawn_at=NOON))

    assert titles(sessions, settings, token) == []


def test_the_secret_is_nowhere_in_the_database(
    sessions: Sessions, settings: Settings, token: str
) -> None:
    with reading(sessions) as session:
        patron = session.scalars(select(Patron).where(Patron.name == "Ada")).one()
        kept = preferences.get(session, patron.id).feed_token

    assert kept
    assert token not in kept


def test_mail_page_and_feed_are_made_from_the_same_alerts(
    sessions: Sessions, settings: Settings, token: str
) -> None:
    with reading(sessions) as session:
        own = session.scalars(
            select(Alert).join(Patron).where(Patron.name == "Ada")
        ).all()

    assert len(titles(sessions, settings, token)) == len(own)
    assert len({one.delivery_id for one in own}) == 1
