import json
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select

from harvesters.harvesting import HarvestReport
from harvesters.pushing import push_secret, receive, sign
from harvesters.sources import add_source
from library.db import Sessions, reading
from library.errors import MalformedRecord, NotAllowed
from library.settings import Settings
from library.tables import Acquisition, BibRecord
from library.vocabulary import NewMeans, SourceKind
from tests.factories import NOON

BODY = json.dumps(
    {
        "records": [
            {"id": 7, "title": "Cosmos", "creators": ["Carl Sagan"], "copies_free": 2},
            {"id": "8"},
        ]
    }
).encode()


@pytest.fixture
def pushed(sessions: Sessions) -> Sessions:
    with sessions.begin() as session:
        add_source(
            session,
            "koha",
            SourceKind.PUSH,
            "",
            new_means=NewMeans.AVAILABLE,
            silent=False,
            at=NOON,
        )
    return sessions


def post(  # noqa: PLR0913 -- every part of a call that can be wrong
    sessions: Sessions,
    settings: Settings,
    *,
    code: str = "koha",
    body: bytes = BODY,
    signed: bytes | None = None,
    secret: str | None = None,
    at: datetime = NOON,
    now: datetime = NOON,
) -> HarvestReport:
    seconds = int(at.timestamp())
    key = push_secret(settings, code) if secret is None else secret
    with sessions.begin() as session:
        return receive(
            session,
            settings,
            code,
            body,
            seconds=str(seconds),
            signature=sign(key, seconds, body if signed is None else signed),
            at=now,
        )


def test_a_posted_record_is_an_acquisition(
    pushed: Sessions, settings: Settings
) -> None:
    report = post(pushed, settings)

    assert (report.added, report.acquisitions, report.rejected) == (1, 1, 1)
    assert report.rejections[0].why == "title: missing"
    with reading(pushed) as session:
        assert len(session.scalars(select(Acquisition)).all()) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"secret": "guessed"},
        {"signed": BODY + b" "},
        {"code": "other"},
        {"at": NOON - timedelta(minutes=6)},
        {"at": NOON + timedelta(minutes=6)},
    ],
    ids=["secret", "altered body", "no such source", "old", "from the future"],
)
def test_what_is_not_rightly_signed_changes_nothing(
    pushed: Sessions, settings: Settings, wrong: dict[str, str]
) -> None:
    with pytest.raises(NotAllowed):
        post(pushed, settings, **wrong)  # type: ignore[arg-type]

    with reading(pushed) as session:
        assert session.scalars(select(BibRecord)).all() == []


def test_the_same_post_again_is_refused(pushed: Sessions, settings: Settings) -> None:
    post(pushed, settings)

    with pytest.raises(NotAllowed, match="before"):
        post(pushed, settings, now=NOON + timedelta(minutes=4))


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"records": 1}', b"\xff"])
def test_what_is_no_list_of_records_is_refused(
    pushed: Sessions, settings: Settings, body: bytes
) -> None:
    with pytest.raises(MalformedRecord):
        post(pushed, settings, body=body)
