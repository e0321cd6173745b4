"""A browser asks to be told, is told, and opens what the notification leads to.

No push service can be reached from here, so the browser is given one of ours: what its
push manager says is the only thing made up, and what arrives there is handed to
the browser as its own service would.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from api.app import create_app
from api.auth import principal
from library.clock import utc_now
from library.db import Sessions, make_engine, make_sessions
from library.settings import Settings
from library.tables import Patron
from notifier.delivery import deliver_due
from profiles import devices
from profiles.devices import Device
from tests import databases, serving
from tests.factories import ada, cy
from tests.notifier.cast import alert, matched
from tests.notifier.push_service import PushService, push_service
from tests.serving import listening

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SUBSCRIBE: Final = """
given => {
  const found = () => ({
    endpoint: given.endpoint,
    options: { applicationServerKey: Uint8Array.fromBase64(
      localStorage.key_asked_under, { alphabet: "base64url" }).buffer },
    toJSON: () => given,
  });
  PushManager.prototype.subscribe = async ({ applicationServerKey }) => {
    localStorage.key_asked_under = applicationServerKey;
    return found();
  };
  PushManager.prototype.getSubscription = async () =>
    localStorage.key_asked_under ? found() : null;
}
"""
WORDS: Final = {
    "title": "Library",
    "body": "3 new works",
    "lang": "en",
    "dir": "ltr",
    "tag": "x",
    "link": "/",
    "leave": "/",
    "leave_label": "Fewer messages",
}


@dataclass
class Served:
    """An installation with its pages, and a push service that it may reach."""

    service: PushService
    sessions: Sessions

    @property
    def settings(self) -> Settings:
        return self.service.settings


@pytest.fixture
def served(tmp_path: Path, sqlite_template: Path) -> Iterator[Served]:
    engine = make_engine(databases.sqlite_copy(sqlite_template, tmp_path))
    sessions = make_sessions(engine)
    bare = replace(Settings(), home=tmp_path, secret="a secret for tests only")
    with listening(bare) as (settings, serve), push_service(settings) as service:
        serve(create_app(service.settings, sessions))
        yield Served(service, sessions)
    engine.dispose()


@pytest.fixture
def chromium() -> Iterator[Browser]:
    with serving.chromium() as browser:
        yield browser


def told_in(lang: str, served: Served) -> Patron:
    with served.sessions.begin() as session:
        patron = {"en": ada, "fa": cy}[lang](session)
        matched(session, patron, ["Contact", "Solaris"], at=utc_now())
        return patron


def asking(
    chromium: Browser,
    served: Served,
    patron: Patron,
    *,
    allow: bool,
    service: bool = True,
) -> Page:
    """Open the page, signed in, in a browser whose push service is ours."""
    context = chromium.new_context(base_url=served.settings.base_url)
    with served.sessions.begin() as session:
        token = principal.start(session, at=utc_now(), patron_id=patron.id)
    context.add_cookies(
        [{"name": "hamkhan", "value": token, "url": served.settings.base_url}]
    )
    if allow:
        context.grant_permissions(["notifications"], origin=served.settings.base_url)
    if service:
        device = served.service.subscribe()
        keys = {"p256dh": device.p256dh, "auth": device.auth}
        given = json.dumps({"endpoint": device.endpoint, "keys": keys})
        context.add_init_script(f"({SUBSCRIBE})({given})")
    page = context.new_page()
    page.goto("/me/preferences")
    return page


@pytest.mark.parametrize("lang", ["en", "fa"])
def test_a_patron_is_told_on_the_device_that_asked(
    served: Served, chromium: Browser, lang: str
) -> None:
    patron = told_in(lang, served)
    page = asking(chromium, served, patron, allow=True)
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))

    page.locator("#device button").click()
    expect(page.locator("#devices li strong")).to_be_visible()  # "this device"
    with page.expect_navigation():  # the list looks alike before and after
        page.locator("#device button").click()
    expect(page.locator("#devices li")).to_have_count(1)  # still the same one
    alert(served.sessions, served.settings, utc_now())
    deliver_due(served.sessions, served.settings, at=utc_now(), worker="w1")
    (pushed,) = served.service.waiting.values()
    (shown,) = push_to(page, pushed.words)

    direction = {"en": "ltr", "fa": "rtl"}[lang]
    assert (shown["lang"], shown["dir"]) == (lang, direction)
    assert shown["title"] == pushed.words["title"]
    assert "Contact" in shown["body"]
    assert opened(page.context, "") == f"{served.settings.base_url}/me"
    push_to(page, pushed.words)
    assert opened(page.context, "leave") == pushed.words["leave"]
    assert said == []
    page.context.close()


def test_a_browser_that_takes_another_address_is_told_there(
    served: Served, chromium: Browser
) -> None:
    patron = told_in("en", served)
    page = asking(chromium, served, patron, allow=True)
    page.locator("#device button").click()
    expect(page.locator("#devices li")).to_have_count(1)

    device = served.service.subscribe("renewed")
    for _ in range(2):  # the second time it is the one before
        renew(page.context, device)
        with served.sessions() as session:
            (row,) = devices.devices_of(session, patron.id)
        assert row.address == device.address
        device = served.service.subscribe("again")

    page.context.close()


def test_a_later_copy_takes_the_place_of_the_one_that_is_shown(
    served: Served, chromium: Browser
) -> None:
    page = asking(chromium, served, told_in("en", served), allow=True)
    page.locator("#device button").click()
    expect(page.locator("#devices li")).to_have_count(1)

    push_to(page, WORDS)
    shown = push_to(page, {**WORDS, "body": "4 new works"})

    assert [one["body"] for one in shown] == ["4 new works"]
    page.context.close()


@pytest.mark.parametrize("lang", ["en", "fa"])
def test_a_browser_that_blocks_notifications_says_so_and_stores_nothing(
    served: Served, chromium: Browser, lang: str
) -> None:
    patron = told_in(lang, served)
    page = asking(chromium, served, patron, allow=False)

    page.locator("#device button").click()

    expect(page.locator("[data-trouble=blocked]")).to_be_visible()
    expect(page.locator("[data-trouble=failed]")).to_be_hidden()
    with served.sessions() as session:
        assert devices.devices_of(session, patron.id) == []
    page.context.close()


def test_a_browser_that_reaches_no_push_service_says_so(
    served: Served, chromium: Browser
) -> None:
    patron = told_in("en", served)
    page = asking(chromium, served, patron, allow=True, service=False)

    page.locator("#device button").click()

    expect(page.locator("[data-trouble=failed]")).to_be_visible(timeout=20_000)
    with served.sessions() as session:
        assert devices.devices_of(session, patron.id) == []
    page.context.close()


def renew(context: BrowserContext, device: Device) -> None:
    """Let the browser take another address, and its worker say so."""
    (worker,) = context.service_workers
    keys = {"p256dh": device.p256dh, "auth": device.auth}
    worker.evaluate(
        """async given => {
          PushManager.prototype.getSubscription = async () => null;
          PushManager.prototype.subscribe = async () => ({toJSON: () => given});
          const changed = new ExtendableEvent("pushsubscriptionchange");
          const working = new Promise(done => {
            changed.waitUntil = async work => { await work; done(); };
          });
          self.dispatchEvent(changed);
          await working;
        }""",
        {"endpoint": device.endpoint, "keys": keys},
    )


def push_to(page: Page, words: Any) -> list[dict[str, str]]:
    """Let the browser's worker have a push message; return what is shown then."""
    talk = page.context.new_cdp_session(page)
    with page.expect_event("domcontentloaded"):
        known: list[str] = []
        talk.on(
            "ServiceWorker.workerRegistrationUpdated",
            lambda told: known.extend(
                one["registrationId"] for one in told["registrations"]
            ),
        )
        talk.send("ServiceWorker.enable")
        page.reload()
    origin = page.evaluate("location.origin")
    talk.send(
        "ServiceWorker.deliverPushMessage",
        {"origin": origin, "registrationId": known[-1], "data": json.dumps(words)},
    )
    shown: list[dict[str, str]] = page.evaluate(
        """async body => {
          for (let tries = 0; tries < 100; tries++) {
            const [here] = await navigator.serviceWorker.getRegistrations();
            const shown = await here.getNotifications();
            if (shown.some(one => one.body === body))
              return shown.map(one => (
                {title: one.title, body: one.body, lang: one.lang, dir: one.dir}));
            await new Promise(done => setTimeout(done, 50));
          }
          return [];
        }""",
        words["body"],
    )
    talk.detach()
    return shown


def opened(context: BrowserContext, action: str) -> str:
    """Press a notification, or a button on it; return what the worker opens."""
    (worker,) = context.service_workers
    found: str = worker.evaluate(
        """async action => {
          const [notification] = await self.registration.getNotifications();
          return new Promise(done => {
            self.clients.openWindow = async address => done(address);
            self.dispatchEvent(
              new NotificationEvent("notificationclick", {notification, action}));
          });
        }""",
        action,
    )
    return found
