"""A verdict link shows a page; only its button stores anything."""

import pytest
from sqlalchemy import select

from library.clock import utc_now
from library.db import Sessions
from library.settings import Settings
from library.tables import Alert, Delivery, Feedback
from library.vocabulary import Channel, DeliveryState, Purpose, Verdict
from notifier.links import VERDICT_LIFE, leave_token, verdict_token
from tests.browsing import Browser, visitor
from tests.factories import NOON, ada, cy, make_alert, make_work


@pytest.fixture
def browser(settings: Settings, sessions: Sessions) -> Browser:
    return visitor(settings, sessions)


@pytest.fixture
def alert(sessions: Sessions) -> Alert:
    with sessions.begin() as session:
        work = make_work(session, "Cosmos", creator="Carl Sagan")
        return make_alert(session, ada(session), work)


def link(settings: Settings, alert: Alert, verdict: Verdict = Verdict.WANTED) -> str:
    return f"/answer/{verdict_token(settings.secret, alert.id, verdict)}"


def verdicts(sessions: Sessions) -> list[tuple[Verdict, Channel]]:
    with sessions() as session:
        return [(f.verdict, f.via) for f in session.scalars(select(Feedback))]


def test_opening_it_stores_nothing(
    browser: Browser, settings: Settings, sessions: Sessions, alert: Alert
) -> None:
    page = browser.open(link(settings, alert))

    assert "Cosmos" in page.main
    assert "Nothing is stored until you press a button." in page.main
    assert verdicts(sessions) == []


def test_the_button_stores_it_without_signing_in(
    browser: Browser, settings: Settings, sessions: Sessions, alert: Alert
) -> None:
    page = browser.open(link(settings, alert, Verdict.NOT_FOR_ME))

    browser.press(page, "Not for me")

    assert verdicts(sessions) == [(Verdict.NOT_FOR_ME, Channel.EMAIL)]


def test_an_answer_to_what_the_app_told_is_known_as_that(
    browser: Browser, settings: Settings, sessions: Sessions, alert: Alert
) -> None:
    with sessions.begin() as session:
        delivery = Delivery(
            patron_id=alert.patron_id,
            purpose=Purpose.DIGEST,
            channel=Channel.WEBHOOK,
            state=DeliveryState.SENT,
            due_at=NOON,
            not_after=NOON,
            message_id="<1@library.test>",
            created_at=NOON,
        )
        session.add(delivery)
        session.flush()
        session.get_one(Alert, alert.id).delivery_id = delivery.id

    browser.press(browser.open(link(settings, alert)), "Save")

    assert verdicts(sessions) == [(Verdict.WANTED, Channel.WEBHOOK)]


def test_the_last_verdict_wins_and_can_be_taken_back(
    browser: Browser, settings: Settings, sessions: Sessions, alert: Alert
) -> None:
    page = browser.press(browser.open(link(settings, alert)), "Save")
    page = browser.press(page, "Read already")
    assert verdicts(sessions) == [(Verdict.READ_ALREADY, Channel.EMAIL)]

    browser.press(page, "Undo")
    assert verdicts(sessions) == []


def test_a_plain_post_does_what_the_link_says(
    browser: Browser, settings: Settings, sessions: Sessions, alert: Alert
) -> None:
    browser.post(link(settings, alert, Verdict.READ_ALREADY), {})

    assert [v for v, _ in verdicts(sessions)] == [Verdict.READ_ALREADY]


@pytest.mark.parametrize("fault", ["altered", "old", "of another door", "of no alert"])
def test_a_link_that_does_not_hold_is_refused_politely(
    browser: Browser, settings: Settings, sessions: Sessions, alert: Alert, fault: str
) -> None:
    secret, verdict = settings.secret, Verdict.WANTED
    long_ago = utc_now() - 2 * VERDICT_LIFE
    token = {
        "altered": verdict_token(secret, alert.id, verdict)[:-2] + "xx",
        "old": verdict_token(secret, alert.id, verdict, at=long_ago),
        "of another door": leave_token(secret, alert.id, "all"),
        "of no alert": verdict_token(secret, alert.id + 999, verdict),
    }[fault]

    shown = browser.open(f"/answer/{token}")
    posted = browser.post(f"/answer/{token}", {})

    assert shown.status == 410
    assert "This link no longer works" in shown.main
    assert posted.status in {404, 410}
    assert verdicts(sessions) == []


def test_it_speaks_the_patrons_language(
    browser: Browser, settings: Settings, sessions: Sessions
) -> None:
    with sessions.begin() as session:
        alert = make_alert(session, cy(session), make_work(session, "Cosmos"))

    page = browser.open(link(settings, alert))

    assert (page.tree.get("lang"), page.tree.get("dir")) == ("fa", "rtl")
