"""The private feed: shown once, read without signing in, ended by a new address."""

import json

import pytest

from library.db import Sessions
from library.settings import Settings
from library.tables import Patron
from tests.browsing import Browser, Page, signed_in, visitor
from tests.factories import ada, make_alert, make_work


@pytest.fixture
def patron(sessions: Sessions) -> Patron:
    with sessions.begin() as session:
        patron = ada(session)
        make_alert(session, patron, make_work(session, "Cosmos"))
    return patron


@pytest.fixture
def browser(settings: Settings, sessions: Sessions, patron: Patron) -> Browser:
    return signed_in(settings, sessions, patron)


def shown(page: Page, settings: Settings) -> str:
    (address,) = page.find("//section[@aria-labelledby='feed']//bdi")
    return str(address.text_content()).removeprefix(settings.base_url)


def test_the_address_is_shown_once_and_opens_without_signing_in(
    browser: Browser, settings: Settings, sessions: Sessions
) -> None:
    page = browser.press(browser.open("/me/data"), "Make an address")
    address = shown(page, settings)

    answer = visitor(settings, sessions).client.get(address)

    assert answer.content_type.startswith("application/atom+xml")
    assert "Cosmos" in answer.text
    assert address not in browser.open("/me/data").text


@pytest.mark.parametrize("asked", ["query", "header"])
def test_json_for_who_asks(
    browser: Browser, settings: Settings, sessions: Sessions, asked: str
) -> None:
    page = browser.press(browser.open("/me/data"), "Make an address")
    address = shown(page, settings)
    reader = visitor(settings, sessions).client

    answer = (
        reader.get(f"{address}?format=json")
        if asked == "query"
        else reader.get(address, headers={"Accept": "application/feed+json"})
    )

    assert [item["title"] for item in json.loads(answer.data)["items"]] == ["Cosmos"]


def test_a_new_address_ends_the_old_one_and_so_does_the_end(
    browser: Browser, settings: Settings, sessions: Sessions
) -> None:
    page = browser.press(browser.open("/me/data"), "Make an address")
    first = shown(page, settings)
    page = browser.press(page, "A new address, ending the old one")
    second = shown(page, settings)
    reader = visitor(settings, sessions).client
    assert [reader.get(a).status_code for a in (first, second)] == [410, 200]

    browser.press(page, "End the feed")

    assert reader.get(second).status_code == 410


def test_an_answer_takes_a_work_out_of_the_feed(
    browser: Browser, settings: Settings, sessions: Sessions
) -> None:
    page = browser.press(browser.open("/me/data"), "Make an address")
    address = shown(page, settings)

    browser.press(browser.open("/me"), "Read already")

    assert "Cosmos" not in visitor(settings, sessions).client.get(address).text
