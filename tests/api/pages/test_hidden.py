"""What a patron said no to, and the way back."""

import pytest
from sqlalchemy import select

from library.clock import utc_now
from library.db import Sessions
from library.settings import Settings
from library.tables import Feedback, Patron, Suppression, Work
from library.vocabulary import Channel, Verdict
from profiles.feedback import record_verdict
from tests.browsing import Browser, signed_in
from tests.factories import ada, cy, make_work


@pytest.fixture
def patron(sessions: Sessions) -> Patron:
    with sessions.begin() as session:
        return ada(session)


@pytest.fixture
def browser(settings: Settings, sessions: Sessions, patron: Patron) -> Browser:
    return signed_in(settings, sessions, patron)


def judge(sessions: Sessions, patron: Patron, title: str, verdict: Verdict) -> Work:
    with sessions.begin() as session:
        work = make_work(session, title)
        record_verdict(
            session,
            patron_id=patron.id,
            work_id=work.id,
            verdict=verdict,
            via=Channel.PAGE,
            at=utc_now(),
        )
    return work


def wishes(sessions: Sessions) -> list[tuple[str, str]]:
    with sessions() as session:
        return [(w.kind, w.label) for w in session.scalars(select(Suppression))]


@pytest.mark.parametrize(
    ("verdict", "button"),
    [(Verdict.NOT_FOR_ME, "Show again"), (Verdict.READ_ALREADY, "Not read")],
)
def test_an_answer_is_listed_and_can_be_taken_back(
    browser: Browser,
    sessions: Sessions,
    patron: Patron,
    verdict: Verdict,
    button: str,
) -> None:
    judge(sessions, patron, "Cosmos", verdict)

    page = browser.press(browser.open("/me/hidden"), f"{button}: Cosmos")

    assert "Cosmos" not in page.main
    assert wishes(sessions) == []
    with sessions() as session:
        assert session.scalars(select(Feedback)).all() == []


def test_a_wish_is_added_in_words_and_lifted(
    browser: Browser, sessions: Sessions
) -> None:
    page = browser.press(
        browser.open("/me/hidden"), "Leave out", name="Football", kind="subject"
    )
    assert wishes(sessions) == [("subject", "Football")]

    browser.press(page, "Show again: Football")
    assert wishes(sessions) == []


def test_nobody_lifts_anothers_wish(
    settings: Settings, sessions: Sessions, browser: Browser
) -> None:
    with sessions.begin() as session:
        other = cy(session)
    theirs = signed_in(settings, sessions, other)
    theirs.press(theirs.open("/me/hidden"), "کنار گذاشتن", name="Football")
    page = browser.open("/me/hidden")
    token = page.find("//main//input[@name='form']/@value")[0]
    with sessions() as session:
        (wish_id,) = session.scalars(select(Suppression.id)).all()

    refused = browser.post("/me/hidden/lift", {"form": token, "wish": str(wish_id)})

    assert refused.status == 404
    assert "Football" not in page.main
    assert len(wishes(sessions)) == 1
