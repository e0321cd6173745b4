"""Chromium on a served site: the Persian reader's path, and axe on every page."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Locator, Page, expect
from sqlalchemy import select

from api.app import create_app
from api.auth import magic_link
from library.clock import utc_now
from library.db import Sessions, make_engine, make_sessions
from library.settings import Settings
from library.tables import Branch, Feedback, Harvest, Patron, Staff
from library.vocabulary import ReasonKind, Verdict
from notifier.links import leave_token, less_token, verdict_token
from tests import databases, serving
from tests.browsing import PASSWORD, make_staff
from tests.factories import (
    NOON,
    ada,
    cy,
    make_acquisition,
    make_alert,
    make_branch,
    make_interest,
    make_loan,
    make_source,
    make_work,
)
from tests.serving import listening

pytestmark = [pytest.mark.browser, pytest.mark.slow]

LEVELS: Final = ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa"]
WORKS: Final = (
    ("سووشون", "سیمین دانشور", "per"),
    ("Customer Relationship Management (CRM) در کتابخانه‌ها", "نرگس اکبری", "per"),
    ("Cosmos", "Carl Sagan", "eng"),
)
OPEN: Final = ("/", "/privacy", "/sign-in", "/sign-in/code", "/erased", "/nowhere")
MINE: Final = (
    "/me",
    "/me/alerts",
    "/me/interests",
    "/me/hidden",
    "/me/preferences",
    "/me/data",
    "/me/erase",
)
CONSOLE: Final = (
    "/console",
    "/console/sent",
    "/console/stopped",
    "/console/rules?q=cosmos",
    "/console/view-as",
    "/console/models",
    "/console/outcomes",
)


@dataclass
class Site:
    """A served installation with two patrons and a librarian."""

    settings: Settings
    sessions: Sessions
    patrons: dict[str, Patron]
    staff: Staff
    by_link: dict[str, tuple[str, ...]]

    def link_in(self, lang: str) -> str:
        """Return a link by which the patron of this language signs in."""
        with self.sessions.begin() as session:
            patron_id = self.patrons[lang].id
            made = magic_link.make_link(session, self.settings, patron_id, at=utc_now())
        return made.link


@pytest.fixture(scope="module")
def site(
    tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path
) -> Iterator[Site]:
    home = tmp_path_factory.mktemp("site")
    engine = make_engine(databases.sqlite_copy(sqlite_template, home))
    sessions = make_sessions(engine)
    bare = replace(Settings(), home=home, secret="a secret for tests only")
    with listening(bare) as (settings, serve):
        serve(create_app(settings, sessions))
        yield _furnished(settings, sessions)
    engine.dispose()


def _furnished(settings: Settings, sessions: Sessions) -> Site:
    with sessions.begin() as session:
        branch = make_branch(session)
        branch.name_fa = "شعبهٔ مرکزی"
        patrons = {"en": ada(session), "fa": cy(session)}
        works = [
            make_work(session, title, creator=creator, language=language)
            for title, creator, language in WORKS
        ]
        works[-1].year_raw = "1980"
        alerts = {}
        for lang, patron in patrons.items():
            for work in works:
                make_acquisition(session, work) if lang == "en" else None
                alert = make_alert(session, patron, work)
                alert.reasons = [
                    {
                        "kind": ReasonKind.CREATOR,
                        "ref": "x",
                        "label": "Carl Sagan",
                        "share": 1.0,
                    }
                ]
                alerts[lang] = alert.id
            make_interest(session, patron, "نجوم")
            make_loan(session, patron, make_work(session, f"Read by {patron.name}"))
        source = make_source(session)
        session.add(Harvest(source_id=source.id, started_at=NOON, ended_at=NOON))
        assert session.scalars(select(Branch)).all()
    staff = make_staff(sessions)
    by_link: dict[str, tuple[str, ...]] = {
        lang: (
            f"/answer/{verdict_token(settings.secret, alert_id, Verdict.WANTED)}",
            f"/less/{less_token(settings.secret, alert_id, 0)}",
            f"/leave/{leave_token(settings.secret, 1, 'digest')}",
        )
        for lang, alert_id in alerts.items()
    }
    return Site(settings, sessions, patrons, staff, by_link)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with serving.chromium() as browser:
        yield browser


@pytest.fixture(params=["javascript", "no javascript"])
def scripts(request: pytest.FixtureRequest) -> bool:
    return bool(request.param == "javascript")


def open_page(
    chromium: Browser,
    site: Site,
    lang: str,
    *,
    width: int = 1280,
    dark: bool = False,
    scripts: bool = True,
) -> Page:
    context = chromium.new_context(
        base_url=site.settings.base_url,
        locale={"en": "en-GB", "fa": "fa-IR"}[lang],
        viewport={"width": width, "height": 800},
        color_scheme="dark" if dark else "light",
        java_script_enabled=scripts,
    )
    return context.new_page()


def sign_in(page: Page, site: Site, lang: str) -> None:
    page.goto(site.link_in(lang))
    page.locator("main button.main").click()
    page.wait_for_url("**/me")


def test_the_persian_reader_signs_in_says_no_and_takes_it_back(
    chromium: Browser, site: Site, scripts: bool
) -> None:
    page = open_page(chromium, site, "fa", scripts=scripts)
    page.goto(site.link_in("fa"))
    page.get_by_role("button", name=re.compile("ادامه با نام")).click()
    expect(page.locator("html")).to_have_attribute("dir", "rtl")
    expect(page.get_by_role("heading", level=1)).to_have_text("برگزیده برای شما")
    shelf = page.get_by_role("region", name="تازه‌ها برای شما")
    expect(shelf.locator("li.card")).to_have_count(len(WORKS))
    card = shelf.locator("li.card").filter(has_text="سووشون")
    assert starts_on_the_right(shelf)

    card.get_by_role("button", name="برای من نیست").click()

    expect(card).to_have_count(0)
    assert verdicts(site) == [Verdict.NOT_FOR_ME]
    page.get_by_role("button", name="بازگرداندن").click()
    expect(card).to_have_count(1)
    assert verdicts(site) == []
    page.context.close()


def starts_on_the_right(shelf: Locator) -> bool:
    """Tell whether the first card, and the strip that begins it, are at the right."""
    card = shelf.locator("li.card").first
    box, row = card.bounding_box(), shelf.bounding_box()
    assert box
    assert row
    strip = card.evaluate("e => getComputedStyle(e).borderRightWidth")
    gap = row["x"] + row["width"] - box["x"] - box["width"]
    return strip == "8px" and abs(gap) < 1


def verdicts(site: Site) -> list[Verdict]:
    with site.sessions() as session:
        return list(
            session.scalars(
                select(Feedback.verdict).where(
                    Feedback.patron_id == site.patrons["fa"].id
                )
            )
        )


@pytest.mark.parametrize("lang", ["en", "fa"])
def test_axe_finds_nothing_on_any_page(
    chromium: Browser, site: Site, lang: str
) -> None:
    page = open_page(chromium, site, lang)

    found = [
        fault for address in walk(page, site, lang) for fault in axe(page, address)
    ]

    assert found == []
    page.context.close()


@pytest.mark.parametrize("lang", ["en", "fa"])
def test_nor_in_the_dark_on_a_narrow_screen_that_never_scrolls_sideways(
    chromium: Browser, site: Site, lang: str
) -> None:
    page = open_page(chromium, site, lang, width=360, dark=True)

    found = []
    for address in walk(page, site, lang):
        wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        found += [f"{address}: {wide} px too wide"] if wide > 0 else []
        found += [f"{address}: small: {e}" for e in page.evaluate(SMALL_TARGETS)]
        found += axe(page, address)

    assert found == []
    page.context.close()


# A link within a sentence may be as small as its line, and a box has its label.
SMALL_TARGETS: Final = """
[...document.querySelectorAll("button, summary, select, a, input:not([type=hidden])")]
  .filter(e => !e.closest(".skip, .tick, p:not(:has(> .button:only-child)), td, th"))
  .filter(e => e.getBoundingClientRect().width)
  .filter(e => e.getBoundingClientRect().height < 43.9)
  .map(e => e.outerHTML.slice(0, 120))
