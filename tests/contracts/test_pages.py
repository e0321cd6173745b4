"""What every page promises, whoever opens it and in either language."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Final

import pytest
from flask import Flask
from sqlalchemy import select, update
from werkzeug.routing import Rule

import api
from api.app import create_app
from api.auth import magic_link, principal
from library.clock import utc_now
from library.db import Sessions, make_engine, make_sessions
from library.settings import Settings
from library.tables import Base, Harvest, Patron, SignedIn, Staff
from library.vocabulary import Channel, ReasonKind, Verdict
from notifier.links import confirm_token, leave_token, less_token, verdict_token
from profiles import contacts
from tests import databases
from tests.browsing import Browser, Page, make_staff
from tests.factories import (
    NOON,
    ada,
    cy,
    make_acquisition,
    make_alert,
    make_interest,
    make_loan,
    make_source,
    make_work,
)

HERE = Path(api.__file__).parent
Walk = list[tuple[str, Page]]
NOT_PAGES: Final = ("/api/", "/static/")


@dataclass
class House:
    """An installation with something on every page, and three visitors."""

    app: Flask
    sessions: Sessions
    arguments: dict[str, dict[str, object]]
    visitors: dict[str, Browser]


@pytest.fixture
def house(settings: Settings, sessions: Sessions) -> House:
    return _furnished(settings, sessions)


@pytest.fixture(scope="module")
def walked(
    tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path
) -> Iterator[Walk]:
    """Every page as each visitor sees it: what it looks like hangs on no database."""
    home = tmp_path_factory.mktemp("walk")
    engine = make_engine(databases.sqlite_copy(sqlite_template, home))
    settings = replace(Settings(), home=home, secret="a secret for tests only")
    yield list(every_page(_furnished(settings, make_sessions(engine))))
    engine.dispose()


def _furnished(settings: Settings, sessions: Sessions) -> House:
    app = create_app(replace(settings, language="en"), sessions)
    with sessions.begin() as session:
        patrons = {"en": ada(session), "fa": cy(session)}
        work = make_work(session, "Cosmos", creator="Carl Sagan", subjects=["Stars"])
        make_acquisition(session, work)
        alerts = [make_alert(session, patron, work) for patron in patrons.values()]
        for alert in alerts:
            alert.reasons = [
                {
                    "kind": ReasonKind.SUBJECT,
                    "ref": "stars",
                    "label": "Stars",
                    "share": 1,
                }
            ]
        for patron in patrons.values():
            make_interest(session, patron, "Astronomy")
            make_loan(session, patron, make_work(session, f"Lent to {patron.name}"))
        source = make_source(session)
        session.add(Harvest(source_id=source.id, started_at=NOON))
        point = contacts.add(
            session, patrons["en"].id, Channel.EMAIL, "new@patrons.test", at=NOON
        )
        link = magic_link.make_link(session, settings, patrons["en"].id, at=utc_now())
    staff = make_staff(sessions)
    arguments: dict[str, dict[str, object]] = {
        "answer.ask": {
            "token": verdict_token(settings.secret, alerts[0].id, Verdict.WANTED)
        },
        "less.ask": {"token": less_token(settings.secret, alerts[0].id, 0)},
        "leave.ask": {"token": leave_token(settings.secret, 1, "all")},
        "confirm.ask": {"token": confirm_token(settings.secret, point.id)},
        "sign_in.confirm": {"token": link.link.rpartition("/")[2]},
        "feed.show": {"token": "ended"},
        "sources.log": {"source_id": source.id},
        "works.show": {"work_id": work.id},
    }
    visitors = {
        "a stranger": Browser(app),
        **{f"a patron, {k}": _patron(app, sessions, p) for k, p in patrons.items()},
        "a librarian": _librarian(app, sessions, staff),
    }
    return House(app, sessions, arguments, visitors)


def _patron(app: Flask, sessions: Sessions, patron: Patron) -> Browser:
    browser = Browser(app)
    with sessions.begin() as session:
        token = principal.start(session, at=utc_now(), patron_id=patron.id)
    browser.keep("hamkhan", token)
    return browser


def _librarian(app: Flask, sessions: Sessions, staff: Staff) -> Browser:
    browser = Browser(app)
    with sessions.begin() as session:
        token = principal.start(session, at=utc_now(), staff_id=staff.id)
    browser.keep("hamkhan-staff", token)
    return browser


def addresses(house: House) -> list[str]:
    """Return every address that can be opened, with arguments that fit."""
    adapter = house.app.url_map.bind("localhost")
    return [
        adapter.build(rule.endpoint, house.arguments.get(rule.endpoint, {}))
        for rule in _rules(house.app)
    ]


def _rules(app: Flask) -> Iterator[Rule]:
    for rule in app.url_map.iter_rules():
        if "GET" in (rule.methods or ()) and not rule.rule.startswith(NOT_PAGES):
            yield rule


def every_page(house: House) -> Iterator[tuple[str, Page]]:
    for who, browser in house.visitors.items():
        for address in addresses(house):
            yield f"{who} at {address}", browser.open(address)


def snapshot(sessions: Sessions) -> dict[str, list[str]]:
    """Return every row of every table, as text."""
    with sessions() as session:
        return {
            table.name: sorted(map(repr, session.execute(select(table)).all()))
            for table in Base.metadata.sorted_tables
        }


def test_opening_any_page_changes_no_row(house: House) -> None:
    before = snapshot(house.sessions)

    seen = [page.status for _ in range(2) for _, page in every_page(house)]

    assert snapshot(house.sessions) == before
    assert seen.count(200) > 60  # else the walk met nothing but doors


def test_every_page_speaks_one_language_in_its_direction(walked: Walk) -> None:
    for where, page in walked:
        direction = {"en": "ltr", "fa": "rtl"}[page.tree.get("lang", "")]
        assert page.tree.get("dir") == direction, where
        assert len(page.find("//h1")) == 1, where
        assert page.find("//title")[0].text_content().strip(" ·"), where


def test_patrons_pages_are_in_the_patrons_language(house: House) -> None:
    for address in addresses(house):
        if address.startswith("/me"):
            for lang in ("en", "fa"):
                page = house.visitors[f"a patron, {lang}"].open(address)
                assert page.tree.get("lang") == lang, address


def test_headings_go_down_one_level_at_a_time(walked: Walk) -> None:
    for where, page in walked:
        levels = [int(h.tag[1]) for h in page.find("//h1|//h2|//h3|//h4")]
        steps = [b - a for a, b in pairwise(levels)]
        assert all(step <= 1 for step in steps), (where, levels)


def test_every_field_has_a_label_and_every_button_a_name(walked: Walk) -> None:
    for where, page in walked:
        for field in page.find("//input[not(@type='hidden')]|//select|//textarea"):
            labelled = page.find(f"//label[@for='{field.get('id')}']")
            assert labelled or field.xpath("ancestor::label"), (
                where,
                field.get("name"),
            )
        for button in page.find("//button"):
            name = button.get("aria-label") or button.text_content()
            assert name.strip(), where


def test_ids_are_single_and_links_within_a_page_lead_somewhere(walked: Walk) -> None:
    for where, page in walked:
        ids = [str(i) for i in page.find("//@id")]
        assert len(ids) == len(set(ids)), where
        for target in page.find("//a[starts-with(@href,'#')]/@href"):
            assert target[1:] in ids, (where, target)
        for names in page.find("//@aria-labelledby|//@aria-describedby"):
            assert set(names.split()) <= set(ids), (where, names)


def test_only_a_post_acts_and_carries_this_browsers_token(walked: Walk) -> None:
    for where, page in walked:
        for form in page.find("//form"):
            if form.get("method") == "post":
                assert form.xpath(".//input[@name='form']/@value"), where
            else:
                assert form.get("role") == "search", where


def test_every_post_of_a_form_answers_and_none_is_a_get(house: House) -> None:
    for rule in house.app.url_map.iter_rules():
        if "POST" in (rule.methods or ()) and not rule.rule.startswith("/api/"):
            assert "GET" not in (rule.methods or ()), rule


def test_no_page_has_script_or_style_within_it_or_asks_another_host(
    walked: Walk,
) -> None:
    for where, page in walked:
        assert not page.find("//style|//iframe|//object|//img[@src]"), where
        for script in page.find("//script"):
            assert script.get("src", "").startswith("/static/"), where
            assert not script.text, where
        assert not page.find("//@style|//@*[starts-with(name(),'on')]"), where
        for address in page.find("//link/@href"):
            assert address.startswith("/static/"), (where, address)


def test_every_answer_is_guarded_by_headers(walked: Walk) -> None:
    for where, page in walked:
        headers = page.headers
        policy = headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'"), where
        assert "unsafe" not in policy, where
        assert "frame-ancestors 'none'" in policy, where
        assert headers["X-Content-Type-Options"] == "nosniff", where
        assert headers["Referrer-Policy"] == "no-referrer", where
        assert headers["Cache-Control"] == "no-store", where


def test_a_strangers_walk_meets_nobodys_data(house: House) -> None:
    # Pages opened by a link alone name the one it is for.
    by_link = ("/answer/", "/less/", "/sign-in/")
    for address in addresses(house):
        page = house.visitors["a stranger"].open(address)
        if not address.startswith(by_link):
            assert "Ada" not in page.text, address
            assert "Cosmos" not in page.text, address


def test_a_patrons_walk_meets_nothing_of_anothers(house: House) -> None:
    for address in addresses(house):
        if not address.startswith("/sign-in/"):
            page = house.visitors["a patron, fa"].open(address)
            assert "Ada" not in page.text, address


def test_a_sign_in_that_is_over_opens_nothing(house: House, sessions: Sessions) -> None:
    with sessions.begin() as session:
        over = utc_now() - timedelta(seconds=1)
        session.execute(update(SignedIn).values(expires_at=over))

    for address in addresses(house):
        if address.startswith("/me"):
            page = house.visitors["a patron, en"].open(address)
            assert page.address == "/sign-in", address
        if address.startswith("/console"):
            page = house.visitors["a librarian"].open(address)
            assert page.address == "/console/sign-in", address


def test_the_style_sheet_knows_no_left_and_right() -> None:
    sheet = (HERE / "static/hamkhan.css").read_text("utf-8")
    without_comments = re.sub(r"/\*.*?\*/", "", sheet, flags=re.DOTALL)

    assert re.findall(r"\b(?:left|right)\b", without_comments) == []
    assert (
        re.findall(r"(?<![-\w])(?:width|height|top|bottom)\s*:", without_comments) == []
    )


def test_the_style_sheet_stays_small() -> None:
    assert (HERE / "static/hamkhan.css").stat().st_size < 7_000


@pytest.mark.parametrize("path", sorted(HERE.rglob("templates/**/*.html")), ids=str)
def test_no_template_opens_a_hole(path: Path) -> None:
    text = path.read_text("utf-8")

    assert "|safe" not in text.replace(" ", "")
    assert "autoescape" not in text
    assert 'dir="auto"' not in text
