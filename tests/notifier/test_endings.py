"""An interest with an end: the patron is warned of it once, before or after."""

from datetime import date, datetime, timedelta

import pytest
from sqlalchemy import select

from library.db import Sessions
from library.settings import Settings
from library.tables import Interest, Patron, Preference
from library.vocabulary import Rhythm
from profiles import preferences
from profiles.interests import change_interest, end_on
from tests.factories import NOON, ada, make_interest
from tests.notifier.cast import Outbox, alert, deliver, matched

TODAY = NOON.date()
DAY = timedelta(days=1)


@pytest.fixture
def patron_id(sessions: Sessions) -> int:
    with sessions.begin() as session:
        patron = ada(session)
        preferences.change(session, patron.id, at=NOON, rhythm=Rhythm.DAILY)
        make_interest(session, patron, "Astronomy")
        return patron.id


def ends(sessions: Sessions, patron_id: int, day: date | None) -> int:
    with sessions.begin() as session:
        interest = session.scalars(select(Interest)).one()
        end_on(session, patron_id, interest.id, day)
        return interest.id


def mail(
    sessions: Sessions, settings: Settings, title: str, at: datetime = NOON
) -> str:
    """Return the text of the digest that this new work makes."""
    with sessions.begin() as session:
        patron = session.scalars(select(Patron)).one()
        matched(session, patron, [title], at=at)
    alert(sessions, settings, at)
    outbox = Outbox()
    deliver(sessions, settings, outbox, at=at)
    (message,) = outbox.taken
    return message.text


@pytest.mark.parametrize(
    ("days", "told"),
    [(-3, True), (0, True), (7, True), (8, False), (None, False)],
    ids=["ended already", "today", "in a week", "later", "no end"],
)
def test_a_digest_tells_what_ends_within_a_week(
    sessions: Sessions,
    settings: Settings,
    patron_id: int,
    days: int | None,
    told: bool,
) -> None:
    ends(sessions, patron_id, None if days is None else TODAY + days * DAY)

    assert ("Astronomy\u2069 · until" in mail(sessions, settings, "Contact")) is told


def test_it_is_told_once_and_again_when_the_end_is_moved(
    sessions: Sessions, settings: Settings, patron_id: int
) -> None:
    ends(sessions, patron_id, TODAY + 5 * DAY)
    first = mail(sessions, settings, "Contact")
    second = mail(sessions, settings, "Solaris", NOON + DAY)
    ends(sessions, patron_id, TODAY + 6 * DAY)
    third = mail(sessions, settings, "Eden", NOON + 2 * DAY)

    assert ["Astronomy" in text for text in (first, second, third)] == [
        True,
        False,
        True,
    ]


def test_who_gets_one_digest_a_month_is_told_in_the_last_before(
    sessions: Sessions, settings: Settings, patron_id: int
) -> None:
    with sessions.begin() as session:
        preferences.change(session, patron_id, at=NOON, rhythm=Rhythm.MONTHLY)
    following = NOON + 20 * DAY
    ends(sessions, patron_id, following.date())

    text = mail(sessions, settings, "Contact")

    with sessions() as session:
        moment = session.get_one(Preference, patron_id).next_digest_at
    assert moment is not None
    assert moment > following
    assert "Astronomy" in text


def test_an_end_put_off_before_the_digest_leaves_is_not_told(
    sessions: Sessions, settings: Settings, patron_id: int
) -> None:
    interest_id = ends(sessions, patron_id, TODAY)
    with sessions.begin() as session:
        matched(session, session.get_one(Patron, patron_id), ["Contact"])
    alert(sessions, settings)
    with sessions.begin() as session:
        end_on(session, patron_id, interest_id, None)
    outbox = Outbox()
    deliver(sessions, settings, outbox)

    assert "Astronomy" not in outbox.taken[0].text


def test_what_is_switched_off_ends_without_a_word(
    sessions: Sessions, settings: Settings, patron_id: int
) -> None:
    interest_id = ends(sessions, patron_id, TODAY)
    with sessions.begin() as session:
        change_interest(session, patron_id, interest_id, active=False)

    assert "Astronomy" not in mail(sessions, settings, "Contact")


def test_the_day_stands_in_the_patrons_calendar(
    sessions: Sessions, settings: Settings, patron_id: int
) -> None:
    with sessions.begin() as session:
        session.get_one(Patron, patron_id).calendar = "jalali"
    ends(sessions, patron_id, TODAY)

    assert "until 10 Esfand 1404" in mail(sessions, settings, "Contact")
