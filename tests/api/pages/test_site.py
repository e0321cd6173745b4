"""The front door, the privacy page, switches, guards and errors."""

from dataclasses import replace

import pytest
from sqlalchemy.exc import OperationalError

from api.app import create_app
from library.db import Sessions, make_engine, make_sessions
from library.settings import Settings
from tests.browsing import Browser, Page, signed_in, visitor
from tests.factories import ada, make_branch


@pytest.fixture
def browser(settings: Settings, sessions: Sessions) -> Browser:
    return visitor(settings, sessions)


def test_the_privacy_page_follows_the_settings(
    settings: Settings, sessions: Sessions
) -> None:
    with sessions.begin() as session:
        make_branch(session, "north")

    def shown(**changed: object) -> str:
        return visitor(replace(settings, **changed), sessions).open("/privacy").main  # type: ignore[arg-type]

    assert "At most 7 messages a week" in shown()
    assert "At most 3 messages a week" in shown(message_cap=3)
    assert "No mail leaves this installation" in shown()
    assert "own mail server" in shown(smtp_url="smtp://127.0.0.1")
    assert "only listed addresses get mail" in shown(deliver_only_to=("@x.test",))
    assert "North" in shown()


@pytest.mark.parametrize(
    ("header", "lang"),
    [
        ("fa", "fa"),
        ("fa-IR,en;q=0.5", "fa"),
        ("de, en", "en"),
        ("de", "en"),
        ("", "en"),
    ],
)
def test_a_stranger_is_spoken_to_as_the_browser_asks(
    browser: Browser, header: str, lang: str
) -> None:
    page = browser.open("/", **{"Accept-Language": header})

    assert page.tree.get("lang") == lang


def test_the_choice_of_language_lasts(browser: Browser) -> None:
    page = browser.press(browser.open("/privacy"), "فارسی")

    assert (page.address, page.tree.get("dir")) == ("/privacy", "rtl")
    assert browser.open("/").tree.get("lang") == "fa"


def test_the_choice_of_colours_lasts(browser: Browser) -> None:
    page = browser.press(browser.open("/"), "Dark")
    assert page.tree.get("data-theme") == "dark"

    page = browser.press(page, "Automatic")
    assert page.tree.get("data-theme") is None


@pytest.mark.parametrize("language", ["en", "fa"])
@pytest.mark.parametrize(
    ("address", "status"), [("/nowhere", 404), ("/me/verdict", 404), ("/answer/x", 410)]
)
def test_errors_are_pages_in_the_readers_language(
    browser: Browser, address: str, status: int, language: str
) -> None:
    page = browser.open(address, **{"Accept-Language": language})

    assert page.tree.get("lang") == language
    assert page.status in {status, 405}
    assert page.find("//main//a[@class]")


def test_a_bug_is_a_page_with_a_reference_and_no_detail(
    settings: Settings, sessions: Sessions
) -> None:
    app = create_app(settings, sessions)
    app.add_url_rule("/broken", view_func=_broken)

    page = Page(app.test_client().get("/broken"))

    assert page.status == 500
    assert page.find("//main//bdi[@class='code']")
    assert "ZeroDivisionError" not in page.text


def _broken() -> str:
    raise ZeroDivisionError


def test_without_its_database_a_page_still_answers(settings: Settings) -> None:
    nowhere = make_sessions(make_engine("postgresql+psycopg://nobody@127.0.0.1:9/x"))
    with pytest.raises(OperationalError):
        nowhere().connection()

    page = visitor(settings, nowhere).open("/")

    assert page.status == 500
    assert "Something broke on our side" in page.main


@pytest.mark.parametrize("token", ["", "guessed", "none"])
def test_a_form_without_this_browsers_token_is_refused(
    settings: Settings, sessions: Sessions, token: str
) -> None:
    with sessions.begin() as session:
        patron = ada(session)
    browser = signed_in(settings, sessions, patron)

    fresh = browser.post("/me/pause", {"days": "30", "form": token})
    browser.open("/me/preferences")
    visited = browser.post("/me/pause", {"days": "30", "form": token})

    assert (fresh.status, visited.status) == (403, 403)


def test_an_upload_is_capped(browser: Browser) -> None:
    page = browser.open("/sign-in")

    refused = browser.press(page, "Send me a link", identity="a" * 2_000_000)

    assert refused.status == 413
