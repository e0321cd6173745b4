"""Consents, loans, messages, take-out and erasing, as the patron sees them."""

import io
import json
import zipfile

import pytest
from sqlalchemy import func, select

from library.db import Sessions
from library.settings import Settings
from library.tables import Consent, Loan, Patron
from library.vocabulary import ConsentPurpose
from profiles import consent
from tests.browsing import Browser, Page, signed_in
from tests.factories import NOON, ada, bo, cy, make_interest, make_loan, make_work
from tests.notifier.cast import Outbox, alert, deliver, matched


@pytest.fixture
def bos(settings: Settings, sessions: Sessions) -> tuple[Browser, Patron]:
    with sessions.begin() as session:
        patron = bo(session)
    return signed_in(settings, sessions, patron), patron


def has(sessions: Sessions, patron: Patron, purpose: ConsentPurpose) -> bool:
    with sessions() as session:
        return consent.has(session, patron.id, purpose)


def test_all_purposes_are_off_until_agreed_to(bos: tuple[Browser, Patron]) -> None:
    page = bos[0].open("/me/data")

    assert len(page.find("//form[starts-with(@id,'consent-')]")) == len(ConsentPurpose)
    assert page.find("//button[@name='withdraw']") == []


def test_agreeing_stores_the_words_and_withdrawing_ends_it(
    bos: tuple[Browser, Patron], sessions: Sessions
) -> None:
    browser, patron = bos
    page = browser.open("/me/data")
    page = browser.press(page, "Agree: Learn from my loans")
    with sessions() as session:
        (row,) = session.scalars(select(Consent)).all()
    assert "without my name" in row.wording
    assert has(sessions, patron, ConsentPurpose.MODEL)

    browser.press(page, "Withdraw: Learn from my loans")

    assert not has(sessions, patron, ConsentPurpose.MODEL)


@pytest.mark.parametrize("ticked", [True, False])
def test_loans_of_the_past_come_in_only_if_the_patron_says_so(
    bos: tuple[Browser, Patron], sessions: Sessions, ticked: bool
) -> None:
    page = bos[0].open("/me/data")
    bos[0].press(page, "Agree: Keep my loans", covers_past="1" if ticked else "-")

    with sessions() as session:
        assert session.scalars(select(Consent.covers_past)).all() == [ticked]


def test_a_new_wording_asks_again(settings: Settings, sessions: Sessions) -> None:
    with sessions.begin() as session:
        patron = bo(session)
        consent.give(
            session,
            patron.id,
            ConsentPurpose.HISTORY,
            wording="2020: other words",
            source="page",
            at=NOON,
        )
    browser = signed_in(settings, sessions, patron)

    page = browser.open("/me/data")
    assert "The wording has changed since" in page.main
    page = browser.press(
        page, "Agree: Keep my loans", within="//form[@id='consent-history']"
    )

    (form,) = page.find("//form[@id='consent-history']")
    assert "The wording has changed" not in form.text_content()


def test_what_came_with_an_import_is_not_asked_again(
    settings: Settings, sessions: Sessions
) -> None:
    with sessions.begin() as session:
        patron = ada(session)  # who agreed to the library's own words

    page = signed_in(settings, sessions, patron).open("/me/data")

    assert "The wording has changed" not in page.main


def test_a_loan_can_be_left_out_and_used_again(
    settings: Settings, sessions: Sessions
) -> None:
    with sessions.begin() as session:
        patron = ada(session)
        loan = make_loan(session, patron, make_work(session, "Cookery"))
    browser = signed_in(settings, sessions, patron)

    page = browser.press(browser.open("/me/data"), "Leave out: Cookery")
    assert ignored(sessions, loan)

    browser.press(page, "Use again: Cookery")
    assert not ignored(sessions, loan)


def test_the_take_out_is_a_zip_of_ones_own(
    settings: Settings, sessions: Sessions
) -> None:
    with sessions.begin() as session:
        patron, other = ada(session), cy(session)
        make_interest(session, patron, "Astronomy")
        make_interest(session, other, "Secrets")
    browser = signed_in(settings, sessions, patron)
    page = browser.open("/me/data")
    token = page.find("//main//input[@name='form']/@value")[0]

    answer = browser.client.post("/me/data/export", data={"form": token})

    archive = zipfile.ZipFile(io.BytesIO(answer.data))
    everything = b"".join(archive.read(name) for name in archive.namelist())
    assert "Astronomy" in everything.decode()
    assert "Secrets" not in everything.decode()
    assert all(
        json.loads(archive.read(name))
        for name in archive.namelist()
        if name.endswith(".json")
    )


def test_erasing_asks_for_a_word_and_acts_at_once(
    settings: Settings, sessions: Sessions
) -> None:
    with sessions.begin() as session:
        patron = cy(session)
        make_loan(session, patron, make_work(session, "Cookery"))
    browser = signed_in(settings, sessions, patron)
    page = browser.open("/me/erase")
    button = "همه‌چیز اکنون پاک شود"

    refused = browser.press(page, button, word="بله")
    assert refused.status == 422
    assert patrons(sessions) == 1

    page = browser.press(page, button, word="پاک شود")
    assert page.address == "/erased"
    assert page.find("//*[@class='big']")
    assert patrons(sessions) == 0
    assert browser.open("/me").address == "/sign-in"


def patrons(sessions: Sessions) -> int:
    with sessions() as session:
        return session.scalar(select(func.count()).select_from(Patron)) or 0


def ignored(sessions: Sessions, loan: Loan) -> bool:
    with sessions() as session:
        return session.get_one(Loan, loan.id).ignored


def test_the_way_to_erasing_leads_over_a_page_of_its_own(
    bos: tuple[Browser, Patron],
) -> None:
    page: Page = bos[0].open("/me/data")

    assert page.find("//a[@href='/me/erase']")
    assert page.find("//form[@action='/me/erase']") == []


def test_what_was_sent_stands_with_what_the_server_answered(
    settings: Settings, sessions: Sessions
) -> None:
    with sessions.begin() as session:
        patron = ada(session)
        matched(session, patron, ["Contact"])
    alert(sessions, settings)
    deliver(sessions, settings, Outbox())

    page = signed_in(settings, sessions, patron).open("/me/data")

    assert "250 taken" in page.main
    assert "a…@patrons.test" in page.main
    assert "ada@patrons.test" not in page.main  # a guardian's stands here too


@pytest.mark.parametrize(
    ("address", "button", "fields", "heading"),
    [
        ("/me/erase", "همه‌چیز اکنون پاک شود", {"word": "پاک شود"}, "پاک شد"),
        ("/me", "خروج", {}, "آثار تازه‌ای که به کار شما می‌آید"),
    ],
    ids=["erased", "signed out"],
)
def test_the_last_page_is_in_the_language_of_who_goes(
    settings: Settings,
    sessions: Sessions,
    address: str,
    button: str,
    fields: dict[str, str],
    heading: str,
) -> None:
    with sessions.begin() as session:
        patron = cy(session)
    browser = signed_in(settings, sessions, patron)

    page = browser.press(browser.open(address), button, **fields)

    assert page.find("//h1")[0].text_content() == heading
    assert page.find("//html/@dir") == ["rtl"]
