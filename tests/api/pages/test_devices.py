"""Being told on a device, or in the library's app: asked for, chosen, taken back."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from flask.testing import FlaskClient

from api.app import create_app
from api.pages.devices import device_name
from library.clock import utc_now
from library.db import Sessions
from library.settings import Settings
from library.tables import ContactPoint, Guardian, Patron, Preference
from library.vocabulary import Channel
from notifier.push_keys import public_key
from profiles import contacts, devices
from profiles.devices import Device
from tests.browsing import Browser, Page, signed_in
from tests.factories import NOON, ada, bo, cy
from tests.notifier.push_service import PushService, push_service

PAGE = "/me/preferences"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"

KEPT = ("endpoint", "p256dh", "auth", "asked_under")
BLINK = "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko)"


@pytest.fixture
def patron(sessions: Sessions) -> Patron:
    with sessions.begin() as session:
        return ada(session)


@pytest.fixture
def service(settings: Settings) -> Iterator[PushService]:
    with push_service(settings) as served:
        yield served


@pytest.fixture
def browser(service: PushService, sessions: Sessions, patron: Patron) -> Browser:
    return signed_in(service.settings, sessions, patron)


def ask(browser: Browser, device: Device, **changed: str) -> Page:
    """Do what the script of the page does once the browser has an address."""
    given = {
        "endpoint": device.endpoint,
        "p256dh": device.p256dh,
        "auth": device.auth,
        **changed,
    }
    page = browser.open(PAGE)
    return browser.press(page, "Tell me on this device", **given)


def choose(browser: Browser, **fields: str) -> Page:
    return browser.press(browser.open(PAGE), "Store", **fields)


def preference(sessions: Sessions, patron: Patron) -> Preference:
    with sessions() as session:
        return session.get_one(Preference, patron.id)


def own(sessions: Sessions, patron: Patron) -> list[ContactPoint]:
    with sessions() as session:
        return list(devices.devices_of(session, patron.id))


def choices(page: Page) -> list[str]:
    return [str(value) for value in page.find("//input[@name='channel']/@value")]


def test_a_device_that_asked_is_listed_and_told_from_then_on(
    browser: Browser, service: PushService, sessions: Sessions, patron: Patron
) -> None:
    browser.client.environ_base["HTTP_USER_AGENT"] = FIREFOX
    device = service.subscribe()

    page = ask(browser, device)

    (row,) = own(sessions, patron)
    assert (row.address, row.label) == (device.address, "Firefox · Linux")
    assert row.verified_at is not None
    assert preference(sessions, patron).channel is Channel.PUSH
    assert "New works are told on this device from now on." in page.main
    assert "Firefox · Linux" in page.main
    assert page.find("//input[@name='channel'][@checked]/@value") == ["push"]


def test_without_scripts_the_choice_is_not_offered(browser: Browser) -> None:
    page = browser.open(PAGE)

    (panel,) = page.find("//section[@id='devices']")
    (form,) = page.find("//form[@id='device']")
    assert panel.get("hidden") is not None
    assert form.get("hidden") is not None
    assert choices(page) == ["email", "page"]


def test_the_page_may_load_our_scripts_and_no_other_page_may(browser: Browser) -> None:
    policy = browser.open(PAGE).headers["Content-Security-Policy"]
    elsewhere = browser.open("/me").headers["Content-Security-Policy"]

    assert "script-src 'self'" in policy
    assert "worker-src 'self'" in policy
    assert policy.startswith(elsewhere)
    assert "script-src" not in elsewhere
    for script in ("devices.js", "worker.js"):
        answer = browser.client.get(f"/static/{script}", buffered=True)
        assert answer.status_code == 200
        assert "javascript" in answer.content_type


def test_removed_it_is_forgotten_and_messages_come_by_mail(
    browser: Browser, service: PushService, sessions: Sessions, patron: Patron
) -> None:
    page = ask(browser, service.subscribe())

    page = browser.press(page, "Remove", within="//section[@id='devices']")

    assert own(sessions, patron) == []
    assert choices(page) == ["email", "page"]
    assert page.find("//input[@name='channel'][@checked]/@value") == ["email"]
    assert "there is no way to it now" in page.main


def posted(client: FlaskClient, device: Device, before: Device, **changed: str) -> int:
    """Do what the worker does when the browser took another address."""
    given = {
        **{name: getattr(device, name) for name in KEPT},
        **{f"before_{name}": getattr(before, name) for name in KEPT},
        **changed,
    }
    return client.post("/devices/renew", data=given).status_code


def test_a_browser_that_took_another_address_is_told_there(
    browser: Browser, service: PushService, sessions: Sessions, patron: Patron
) -> None:
    browser.client.environ_base["HTTP_USER_AGENT"] = FIREFOX
    before, other = service.subscribe(), service.subscribe("other")
    ask(browser, other)
    ask(browser, before)
    with sessions.begin() as session:
        contacts.stop(session, own(sessions, patron)[0].id, at=NOON)  # it was gone
    device = service.subscribe("renewed")
    nobody = browser.client.application.test_client()  # no cookie, no page, no token

    assert posted(nobody, device, before) == 204

    rows = own(sessions, patron)
    assert {row.address for row in rows} == {device.address, other.address}
    assert {row.label for row in rows} == {"Firefox · Linux"}
    assert preference(sessions, patron).channel is Channel.PUSH
    assert posted(nobody, device, before) == 404  # what was renewed is no proof


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"before_auth": "A" * 22}, 404),
        ({"before_endpoint": "https://push.test/%"}, 404),
        ({"before_p256dh": ""}, 422),
        ({"endpoint": "http://10.0.0.1/"}, 422),
        ({"auth": "x"}, 422),
        ({"asked_under": "B" * 87}, 422),
    ],
    ids=str,
)
def test_who_does_not_know_the_whole_address_renews_nothing(
    browser: Browser,
    service: PushService,
    sessions: Sessions,
    patron: Patron,
    changed: dict[str, str],
    status: int,
) -> None:
    before = service.subscribe()
    ask(browser, before)

    assert posted(browser.client, service.subscribe("x"), before, **changed) == status

    assert [row.address for row in own(sessions, patron)] == [before.address]


def test_a_device_that_its_patron_removed_stays_removed(
    browser: Browser, service: PushService, sessions: Sessions, patron: Patron
) -> None:
    before = service.subscribe()
    page = ask(browser, before)
    browser.press(page, "Remove", within="//section[@id='devices']")

    assert posted(browser.client, service.subscribe("x"), before) == 404

    assert own(sessions, patron) == []


def test_a_device_asked_under_the_secret_before_is_renewed_under_it(
    browser: Browser, service: PushService, sessions: Sessions, patron: Patron
) -> None:
    before, device = service.subscribe(), service.subscribe("renewed")
    ask(browser, before)
    both = replace(service.settings, secret=f"another {service.settings.secret}")
    client = create_app(both, sessions).test_client()

    assert posted(client, device, before) == 204

    assert [row.address for row in own(sessions, patron)] == [device.address]


def test_the_worker_may_speak_to_us_alone(browser: Browser) -> None:
    answer = browser.client.get("/static/worker.js", buffered=True)

    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")
    assert policy.endswith("connect-src 'self'")


def test_nobody_removes_anothers_device(
    browser: Browser, service: PushService, sessions: Sessions
) -> None:
    with sessions.begin() as session:
        other = cy(session)
        row = devices.add(session, other.id, service.subscribe(), "", at=utc_now())
    token = browser.open(PAGE).find("//input[@name='form']/@value")[0]

    page = browser.post(
        "/me/devices/remove", {"form": str(token), "device": str(row.id)}
    )

    assert page.status == 404
    assert len(own(sessions, other)) == 1


@pytest.mark.parametrize(
    "changed",
    [
        {"endpoint": "http://push.test/1"},
        {"endpoint": "javascript:alert(1)"},
        {"endpoint": ""},
        {"endpoint": "https://push.test/\n"},
        {"p256dh": "x"},
        {"auth": "x" * 900},
        {"asked_under": "B" * 87},
    ],
    ids=str,
)
def test_what_is_no_device_is_refused(
    browser: Browser,
    service: PushService,
    sessions: Sessions,
    patron: Patron,
    changed: dict[str, str],
) -> None:
    page = ask(browser, service.subscribe(), **changed)

    assert page.status == 422
    assert own(sessions, patron) == []


def test_too_many_tries_are_refused(browser: Browser, service: PushService) -> None:
    seen = [ask(browser, service.subscribe(f"d{n}")).status for n in range(12)]

    assert seen[0] == 200
    assert seen[-1] == 429


@pytest.mark.parametrize("channel", ["push", "webhook", "feed"])
def test_a_channel_to_which_there_is_no_way_cannot_be_chosen(
    browser: Browser, sessions: Sessions, patron: Patron, channel: str
) -> None:
    page = choose(browser, channel=channel)

    assert page.status == 422
    assert preference(sessions, patron).channel is Channel.EMAIL


def test_with_a_device_it_can_be_chosen_and_left_again(
    browser: Browser, service: PushService, sessions: Sessions, patron: Patron
) -> None:
    ask(browser, service.subscribe())

    choose(browser, channel="email")
    assert preference(sessions, patron).channel is Channel.EMAIL
    choose(browser, channel="push")

    assert preference(sessions, patron).channel is Channel.PUSH


def test_the_app_can_be_chosen_where_the_library_has_one(
    settings: Settings, sessions: Sessions, patron: Patron
) -> None:
    told = replace(settings, app_url="https://app.test/hamkhan")
    browser = signed_in(told, sessions, patron)
    assert choices(browser.open(PAGE)) == ["email", "webhook", "page"]

    choose(browser, channel="webhook")

    assert preference(sessions, patron).channel is Channel.WEBHOOK
    with sessions() as session:
        point = contacts.address_of(session, patron.id, Channel.WEBHOOK)
    assert point is not None
    assert point.address == "test:ada"
    assert point.verified_at is not None


def test_who_left_the_app_may_choose_it_again(
    settings: Settings, sessions: Sessions, patron: Patron
) -> None:
    told = replace(settings, app_url="https://app.test/hamkhan")
    browser = signed_in(told, sessions, patron)
    choose(browser, channel="webhook")
    with sessions.begin() as session:
        point = contacts.address_of(session, patron.id, Channel.WEBHOOK)
        assert point is not None
        contacts.stop(session, point.id, at=NOON)
    page = browser.open(PAGE)
    assert page.find("//input[@name='channel'][@checked]/@value") == ["email"]

    page = choose(browser, channel="webhook")

    assert page.find("//input[@name='channel'][@checked]/@value") == ["webhook"]


def test_a_child_whose_messages_go_to_a_guardian_has_no_devices(
    service: PushService, sessions: Sessions, patron: Patron
) -> None:
    with sessions.begin() as session:
        guardian = bo(session)
        session.add(Guardian(patron_id=patron.id, guardian_id=guardian.id))
        devices.add(session, guardian.id, service.subscribe(), "", at=NOON)
    browser = signed_in(service.settings, sessions, patron)

    page = browser.open(PAGE)

    assert page.find("//section[@id='devices']") == []
    assert choices(page) == ["email", "push", "page"]  # the guardian's device


def test_the_page_asks_under_the_installations_key(
    browser: Browser, service: PushService
) -> None:
    page = browser.open(PAGE)

    (key,) = page.find("//input[@name='asked_under']/@value")
    assert key == public_key(service.settings)


@pytest.mark.parametrize(
    ("said", "name"),
    [
        (FIREFOX, "Firefox · Linux"),
        (
            f"{BLINK} (Windows NT 10.0) Chrome/141.0 Safari/537.36 Edg/141.0",
            "Edge · Windows",
        ),
        (
            f"{BLINK} (Linux; Android 10; K) Chrome/141.0 Safari/537.36",
            "Chrome · Android",
        ),
        (
            f"{BLINK} (iPhone; like Mac OS X) Version/18.0 Safari/604.1",
            "Safari · iPhone",
        ),
        ("curl/8", ""),
    ],
)
def test_a_device_has_a_name_its_patron_knows(said: str, name: str) -> None:
    assert device_name(said) == name
