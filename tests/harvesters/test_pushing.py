from datetime import datetime, timedelta

import pytest
from sqlalchemy import select

from harvesters.harvesting import HarvestReport
from harvesters.pushing import Signed, admit, push_secret, receive, sign
from harvesters.sources import add_source
from library.db import Sessions, reading
from library.errors import NotAllowed
from library.settings import Settings
from library.tables import Acquisition, BibRecord, IdempotencyKey, Rejection, Source
from library.vocabulary import NewMeans, SourceKind
from tests.factories import NOON

BODY = b"what was posted"
COSMOS = {"id": 7, "title": "Cosmos", "creators": ["Carl Sagan"], "copies_free": 2}


@pytest.fixture
def pushed(sessions: Sessions) -> Sessions:
    with sessions.begin() as session:
        add_source(
            session,
            "koha",
            SourceKind.PUSH,
            "",
            new_means=NewMeans.AVAILABLE,
            at=NOON,
        )
    return sessions


def post(sessions: Sessions, *items: object, silent: bool = False) -> HarvestReport:
    with sessions.begin() as session:
        source = session.scalars(select(Source)).one()
        return receive(session, source, items, size=1, silent=silent, at=NOON)


def come_in(  # noqa: PLR0913 -- every part of a call that can be wrong
    sessions: Sessions,
    settings: Settings,
    *,
    code: str = "koha",
    body: bytes = BODY,
    secret: str | None = None,
    seconds: str | None = None,
    at: datetime = NOON,
    now: datetime = NOON,
) -> None:
    key = push_secret(settings, "koha") if secret is None else secret
    signature = sign(key, int(at.timestamp()), BODY)
    time = str(int(at.timestamp())) if seconds is None else seconds
    told = Signed(code, time, signature)
    with sessions.begin() as session:
        assert admit(session, settings, told, body, at=now).code == code


def test_a_posted_record_is_an_acquisition(pushed: Sessions) -> None:
    report = post(pushed, COSMOS, {"id": "8"}, "no record")

    assert (report.added, report.acquisitions, report.rejected) == (1, 1, 2)
    with reading(pushed) as session:
        assert len(session.scalars(select(Acquisition)).all()) == 1
        kept = session.execute(select(Rejection.place, Rejection.why)).all()
    assert [tuple(row) for row in kept] == [
        ("record 2", "title: missing"),
        ("record 3", "not an object"),
    ]


def test_a_backfill_says_that_it_is_none(pushed: Sessions) -> None:
    assert post(pushed, COSMOS, silent=True).acquisitions == 0


def test_no_copy_free_is_no_acquisition_until_there_is_one(pushed: Sessions) -> None:
    assert post(pushed, {**COSMOS, "copies_free": 0}).acquisitions == 0
    assert post(pushed, COSMOS).acquisitions == 1


def test_a_withdrawn_record_is_withdrawn(pushed: Sessions) -> None:
    post(pushed, COSMOS)

    assert post(pushed, {"id": 7, "withdrawn": True}).withdrawn == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"secret": "guessed"},
        {"body": BODY + b" "},
        {"code": "other"},
        {"seconds": ""},
        {"seconds": "٣"},
        {"at": NOON - timedelta(minutes=6)},
        {"at": NOON + timedelta(minutes=6)},
    ],
    ids=["secret", "body", "no such source", "no time", "odd time", "old", "future"],
)
def test_what_is_not_rightly_signed_stays_outside(
    pushed: Sessions, settings: Settings, wrong: dict[str, str]
) -> None:
    with pytest.raises(NotAllowed):
        come_in(pushed, settings, **wrong)  # type: ignore[arg-type]

    with reading(pushed) as session:
        assert session.scalars(select(IdempotencyKey)).all() == []
        assert session.scalars(select(BibRecord)).all() == []


def test_the_same_post_again_is_refused(pushed: Sessions, settings: Settings) -> None:
    come_in(pushed, settings)

    with pytest.raises(NotAllowed, match="before"):
        come_in(pushed, settings, now=NOON + timedelta(minutes=4))
