"""A patron gets in by a link or a code, once; nobody learns who has a card."""

import hashlib
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from api.auth import magic_link
from library.clock import utc_now
from library.db import Sessions, reading
from library.settings import Settings
from library.tables import Delivery, Patron, SignedIn, SignIn
from library.vocabulary import Purpose
from tests.browsing import Browser, Page, visitor
from tests.factories import ada, cy, make_patron
from tests.races import meanwhile


@pytest.fixture
def patron(sessions: Sessions) -> Patron:
    with sessions.begin() as session:
        return ada(session)


@pytest.fixture
def browser(settings: Settings, sessions: Sessions) -> Browser:
    return visitor(settings, sessions)


def link_for(
    sessions: Sessions, settings: Settings, patron: Patron
) -> magic_link.SignInLink:
    with sessions.begin() as session:
        return magic_link.make_link(session, settings, patron.id, at=utc_now())


def path_of(made: magic_link.SignInLink, settings: Settings) -> str:
    return made.link.removeprefix(settings.base_url)


def ask(browser: Browser, identity: str) -> Page:
    page = browser.open("/sign-in")
    return browser.press(page, "Send me a link", identity=identity)


def count(sessions: Sessions, table: type[SignIn | SignedIn | Delivery]) -> int:
    with sessions() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


@pytest.mark.parametrize(
    "identity", ["ada@patrons.test", " ADA@patrons.test ", "ada"], ids=str.strip
)
def test_a_known_patron_gets_one_message(
    browser: Browser, sessions: Sessions, patron: Patron, identity: str
) -> None:
    ask(browser, identity)

    with sessions() as session:
        (delivery,) = session.scalars(select(Delivery)).all()
    assert (delivery.patron_id, delivery.purpose) == (patron.id, Purpose.SIGN_IN)


def test_the_card_number_will_do(browser: Browser, sessions: Sessions) -> None:
    with sessions.begin() as session:
        patron = ada(session)
        patron.card_hash = hashlib.sha256(b"test:29301").hexdigest()

    ask(browser, "29301")

    assert count(sessions, Delivery) == 1


def test_known_and_unknown_look_alike(
    settings: Settings, sessions: Sessions, patron: Patron
) -> None:
    known = ask(visitor(settings, sessions), "ada@patrons.test")
    unknown = ask(visitor(settings, sessions), "nobody@patrons.test")

    assert (known.status, known.address) == (unknown.status, unknown.address)
    assert known.main == unknown.main
    assert count(sessions, Delivery) == 1


def test_a_family_shares_an_address_and_gets_a_link_each(
    browser: Browser, sessions: Sessions
) -> None:
    with sessions.begin() as session:
        make_patron(session, "Leila", address="home@patrons.test")
        make_patron(session, "Omid", address="home@patrons.test")

    ask(browser, "home@patrons.test")

    assert count(sessions, Delivery) == 2


def test_opening_the_link_uses_nothing_up(
    browser: Browser, sessions: Sessions, settings: Settings, patron: Patron
) -> None:
    path = path_of(link_for(sessions, settings, patron), settings)

    pages = [browser.open(path) for _ in range(3)]

    assert all("Continue as Ada" in page.main for page in pages)
    assert count(sessions, SignedIn) == 0


def test_the_button_signs_in_once(
    settings: Settings, sessions: Sessions, patron: Patron
) -> None:
    path = path_of(link_for(sessions, settings, patron), settings)
    browser, other = visitor(settings, sessions), visitor(settings, sessions)
    page, again = browser.open(path), other.open(path)

    entered = browser.press(page, "Continue as Ada")
    refused = other.press(again, "Continue as Ada")

    assert entered.address == "/me"
    assert refused.status == 410
    assert other.open("/me").address == "/sign-in"


def test_a_link_ends_after_a_quarter_of_an_hour(
    browser: Browser, sessions: Sessions, settings: Settings, patron: Patron
) -> None:
    path = path_of(link_for(sessions, settings, patron), settings)
    with sessions.begin() as session:
        for row in session.scalars(select(SignIn)):
            row.expires_at = utc_now() - timedelta(seconds=1)

    assert browser.open(path).status == 410


@pytest.mark.parametrize(
    "typed", ["{}", " {} ", "persian"], ids=["plain", "spaces", "fa"]
)
def test_the_code_works_too(
    browser: Browser,
    sessions: Sessions,
    settings: Settings,
    patron: Patron,
    typed: str,
) -> None:
    page = ask(browser, "ada@patrons.test")
    code = link_for(sessions, settings, patron).code
    persian = code.translate(str.maketrans("0123456789", "۰۱۲۳۴۵۶۷۸۹"))
    shown = persian if typed == "persian" else typed.format(code)

    assert browser.press(page, "Sign in", code=shown).address == "/me"


