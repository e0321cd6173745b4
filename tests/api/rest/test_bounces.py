"""Mail that came back, as a mail server posts it."""

from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from library.clock import utc_now
from library.db import Sessions
from library.settings import Settings
from library.tables import ContactPoint
from notifier.bounces import LARGEST
from tests.api.rest.client import ApiClient, key_of
from tests.factories import make_branch
from tests.notifier.cast import Outbox, a_digest_for_ada, deliver, only
from tests.notifier.test_bounces import sample

MAIL = {"Content-Type": "message/rfc822"}


@pytest.fixture
def returned(sessions: Sessions, settings: Settings) -> bytes:
    at = utc_now() - timedelta(hours=1)
    a_digest_for_ada(sessions, settings, at=at)
    deliver(sessions, settings, Outbox(), at=at)
    return sample("exim-unknown", message_id=only(sessions).message_id)


def test_a_report_is_counted_once(
    api: ApiClient, sessions: Sessions, returned: bytes
) -> None:
    first = api("POST", "/bounces", data=returned, headers=MAIL)
    again = api("POST", "/bounces", data=returned, headers=MAIL)

    assert (first.status_code, first.get_json()) == (200, {"taken": "counted"})
    assert again.get_json() == {"taken": "counted before"}
    with sessions() as session:
        assert session.scalars(select(ContactPoint.hard)).all() == [1]


@pytest.mark.parametrize(
    ("body", "words"),
    [(b"", "empty"), (b" \r\n", "empty"), (b"x" * (LARGEST + 1), "larger")],
    ids=["nothing", "white space", "too large"],
)
def test_what_is_no_message_is_refused(api: ApiClient, body: bytes, words: str) -> None:
    answer = api("POST", "/bounces", data=body, headers=MAIL)

    assert answer.status_code in {413, 422}
    assert answer.status_code == 413 or words in answer.get_json()["detail"]


def test_any_other_bytes_change_nothing(api: ApiClient) -> None:
    answer = api("POST", "/bounces", data=b"\xff\x00 no mail", headers=MAIL)

    assert answer.get_json() == {"taken": "not about a message of ours"}


def test_a_branchs_key_may_not_post_it(
    app: Flask, sessions: Sessions, returned: bytes
) -> None:
    with sessions.begin() as session:
        branch_id = make_branch(session, "other").id
    narrow = ApiClient(app, key_of(sessions, branch_id=branch_id))

    answer = narrow("POST", "/bounces", data=returned, headers=MAIL)

    assert answer.status_code == 403
    with sessions() as session:
        assert session.scalars(select(ContactPoint.hard)).all() == [0]
