from datetime import timedelta

from sqlalchemy import select

from api.rest.protocol.limits import Allowance, headers, take
from library.db import Sessions, reading
from library.tables import CallCount
from tests.factories import NOON


def _take(sessions: Sessions, caller: str, seconds: int = 0) -> Allowance:
    at = NOON + timedelta(seconds=seconds)
    with sessions.begin() as session:
        return take(session, caller, limit=2, at=at)


def test_calls_are_counted_by_the_minute_and_caller(sessions: Sessions) -> None:
    used_up = [_take(sessions, "a", second).used_up for second in (0, 1, 59, 60)]
    assert used_up == [False, False, True, False]
    assert not _take(sessions, "b", 59).used_up


def test_only_the_last_minute_is_kept(sessions: Sessions) -> None:
    for seconds in (0, 60, 120):
        _take(sessions, "a", seconds)
    with reading(sessions) as session:
        assert session.scalars(select(CallCount.window)).all() == [
            NOON + timedelta(minutes=2)
        ]


def test_the_headers_say_what_is_left_and_when_to_go_on() -> None:
    some = headers(Allowance(limit=5, calls=2, resets_in=30))
    assert some == {
        "RateLimit-Policy": '"minute";q=5;w=60',
        "RateLimit": '"minute";r=3;t=30',
    }
    none = headers(Allowance(limit=5, calls=6, resets_in=30))
    assert none["Retry-After"] == "30"
    assert none["RateLimit"] == '"minute";r=0;t=30'


def test_the_wait_is_never_nothing(sessions: Sessions) -> None:
    assert _take(sessions, "a", 59).resets_in == 1
    with sessions.begin() as session:
        late = NOON + timedelta(seconds=59, microseconds=999_999)
        assert take(session, "a", limit=1, at=late).resets_in == 1