def test_a_code_dies_after_five_wrong_tries(
    browser: Browser, sessions: Sessions, settings: Settings, patron: Patron
) -> None:
    page = ask(browser, "ada@patrons.test")
    code = link_for(sessions, settings, patron).code
    wrong = f"{(int(code) + 1) % 10**6:06d}"

    for _ in range(magic_link.CODE_TRIES):
        assert browser.press(page, "Sign in", code=wrong).status == 422

    assert browser.press(page, "Sign in", code=code).status == 422


def test_tries_at_one_moment_are_all_counted(
    sessions: Sessions, settings: Settings, patron: Patron
) -> None:
    code = link_for(sessions, settings, patron).code
    wrong = f"{(int(code) + 1) % 10**6:06d}"

    def try_it(session: Session) -> None:
        magic_link.use_code(session, settings, [patron.id], wrong, at=utc_now())

    meanwhile(sessions, try_it, try_it, try_it)

    with reading(sessions) as session:
        assert session.scalars(select(SignIn.tries)).all() == [3]


def test_anothers_code_lets_nobody_in(
    browser: Browser, sessions: Sessions, settings: Settings, patron: Patron
) -> None:
    with sessions.begin() as session:
        other = cy(session)
    code = link_for(sessions, settings, other).code

    page = ask(browser, "ada@patrons.test")

    assert browser.press(page, "Sign in", code=code).status == 422


def test_the_eleventh_asking_within_the_hour_is_refused(
    settings: Settings, sessions: Sessions, patron: Patron
) -> None:
    statuses = [
        ask(visitor(settings, sessions), spelled).status
        for spelled in ["ada@patrons.test", "a.da+x@patrons.test"] * 5
    ]

    assert statuses == [200] * 10
    assert ask(visitor(settings, sessions), "ada@patrons.test").status == 429


def test_twenty_askings_from_one_place_are_enough(
    settings: Settings, sessions: Sessions
) -> None:
    browser = visitor(settings, sessions)
    statuses = [ask(browser, f"n{n}@patrons.test").status for n in range(21)]

    assert statuses == [200] * 20 + [429]


def test_signing_out_ends_it_here_and_in_the_table(
    browser: Browser, sessions: Sessions, settings: Settings, patron: Patron
) -> None:
    path = path_of(link_for(sessions, settings, patron), settings)
    page = browser.press(browser.open(path), "Continue as Ada")

    browser.press(page, "Sign out")

    assert count(sessions, SignedIn) == 0
    assert browser.open("/me").address == "/sign-in"


def test_after_signing_in_the_page_asked_for_opens(
    browser: Browser, sessions: Sessions, settings: Settings, patron: Patron
) -> None:
    page = browser.open("/me/interests")
    assert page.address == "/sign-in"
    page = browser.press(page, "Send me a link", identity="ada@patrons.test")
    code = link_for(sessions, settings, patron).code

    assert browser.press(page, "Sign in", code=code).address == "/me/interests"


@pytest.mark.parametrize(
    "there",
    ["https://elsewhere.test/", "//elsewhere.test", "/\\elsewhere.test", "me"],
)
def test_nobody_is_sent_to_another_site(
    browser: Browser,
    sessions: Sessions,
    settings: Settings,
    patron: Patron,
    there: str,
) -> None:
    page = browser.open("/sign-in")
    page = browser.press(page, "Send me a link", identity="ada", next=there)
    code = link_for(sessions, settings, patron).code

    assert browser.press(page, "Sign in", code=code).address == "/me"


def test_no_table_holds_what_opens_the_door(
    browser: Browser, sessions: Sessions, settings: Settings, patron: Patron
) -> None:
    made = link_for(sessions, settings, patron)
    browser.press(browser.open(path_of(made, settings)), "Continue as Ada")
    cookie = browser.client.get_cookie("hamkhan")
    assert cookie is not None

    with sessions() as session:
        row = session.scalars(select(SignIn)).one()
        signed = session.scalars(select(SignedIn)).one()
    kept = {row.token_hash, row.code_hash, signed.token_hash}
    assert kept.isdisjoint({made.link.rpartition("/")[2], made.code, cookie.value})


def test_over_https_the_cookie_is_bound_to_this_host(
    sessions: Sessions, settings: Settings, patron: Patron
) -> None:
    secure = replace(settings, base_url="https://library.test")
    browser = visitor(secure, sessions)
    path = path_of(link_for(sessions, secure, patron), secure)
    response = browser.client.get(path, base_url="https://library.test")
    token = Page(response).find("//main//input[@name='form']/@value")[0]

    entered = browser.client.post(
        path, data={"form": str(token)}, base_url="https://library.test"
    )

    cookies = entered.headers.getlist("Set-Cookie")
    (mine,) = (c for c in cookies if c.startswith("__Host-hamkhan="))
    assert {"Secure", "HttpOnly", "Path=/", "SameSite=Lax"} <= set(mine.split("; "))
    assert "Domain" not in mine
    assert entered.headers["Strict-Transport-Security"]
