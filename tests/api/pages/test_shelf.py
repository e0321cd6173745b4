"""A patron's page: reasons, three answers, and a way back from each."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import pytest
from sqlalchemy import select

from library.db import Sessions
from library.settings import Settings
from library.tables import Alert, Feedback, Interest, Loan, Patron, Suppression, Work
from library.text import squash
from library.vocabulary import ReasonKind, Verdict
from profiles import contacts
from profiles.contacts import Trouble
from tests.browsing import Browser, Page, signed_in
from tests.factories import (
    NOON,
    ada,
    cy,
    make_alert,
    make_interest,
    make_loan,
    make_work,
)
from tests.notifier.cast import point_of

ALERTS = "//section[@aria-labelledby='shelf-alerts']"


@dataclass
class Scene:
    """Ada's page with three alerts, and Cy's with one."""

    patron: Patron
    other: Patron
    works: list[Work]
    browser: Browser
    sessions: Sessions


@pytest.fixture
def scene(settings: Settings, sessions: Sessions) -> Scene:
    with sessions.begin() as session:
        patron, other = ada(session), cy(session)
        works = [
            make_work(session, "Cosmos", creator="Carl Sagan", subjects=["Astronomy"]),
            make_work(session, "Football law", subjects=["Football", "Law"]),
            make_work(
                session,
                "Customer Relationship Management (CRM) در کتابخانه‌ها",
                creator="نرگس اکبری",
                language="per",
            ),
        ]
        for work in works:
            make_alert(session, patron, work)
        secret = make_work(session, "For Cy alone")
        make_alert(session, other, secret)
    browser = signed_in(settings, sessions, patron)
    return Scene(patron, other, works, browser, sessions)


def card(work: Work) -> str:
    return f"//li[@id='work-{work.id}']"


def titles(page: Page, within: str = ALERTS) -> list[str]:
    return [
        h.text_content()
        for h in page.find(f"{within}//li[starts-with(@class,'card')]/h3")
    ]


def set_reasons(
    scene: Scene, work: Work, *reasons: tuple[ReasonKind, object, str]
) -> None:
    with scene.sessions.begin() as session:
        alert = session.scalars(select(Alert).where(Alert.work_id == work.id)).one()
        alert.reasons = [
            {"kind": kind, "ref": ref, "label": label, "share": 0.5}
            for kind, ref, label in reasons
        ]


def verdicts(scene: Scene) -> dict[int, Verdict]:
    with scene.sessions() as session:
        rows: Sequence[Feedback] = session.scalars(select(Feedback)).all()
        return {row.work_id: row.verdict for row in rows}


def test_shows_every_alert_of_the_patron_and_nobody_elses(scene: Scene) -> None:
    page = scene.browser.open("/me")

    assert set(titles(page)) == {work.title for work in scene.works}
    assert "For Cy alone" not in titles(page)


def test_a_card_says_why_in_the_patrons_language(scene: Scene) -> None:
    set_reasons(
        scene,
        scene.works[0],
        (ReasonKind.LOAN, 1, "Contact"),
        (ReasonKind.POPULAR, None, ""),
    )

    page = scene.browser.open("/me")

    reasons = page.find(f"{card(scene.works[0])}/ul[@class='why']/li")
    assert [r.text_content() for r in reasons] == [
        "Because you borrowed \u2068Contact\u2069",
        "Much read in your library",
    ]


def test_a_persian_title_that_begins_in_latin_reads_right_to_left(scene: Scene) -> None:
    (title,) = scene.browser.open("/me").find(f"{card(scene.works[2])}/h3")

    assert (title.get("dir"), title.get("lang")) == ("rtl", "fa")


@pytest.mark.parametrize(
    ("button", "verdict"),
    [
        ("Save", Verdict.WANTED),
        ("Read already", Verdict.READ_ALREADY),
        ("Not for me", Verdict.NOT_FOR_ME),
    ],
)
def test_an_answer_is_one_press_and_takes_the_work_off_the_new_ones(
    scene: Scene, button: str, verdict: Verdict
) -> None:
    work = scene.works[0]

    page = scene.browser.press(scene.browser.open("/me"), button, within=card(work))

    assert verdicts(scene) == {work.id: verdict}
    assert work.title not in titles(page)


def test_a_saved_work_stays_in_sight_until_it_is_let_go(scene: Scene) -> None:
    work, browser = scene.works[0], scene.browser
    saved = "//section[@aria-labelledby='shelf-saved']"

    page = browser.press(browser.open("/me"), "Save", within=card(work))
    assert titles(page, saved) == [work.title]

    page = browser.press(page, "Saved ✓", within=card(work))
    assert titles(page, saved) == []
    assert work.title in titles(page)


def test_three_hides_and_three_undos_restore_the_page(scene: Scene) -> None:
    browser = scene.browser
    page = browser.open("/me")
    before = titles(page)
    for work in scene.works:
        page = browser.press(page, "Not for me", within=card(work))
    assert titles(page) == []

    for _ in scene.works:
        page = browser.press(page, "Undo")

    assert titles(page) == before
    assert verdicts(scene) == {}
    with pytest.raises(LookupError):
        page.button("Undo")


def test_undo_brings_back_the_answer_before(scene: Scene) -> None:
    work, browser = scene.works[0], scene.browser
    page = browser.press(browser.open("/me"), "Save", within=card(work))
    page = browser.press(page, "Not for me", within=card(work))

    browser.press(page, "Undo")

    assert verdicts(scene) == {work.id: Verdict.WANTED}


def test_the_notice_stays_until_it_is_dismissed(scene: Scene) -> None:
    browser = scene.browser
    browser.press(browser.open("/me"), "Not for me", within=card(scene.works[0]))

    browser.open("/me/interests")
    page = browser.open("/me")
    assert "Hidden for good: \u2068Cosmos\u2069" in page.main

    page = browser.press(page, "Dismiss")
    assert "Hidden for good" not in page.main


def test_less_of_a_subject_leaves_its_works_out_at_once_and_can_be_undone(
    scene: Scene,
) -> None:
    work, browser = scene.works[1], scene.browser
    set_reasons(scene, work, (ReasonKind.SUBJECT, squash("Football"), "Football"))

    page = browser.press(browser.open("/me"), "Less of Football")
    assert work.title not in titles(page)
    with scene.sessions() as session:
        assert session.scalars(select(Suppression.label)).all() == ["Football"]

    page = browser.press(page, "Undo")
    assert work.title in titles(page)


def test_less_of_an_interest_halves_its_weight(scene: Scene) -> None:
    with scene.sessions.begin() as session:
        interest = make_interest(session, scene.patron, "Astronomy", weight=2.0)
    reason = (ReasonKind.INTEREST, interest.id, "Astronomy")
    set_reasons(scene, scene.works[0], reason)

    page = scene.browser.press(scene.browser.open("/me"), "Less of Astronomy")
    assert weight_of(scene, interest.id) == 1.0

    scene.browser.press(page, "Undo")
    assert weight_of(scene, interest.id) == 2.0


def test_less_of_a_loan_keeps_it_in_the_history_but_not_as_a_signal(
    scene: Scene,
) -> None:
    with scene.sessions.begin() as session:
        borrowed = make_work(session, "Contact")
        loan = make_loan(session, scene.patron, borrowed)
    set_reasons(scene, scene.works[0], (ReasonKind.LOAN, borrowed.id, "Contact"))

    scene.browser.press(scene.browser.open("/me"), "Less of Contact")

    with scene.sessions() as session:
        assert session.get_one(Loan, loan.id).ignored


def test_nobody_lessens_anothers_interest(scene: Scene) -> None:
    with scene.sessions.begin() as session:
        interest = make_interest(session, scene.other, "Secrets")
    page = scene.browser.open("/me")
    (token,) = set(page.find("//main//input[@name='form']/@value"))

    refused = scene.browser.post(
        "/me/less", {"form": str(token), "reason": f"interest:{interest.id}"}
    )

    assert refused.status == 404
    assert weight_of(scene, interest.id) == 1.0


def test_three_refusals_on_a_subject_offer_to_leave_it_out(scene: Scene) -> None:
    with scene.sessions.begin() as session:
        works = [make_work(session, f"Match {n}", subjects=["Football"]) for n in "ab"]
        for work in works:
            make_alert(session, scene.patron, work)
    page = scene.browser.open("/me")
    for work in (*works, scene.works[1]):
        with pytest.raises(LookupError):
            page.button("Show no more of Football")
        page = scene.browser.press(page, "Not for me", within=card(work))

    page = scene.browser.press(page, "Show no more of Football")

    assert "You will see no more of \u2068Football\u2069" in page.main


def test_a_shelf_moves_hides_and_comes_back(scene: Scene) -> None:
    browser = scene.browser
    page = browser.press(browser.open("/me"), "Save", within=card(scene.works[0]))
    assert shelves(page)[0] == "New for you"

    page = browser.press(page, "Hide shelf: New for you")
    assert "New for you" not in shelves(page)

    page = browser.press(page, "Show shelf: New for you")
    for _ in range(4):
        page = browser.press(page, "Move up: Saved")
    assert shelves(page)[0] == "Saved"

    page = browser.press(page, "As it was at first")
    assert shelves(page)[0] == "New for you"


def test_an_empty_page_says_why_and_what_to_do(
    settings: Settings, sessions: Sessions
) -> None:
    with sessions.begin() as session:
        patron = ada(session)

    page = signed_in(settings, sessions, patron).open("/me")

    assert "Nothing waits for you just now" in page.main
    assert page.find("//main//a[@href='/me/interests']")


def test_a_title_is_text_and_never_markup(
    settings: Settings, sessions: Sessions
) -> None:
    with sessions.begin() as session:
        patron = ada(session)
        nasty = make_work(
            session,
            "<script>alert(1)</script>",
            creator='"><img src=x onerror=alert(1)>',
        )
        make_alert(session, patron, nasty)

    page = signed_in(settings, sessions, patron).open("/me")

    assert titles(page) == ["<script>alert(1)</script>"]
    assert page.find("//script | //img") == []


def shelves(page: Page) -> list[str]:
    return [h.text_content() for h in page.find("//section/h2")]


def weight_of(scene: Scene, interest_id: int) -> float:
    with scene.sessions() as session:
        return session.get_one(Interest, interest_id).weight


def told_of(scene: Scene, count: int) -> None:
    """Tell Ada of so many works more, one after another."""
    with scene.sessions.begin() as session:
        for number in range(count):
            made = make_alert(session, scene.patron, make_work(session, f"No {number}"))
            made.created_at = NOON + timedelta(minutes=number)


def all_titles(page: Page) -> list[str]:
    return [
        str(text) for text in page.find("//li[@class]//*[self::h2 or self::h3]/text()")
    ]


def test_no_alert_is_lost_from_the_page(scene: Scene) -> None:
    told_of(scene, 60)
    page = scene.browser.open("/me")
    assert len(page.find(f"{ALERTS}//li[contains(@class, 'card')]")) == 24
    (address,) = page.find(f"{ALERTS}//a[@class='button']/@href")

    first = scene.browser.open(str(address))
    (older,) = first.find("//a[@rel='next']/@href")
    second = scene.browser.open(str(older))

    assert all_titles(first)[:2] == ["No 59", "No 58"]
    assert len(all_titles(first)) == 50
    assert set(all_titles(first) + all_titles(second)) == {
        *(f"No {number}" for number in range(60)),
        *(work.title for work in scene.works),
    }
    assert second.find("//a[@rel='next']") == []


def test_an_answer_leads_back_to_where_it_was_given(scene: Scene) -> None:
    told_of(scene, 60)
    page = scene.browser.open("/me/alerts?page=2")
    title = all_titles(page)[0]

    page = scene.browser.press(page, "Not for me", within=f"//li[.//h2='{title}']")

    assert page.find("//a[@rel='prev']")  # the second page still
    assert title not in all_titles(page)
    assert title in all_titles(scene.browser.press(page, "Undo"))


def test_a_shelf_that_shows_all_leads_nowhere_else(scene: Scene) -> None:
    page = scene.browser.open("/me")

    assert page.find(f"{ALERTS}//a[@class='button']") == []
    assert scene.browser.open("/me/alerts?page=9").status == 200


def test_the_page_warns_when_mail_comes_back_and_says_when_it_is_stopped(
    scene: Scene,
) -> None:
    def said(trouble: Trouble) -> str:
        with scene.sessions.begin() as session:
            point = point_of(session, scene.patron)
            contacts.record_trouble(point, trouble, at=NOON)
        return scene.browser.open("/me").main

    assert "came back" not in scene.browser.open("/me").main
    assert "A message to ada@patrons.test came back." in said(Trouble.SOFT)
    assert "came back, so we stopped sending there." in said(Trouble.COMPLAINT)
