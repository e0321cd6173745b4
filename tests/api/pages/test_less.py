"""Less of this, from a mail: the page asks, the button acts, and undo takes it back."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from library.clock import utc_now
from library.db import Sessions, reading
from library.settings import Settings
from library.tables import Alert, Interest, Loan, Match, Patron, Suppression
from library.text import squash
from library.vocabulary import ReasonKind, Verdict
from notifier.links import VERDICT_LIFE, less_token, verdict_token
from recommender.matching import match
from tests.browsing import Browser, visitor
from tests.factories import (
    ada,
    cy,
    make_acquisition,
    make_alert,
    make_interest,
    make_loan,
    make_work,
)
from tests.notifier.cast import Outbox, alert, deliver


@pytest.fixture
def browser(settings: Settings, sessions: Sessions) -> Browser:
    return visitor(settings, sessions)


@pytest.fixture
def patron(sessions: Sessions) -> Patron:
    with sessions.begin() as session:
        return ada(session)


def reason(kind: ReasonKind, ref: object, label: str) -> dict[str, Any]:
    return {"kind": kind.value, "ref": ref, "label": label, "share": 0.5}


def alert_for(sessions: Sessions, patron: Patron, *reasons: Mapping[str, Any]) -> Alert:
    with sessions.begin() as session:
        work = make_work(
            session, "Football law", creator="Jo Goal", subjects=["Football"]
        )
        made = make_alert(session, patron, work)
        made.reasons = list(reasons)
    return made


def link(settings: Settings, made: Alert, place: int = 0) -> str:
    return f"/less/{less_token(settings.secret, made.id, place)}"


def wishes(sessions: Sessions) -> list[str]:
    with reading(sessions) as session:
        return list(session.scalars(select(Suppression.label)))


def weight_of(sessions: Sessions, interest: Interest) -> float:
    with reading(sessions) as session:
        return session.get_one(Interest, interest.id).weight


FOOTBALL = reason(ReasonKind.SUBJECT, "football", "Football")


def test_opening_it_stores_nothing(
    browser: Browser, settings: Settings, sessions: Sessions, patron: Patron
) -> None:
    page = browser.open(link(settings, alert_for(sessions, patron, FOOTBALL)))

    assert "Football law" in page.main
    assert "It is about \u2068Football\u2069" in page.main
    assert "Nothing is stored until you press a button." in page.main
    assert wishes(sessions) == []


@pytest.mark.parametrize(
    ("kind", "label"),
    [(ReasonKind.SUBJECT, "Football"), (ReasonKind.CREATOR, "Jo Goal")],
)
def test_a_name_is_left_out_and_comes_back(
    browser: Browser,
    settings: Settings,
    sessions: Sessions,
    kind: ReasonKind,
    label: str,
) -> None:
    with sessions.begin() as session:
        patron = ada(session)
    made = alert_for(sessions, patron, reason(kind, squash(label), label))

    page = browser.press(browser.open(link(settings, made)), f"Less of {label}")
    assert f"You will see no more of {label}" in page.main
    assert wishes(sessions) == [label]

    assert browser.open(link(settings, made)).button("Undo") is not None
    page = browser.press(page, "Undo")
    assert "Taken back: it counts as before." in page.main
    assert wishes(sessions) == []


def test_a_loan_stays_in_the_history_and_is_no_signal(
    browser: Browser, settings: Settings, sessions: Sessions, patron: Patron
) -> None:
    with sessions.begin() as session:
        borrowed = make_work(session, "Contact")
        loan = make_loan(session, patron, borrowed)
    made = alert_for(sessions, patron, reason(ReasonKind.LOAN, borrowed.id, "Contact"))

    page = browser.press(browser.open(link(settings, made)), "Less of Contact")
    with reading(sessions) as session:
        assert session.get_one(Loan, loan.id).ignored

    browser.press(page, "Undo")
    with reading(sessions) as session:
        assert not session.get_one(Loan, loan.id).ignored


def test_an_interest_counts_half_once_however_often_the_form_is_sent(
    browser: Browser, settings: Settings, sessions: Sessions, patron: Patron
) -> None:
    with sessions.begin() as session:
        interest = make_interest(session, patron, "Football", weight=2.0)
    made = alert_for(
        sessions, patron, reason(ReasonKind.INTEREST, interest.id, "Football")
    )
    asked = browser.open(link(settings, made))

    done = browser.press(asked, "Less of Football")
    browser.press(asked, "Less of Football")
    assert weight_of(sessions, interest) == 1.0
    for _ in range(2):
        browser.press(done, "Undo")
        assert weight_of(sessions, interest) == 2.0


def test_a_forged_weight_changes_nothing(
    browser: Browser, settings: Settings, sessions: Sessions, patron: Patron
) -> None:
    with sessions.begin() as session:
        interest = make_interest(session, patron, "Football")
    made = alert_for(
        sessions, patron, reason(ReasonKind.INTEREST, interest.id, "Football")
    )

    for seen in ("3", "-1", "0"):
        for do in ("less", "undo"):
            browser.post(link(settings, made), {"do": do, "seen": seen})

    assert weight_of(sessions, interest) == 1.0


def test_a_plain_post_does_what_the_link_says(
    browser: Browser, settings: Settings, sessions: Sessions, patron: Patron
) -> None:
    browser.post(link(settings, alert_for(sessions, patron, FOOTBALL)), {})

    assert wishes(sessions) == ["Football"]


@pytest.mark.parametrize(
    "fault",
    [
        *("altered", "old", "of another door", "of no alert", "of no reason"),
        *("of one that cannot be lessened", "of another's interest"),
    ],
)
def test_a_link_that_does_not_hold_is_refused_politely(
    browser: Browser,
    settings: Settings,
    sessions: Sessions,
    patron: Patron,
    fault: str,
) -> None:
    with sessions.begin() as session:
        theirs = make_interest(session, cy(session), "Secrets")
    made = alert_for(
        sessions,
        patron,
        FOOTBALL,
        reason(ReasonKind.POPULAR, None, ""),
        reason(ReasonKind.INTEREST, theirs.id, "Secrets"),
    )
    secret, long_ago = settings.secret, utc_now() - 2 * VERDICT_LIFE
    token = {
        "altered": less_token(secret, made.id, 0)[:-2] + "xx",
        "old": less_token(secret, made.id, 0, at=long_ago),
        "of another door": verdict_token(secret, made.id, Verdict.WANTED),
        "of no alert": less_token(secret, made.id + 999, 0),
        "of no reason": less_token(secret, made.id, 9),
        "of one that cannot be lessened": less_token(secret, made.id, 1),
        "of another's interest": less_token(secret, made.id, 2),
    }[fault]

    shown = browser.open(f"/less/{token}")
    posted = browser.post(f"/less/{token}", {})

    assert (shown.status, posted.status) == (410, 410)
    assert "This link no longer works" in shown.main
    assert wishes(sessions) == []
    assert weight_of(sessions, theirs) == 1.0


def test_it_speaks_the_patrons_language(
    browser: Browser, settings: Settings, sessions: Sessions
) -> None:
    with sessions.begin() as session:
        persian = cy(session)
    page = browser.open(link(settings, alert_for(sessions, persian, FOOTBALL)))

    assert (page.tree.get("lang"), page.tree.get("dir")) == ("fa", "rtl")
    assert page.button("کمتر از Football") is not None


@pytest.mark.slow
def test_what_was_said_in_a_mail_changes_the_next_match(
    browser: Browser, settings: Settings, sessions: Sessions, patron: Patron
) -> None:
    house, at = replace(settings, floor=0.0), utc_now() - timedelta(hours=3)
    with sessions.begin() as session:
        astronomy = make_interest(session, patron, "Astronomy")
        first = make_work(session, "Cosmos", subjects=["Astronomy", "Football"])
        make_acquisition(session, first, at=at)
    match(sessions, house, at=at)
    with sessions.begin() as session:
        row = session.scalars(select(Match)).one()
        before = row.score
        row.reasons = [*row.reasons, FOOTBALL]
    alert(sessions, house, at)
    outbox = Outbox()
    deliver(sessions, house, outbox, at=at)
    (text,) = [one.text for one in outbox.taken]
    links = [
        line.split()[-1].removeprefix(settings.base_url)
        for line in text.splitlines()
        if "Less of this" in line
    ]
    assert len(links) == 2

    for address, said in zip(links, ("Astronomy", "Football"), strict=True):
        browser.press(browser.open(address), f"Less of {said}")
    with sessions.begin() as session:
        less = make_work(session, "Stars", subjects=["Astronomy"])
        none = make_work(session, "Stars of football", subjects=["Football"])
        none.terms = first.terms
        for work in (less, none):
            make_acquisition(session, work, at=at + timedelta(hours=1))
    match(sessions, house, at=at + timedelta(hours=2))

    with reading(sessions) as session:
        found = dict(
            session.execute(
                select(Match.work_id, Match.score).where(Match.work_id != first.id)
            ).all()
        )
    assert set(found) == {less.id}
    assert 0 < found[less.id] < before
    assert weight_of(sessions, astronomy) == 0.5