"""


def test_no_page_breaks_its_own_policy_or_asks_another_host(
    chromium: Browser, site: Site
) -> None:
    page = open_page(chromium, site, "fa")
    said: list[str] = []
    asked: set[str] = set()
    page.on("console", lambda message: said.append(message.text))
    page.on("request", lambda request: asked.add(request.url.split("/")[2]))

    for _ in walk(page, site, "fa"):
        pass

    assert [text for text in said if "status of 4" not in text] == []
    assert asked == {site.settings.base_url.removeprefix("http://")}
    page.context.close()


def test_two_values_in_a_line_keep_their_order_in_both_directions(
    chromium: Browser, site: Site
) -> None:
    for lang, creator_first in (("en", True), ("fa", False)):
        page = open_page(chromium, site, lang)
        sign_in(page, site, lang)
        card = page.locator("li.card").filter(has_text="Cosmos").first
        creator, year = (card.locator(".by bdi").nth(n).bounding_box() for n in (0, 1))
        assert creator
        assert year
        assert (creator["x"] < year["x"]) is creator_first
        page.context.close()


def test_the_keyboard_reaches_the_content_first(chromium: Browser, site: Site) -> None:
    page = open_page(chromium, site, "en")
    page.goto("/privacy")

    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    expect(page.locator(".skip")).to_be_in_viewport()
    page.keyboard.press("Enter")

    assert page.url.endswith("#main")
    page.context.close()


def test_print_keeps_the_reading_list_and_drops_the_buttons(
    chromium: Browser, site: Site
) -> None:
    page = open_page(chromium, site, "en")
    sign_in(page, site, "en")

    page.emulate_media(media="print")

    expect(page.locator("li.card h3").first).to_be_visible()
    expect(page.get_by_role("button")).to_have_count(0)
    expect(page.locator("nav")).to_be_hidden()
    page.context.close()


def walk(page: Page, site: Site, lang: str) -> Iterator[str]:
    """Open every page in turn: as a stranger, as a patron, as a librarian."""
    for address in (*OPEN, *site.by_link[lang], "/console/sign-in"):
        page.goto(address)
        yield address
    sign_in(page, site, lang)
    for address in MINE:
        page.goto(address)
        yield address
    with site.sessions.begin() as session:
        language = site.patrons[lang].language
        session.get_one(Staff, site.staff.id).language = language
    page.goto("/console/sign-in")
    page.locator("#email").fill(site.staff.email)
    page.locator("#password").fill(PASSWORD)
    page.locator("main button.main").click()
    page.wait_for_url("**/console")
    for address in (*CONSOLE, "/console/sources/1"):
        page.goto(address)
        yield address


def axe(page: Page, address: str) -> list[str]:
    """Return what axe finds on the page as it stands."""
    expect(page.locator("h1")).to_have_count(1)
    answer = Axe().run(
        page,
        options={
            "runOnly": {"type": "tag", "values": LEVELS},
            "resultTypes": ["violations"],
        },
    )
    assert answer.response["passes"]  # else it looked at nothing
    return [
        f"{address}: {fault['id']}: {fault['nodes'][0]['html'][:200]}"
        for fault in answer.response["violations"]
    ]
