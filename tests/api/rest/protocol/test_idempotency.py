from dataclasses import replace
from datetime import timedelta

import pytest

from api.rest.protocol.idempotency import KEPT, Answer, Request, begin, finish
from library.db import Sessions
from library.errors import InvalidInput
from tests.factories import NOON

REQUEST = Request("key 1", "k", "POST /rules", b"{}")
ANSWER = Answer(201, {"ETag": '"x"'}, {"id": 1})


def _do(
    sessions: Sessions, request: Request = REQUEST, hours: int = 0
) -> Answer | None:
    at = NOON + timedelta(hours=hours)
    with sessions.begin() as session:
        kept = begin(session, request, at=at)
        if kept is None:
            finish(session, request, ANSWER)
        return kept


def test_the_same_again_gets_the_same_answer(sessions: Sessions) -> None:
    assert _do(sessions) is None
    assert _do(sessions) == ANSWER


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(replace(REQUEST, caller="key 2"), id="another caller"),
        pytest.param(replace(REQUEST, key="l"), id="another key"),
    ],
)
def test_another_key_or_caller_is_another_request(
    sessions: Sessions, other: Request
) -> None:
    _do(sessions)
    assert _do(sessions, other) is None


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(replace(REQUEST, body=b"{ }"), id="another body"),
        pytest.param(replace(REQUEST, route="POST /sources"), id="another route"),
        pytest.param(replace(REQUEST, key=" "), id="blank"),
        pytest.param(replace(REQUEST, key="k" * 201), id="too long"),
    ],
)
def test_a_key_cannot_stand_for_another_request(
    sessions: Sessions, other: Request
) -> None:
    _do(sessions)
    with pytest.raises(InvalidInput):
        _do(sessions, other)


def test_a_key_is_free_again_after_a_day(sessions: Sessions) -> None:
    _do(sessions)
    assert _do(sessions, hours=23) == ANSWER
    assert _do(sessions, replace(REQUEST, body=b"other"), hours=24) is None
    assert timedelta(hours=24) == KEPT


def test_a_request_that_failed_keeps_no_key(sessions: Sessions) -> None:
    with sessions() as session:
        assert begin(session, REQUEST, at=NOON) is None
        session.rollback()
    assert _do(sessions) is None
