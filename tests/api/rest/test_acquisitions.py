"""Records that another system posts, over the API."""

import json
from datetime import datetime, timedelta

import pytest
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from harvesters.pushing import push_secret, sign
from harvesters.sources import add_source
from library.clock import utc_now
from library.db import Sessions, reading
from library.settings import Settings
from library.tables import Acquisition, BibRecord
from library.vocabulary import NewMeans, SourceKind
from tests.api.rest.client import ApiClient
from tests.factories import NOON

RECORDS = {
    "records": [
        {"id": 7, "title": "کیهان", "creators": ["Carl Sagan"], "copies_free": 2},
        {"id": 8},
    ]
}


@pytest.fixture(autouse=True)
def source(sessions: Sessions) -> None:
    with sessions.begin() as session:
        add_source(
            session,
            "koha",
            SourceKind.PUSH,
            "",
            new_means=NewMeans.AVAILABLE,
            at=NOON,
        )


@pytest.fixture
def nobody(api: ApiClient) -> ApiClient:
    return ApiClient(api.app, None)


def post(
    nobody: ApiClient,
    settings: Settings,
    body: object = RECORDS,
    *,
    secret: str | None = None,
    at: datetime | None = None,
) -> TestResponse:
    sent = json.dumps(body).encode()
    seconds = int((at or utc_now()).timestamp())
    key = secret or push_secret(settings, "koha")
    headers = {
        "Hamkhan-Source": "koha",
        "Hamkhan-Time": str(seconds),
        "Hamkhan-Signature": sign(key, seconds, sent),
    }
    return nobody.post(
        "/acquisitions", headers=headers, data=sent, content_type="application/json"
    )


def counts(sessions: Sessions) -> tuple[int, int]:
    with reading(sessions) as session:
        found = (
            session.scalar(select(func.count()).select_from(table))
            for table in (BibRecord, Acquisition)
        )
        records, acquisitions = (count or 0 for count in found)
        return records, acquisitions


def test_a_signed_post_with_two_free_copies_is_one_acquisition(
    nobody: ApiClient, settings: Settings, sessions: Sessions
) -> None:
    answer = post(nobody, settings)

    assert answer.status_code == 200
    told = answer.get_json()
    assert (told["added"], told["acquisitions"], told["rejected"]) == (1, 1, 1)
    assert told["rejections"] == [{"place": "record 2", "why": "title: missing"}]
    assert counts(sessions) == (1, 1)


def test_a_wrong_old_or_repeated_signature_changes_nothing(
    nobody: ApiClient, settings: Settings, sessions: Sessions
) -> None:
    wrong = post(nobody, settings, secret="guessed")
    old = post(nobody, settings, at=utc_now() - timedelta(minutes=6))
    unsigned = nobody.post("/acquisitions", RECORDS)

    assert {wrong.status_code, old.status_code, unsigned.status_code} == {401}
    assert "Hamkhan-Signature" in wrong.get_json()["detail"]
    assert counts(sessions) == (0, 0)

    at = utc_now()
    assert post(nobody, settings, at=at).status_code == 200
    assert post(nobody, settings, at=at).status_code == 401
    assert counts(sessions) == (1, 1)


@pytest.mark.parametrize(
    "body", [[], {}, {"records": 1}, {"records": [], "more": 1}, None], ids=str
)
def test_what_is_no_list_of_records_is_refused(
    nobody: ApiClient, settings: Settings, body: object
) -> None:
    assert post(nobody, settings, body).status_code == 422


@pytest.mark.parametrize(
    "item",
    [None, 1, [], "x", {"id": {}, "title": []}, {"id": "1", "title": "\0"}],
    ids=str,
)
def test_a_record_that_cannot_be_taken_is_named(
    nobody: ApiClient, settings: Settings, item: object
) -> None:
    answer = post(nobody, settings, {"records": [item]})

    assert answer.status_code == 200
    assert [bad["place"] for bad in answer.get_json()["rejections"]] == ["record 1"]


def test_a_source_that_calls_too_often_is_told_to_wait(
    nobody: ApiClient, settings: Settings
) -> None:
    nobody.app.config["HAMKHAN_CALLS_PER_MINUTE"] = 0

    answer = post(nobody, settings)

    assert answer.status_code == 429
    assert answer.headers["Retry-After"]
