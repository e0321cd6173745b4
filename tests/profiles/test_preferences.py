from datetime import UTC, datetime, timedelta

import pytest

from library.db import Sessions, reading
from library.errors import InvalidInput, NotFound
from library.tables import Branch, Interest, Preference
from library.vocabulary import Channel, Rhythm
from profiles import preferences
from profiles.interests import set_rhythm
from tests.factories import NOON, ada, cy, make_interest

DAY = timedelta(days=1)


def test_what_was_never_set_has_its_default(sessions: Sessions) -> None:
    with sessions.begin() as session:
        patron = ada(session)
        session.get_one(Branch, patron.branch_id).zone = "Asia/Tehran"
        session.delete(session.get_one(Preference, patron.id))
    with reading(sessions) as session:
        found = preferences.get(session, patron.id)

    assert (found.rhythm, found.channel) == (Rhythm.WEEKLY, Channel.EMAIL)
    assert (found.zone, found.next_digest_at) == ("Asia/Tehran", None)


def test_nobody_has_no_preferences(sessions: Sessions) -> None:
    with reading(sessions) as session, pytest.raises(NotFound):
        preferences.get(session, 404)


def test_a_change_is_kept(sessions: Sessions) -> None:
    with sessions.begin() as session:
        patron = ada(session)
        preferences.change(session, patron.id, at=NOON, rhythm=Rhythm.DAILY, at_least=3)
    with reading(sessions) as session:
        found = preferences.get(session, patron.id)

    assert (found.rhythm, found.at_least) == (Rhythm.DAILY, 3)


def test_another_rhythm_moves_the_next_digest(sessions: Sessions) -> None:
    with sessions.begin() as session:
        patron = ada(session)
        preferences.get(session, patron.id).next_digest_at = NOON + 6 * DAY
        changed = preferences.change(
            session, patron.id, at=NOON, rhythm=Rhythm.DAILY, hour=20
        )

    assert changed.next_digest_at == datetime(2026, 3, 1, 20, tzinfo=UTC)


def test_who_never_had_a_digest_stays_due_at_once(sessions: Sessions) -> None:
    with sessions.begin() as session:
        changed = preferences.change(session, ada(session).id, at=NOON, hour=20)

    assert changed.next_digest_at is None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("weekday", 7),
        ("hour", 24),
        ("zone", "Mars/Olympus"),
        ("quiet_from", 1440),
        ("at_least", 0),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(
    sessions: Sessions, field: str, value: object
) -> None:
    changes = {field: value}
    with pytest.raises(InvalidInput) as caught, sessions.begin() as session:
        preferences.change(session, ada(session).id, at=NOON, **changes)  # type: ignore[arg-type]

    assert caught.value.field == field


def test_a_pause_ends_by_itself_or_by_hand(sessions: Sessions) -> None:
    with sessions.begin() as session:
        patron = ada(session)
        preferences.pause(session, patron.id, until=NOON + DAY)
        preferences.pause(session, patron.id, "digest", until=None)
        assert set(preferences.pauses(session, patron.id, at=NOON)) == {
            "all",
            "digest",
        }
        assert set(preferences.pauses(session, patron.id, at=NOON + DAY)) == {"digest"}
        preferences.resume(session, patron.id, "digest", at=NOON)
        assert preferences.pauses(session, patron.id, at=NOON + DAY) == {}


def test_a_pause_can_be_moved(sessions: Sessions) -> None:
    with sessions.begin() as session:
        patron = ada(session)
        preferences.pause(session, patron.id, until=NOON + DAY)
        preferences.pause(session, patron.id, until=NOON + 2 * DAY)

        assert preferences.pauses(session, patron.id, at=NOON) == {
            "all": NOON + 2 * DAY
        }


def test_only_a_purpose_or_everything_can_be_paused(sessions: Sessions) -> None:
    with pytest.raises(InvalidInput), sessions.begin() as session:
        preferences.pause(session, ada(session).id, "mondays", until=None)


def test_a_reader_of_persian_has_the_jalali_calendar_unless_they_chose(
    sessions: Sessions,
) -> None:
    with sessions.begin() as session:
        english, persian = ada(session), cy(session)

        assert preferences.calendar_of(english) == "gregorian"
        assert preferences.calendar_of(persian) == "jalali"
        persian.calendar = "gregorian"
        assert preferences.calendar_of(persian) == "gregorian"


@pytest.mark.parametrize(
    ("language", "calendar", "due"),
    [
        ("en", "jalali", datetime(2026, 3, 21, 8, tzinfo=UTC)),
        ("fa_IR", None, datetime(2026, 3, 21, 8, tzinfo=UTC)),
        ("fa_IR", "gregorian", datetime(2026, 4, 1, 8, tzinfo=UTC)),
    ],
    ids=["another calendar", "another language's calendar", "the same calendar"],
)
def test_in_another_calendar_the_months_digest_moves_at_once(
    sessions: Sessions, language: str, calendar: str | None, due: datetime
) -> None:
    with sessions.begin() as session:
        patron = ada(session)
        preferences.change(session, patron.id, at=NOON, rhythm=Rhythm.MONTHLY)
        row = session.get_one(Preference, patron.id)
        row.next_digest_at = datetime(2026, 4, 1, 8, tzinfo=UTC)
        interest = make_interest(session, patron, "Stars")
        set_rhythm(session, patron.id, interest.id, Rhythm.MONTHLY, at=NOON)

    with sessions.begin() as session:
        preferences.speak(
            session, patron.id, language, calendar=calendar, digits=None, at=NOON
        )

    with reading(sessions) as session:
        told = session.get_one(Preference, patron.id).next_digest_at
        own = session.get_one(Interest, interest.id).next_digest_at
    assert (told, own) == (due, due)
