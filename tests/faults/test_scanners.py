"""FR14: scanners open every link of every message, and nothing changes."""

import asyncio
import re
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from http.client import HTTPConnection, HTTPResponse
from itertools import islice
from multiprocessing.process import BaseProcess

import pytest
import time_machine
from flask import request
from lxml import html
from playwright.async_api import Page as Tab
from playwright.async_api import async_playwright
from sqlalchemy import select
from waitress.server import create_server

from api.app import create_app
from library.clock import utc_now
from library.db import Sessions
from library.settings import Settings
from library.tables import Base
from library.vocabulary import ConsentPurpose
from notifier.alerting import make_alerts
from notifier.asked_for import queue_confirm, queue_sign_in
from notifier.links import LEAVE_LIFE
from notifier.message import Message
from tests.browsing import Page
from tests.factories import make_interest, make_patron, make_work
from tests.faults.pages import THREADS, serve
from tests.faults.rounds import NURSERY, environment
from tests.faults.runs import Run
from tests.faults.sizes import size
from tests.notifier.cast import Outbox, deliver, make_match, point_of
from tests.processes import free_port
from tests.serving import chromium_path

pytestmark = pytest.mark.slow

LINK = re.compile(r"https?://[^\s\"'<>)]+")
SIGNED = re.compile(r"/(answer|less|leave|confirm)/")
TIMES = 3
SERVERS = size(1, 2, 2)
TABS = 2
"""Pages a crawler has open beside each other."""


def test_fr14_a_scanner_changes_nothing(
    run: Run, sessions: Sessions, settings: Settings
) -> None:
    messages = sent(sessions, settings, size(5, 100, 1_000))
    links = every_link(messages)
    before = snapshot(sessions)

    with serving(settings, SERVERS) as ports:
        answers = opened(
            ports, [link.removeprefix(settings.base_url) for link in links]
        )

    after = snapshot(sessions)
    run.tell(
        size=len(messages), events=sum(answers.values()), wrong=changed(before, after)
    )
    assert answers.keys() <= {200, 303, 410}
    assert answers[200] > TIMES * len(messages)
    assert after == before


@pytest.mark.browser
@pytest.mark.parametrize(
    ("within", "count"),
    [
        pytest.param("frames", size(4, 100, 1_000), id="in frames, without our CSP"),
        pytest.param("tabs", size(4, 20, 50), id="in tabs"),
    ],
)
def test_fr14_a_crawler_with_javascript_changes_nothing(
    run: Run, sessions: Sessions, settings: Settings, within: str, count: int
) -> None:
    settings = replace(settings, base_url=f"http://127.0.0.1:{free_port()}")
    messages = sent(sessions, settings, count, works=1)
    links = every_link(messages)
    before = snapshot(sessions)

    with served(settings, sessions) as asked:
        answers = asyncio.run(crawled(links, settings.base_url, within))

    after = snapshot(sessions)
    run.tell(
        size=len(messages), events=sum(answers.values()), wrong=changed(before, after)
    )
    assert sum(answers.values()) == TIMES * len(links)
    assert answers.keys() <= {200, 410}
    assert asked.keys() == {"GET"}
    assert asked["GET"] >= TIMES * len(links)
    assert after == before


@pytest.mark.parametrize("fault", ["altered", "expired"])
def test_fr14_a_post_by_a_link_that_does_not_hold_changes_nothing_and_says_so(
    run: Run, sessions: Sessions, settings: Settings, fault: str
) -> None:
    messages = sent(sessions, settings, size(5, 100, 1_000))
    links = [link for link in every_link(messages) if SIGNED.search(link)]
    kinds = {found[1] for link in links if (found := SIGNED.search(link))}
    before = snapshot(sessions)

    if fault == "altered":
        said = posted(
            settings, sessions, map(altered, links, range(len(links))), at=utc_now()
        )
    else:
        late = utc_now() + LEAVE_LIFE + timedelta(days=2)
        said = posted(settings, sessions, links, at=late)

    after = snapshot(sessions)
    run.tell(size=len(messages), events=len(links), wrong=changed(before, after))
    assert kinds >= {"answer", "leave", "confirm"}
    assert len(said) == len(links)
    assert all(said)
    assert after == before


def sent(
    sessions: Sessions, settings: Settings, count: int, *, works: int = 2
) -> list[Message]:
    """Send so many messages: digests, and one each to confirm and to sign in."""
    outbox = Outbox()
    at = utc_now()
    with sessions.begin() as session:
        told = [make_work(session, title) for title in ("Contact", "Solaris")[:works]]
    for first in range(0, count - 2, 50):
        with sessions.begin() as session:
            for number in range(first, min(first + 50, count - 2)):
                patron = make_patron(
                    session, f"Patron{number}", consents=tuple(ConsentPurpose)
                )
                interest = make_interest(session, patron, "Astronomy")
                for work in told:
                    make_match(session, patron, work, interest_id=interest.id, at=at)
    with sessions.begin() as session:
        one = make_patron(session, "One", consents=())
        queue_confirm(session, settings, point_of(session, one), at=at)
        link = f"{settings.base_url}/sign-in/x"
        queue_sign_in(session, settings, one.id, link=link, code="123456", at=at)
    make_alerts(sessions, settings, at=at)
    deliver(sessions, settings, outbox, at=at)
    assert len(outbox.taken) == count
    return outbox.taken


def every_link(messages: Iterable[Message]) -> list[str]:
    """Return the links of all messages, message by message."""
    links = [link for message in messages for link in sorted(links_of(message))]
    assert len(links) > 8
    return links


def links_of(message: Message) -> set[str]:
    """Return every address in a message: its parts and its headers."""
    headers = " ".join(value for _, value in message.headers)
    shown = " ".join(link for _, _, link, _ in html.iterlinks(message.html))
    return set(LINK.findall(f"{message.text} {shown} {headers}"))


@contextmanager
def serving(settings: Settings, count: int) -> Iterator[list[int]]:
    """Serve the pages by so many processes; yield their ports."""
    ports = [free_port() for _ in range(count)]
    given = environment(settings)
    servers = [NURSERY.Process(target=serve, args=(given, port)) for port in ports]
    for server in servers:
        server.start()
    try:
        for server, port in zip(servers, ports, strict=True):
            wait_until_served(server, port)
        yield ports
    finally:
        for server in servers:
            server.kill()
            server.join()


def wait_until_served(server: BaseProcess, port: int) -> None:
    """Wait until a process listens, or fail if it ended."""
    while True:
        assert server.is_alive(), "it serves nothing"
        with socket.socket() as door:
            if door.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)


def opened(ports: Sequence[int], addresses: Sequence[str]) -> Counter[int]:
    """GET and HEAD each address as mail scanners do; count what was answered.

    Each scanner keeps one connection, and has its share of the addresses.
    """
    scanners = [port for port in ports for _ in range(THREADS)]
    shares = [
        list(addresses[n :: len(scanners)]) * TIMES for n, _ in enumerate(scanners)
    ]
    with ThreadPoolExecutor(len(scanners)) as pool:
        return sum(pool.map(scanned, scanners, shares), Counter[int]())


def scanned(port: int, addresses: Iterable[str]) -> Counter[int]:
    """GET and HEAD these addresses one after another."""
    answers: Counter[int] = Counter()
    with closing(HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        for address in addresses:
            page, body = asked(connection, "GET", address)
            assert b"<script" not in body
            policy = page.headers.get("Content-Security-Policy", "")
            assert policy.startswith("default-src 'none'")
            head, nothing = asked(connection, "HEAD", address)
            assert (head.status, nothing) == (page.status, b"")
            answers.update([page.status, head.status])
    return answers


def asked(
    connection: HTTPConnection, method: str, address: str
) -> tuple[HTTPResponse, bytes]:
    """Ask for an address; return what was answered, and its body."""
    connection.request(method, address)
    answer = connection.getresponse()
    return answer, answer.read()


@contextmanager
def served(settings: Settings, sessions: Sessions) -> Iterator[Counter[str]]:
    """Serve the pages at the address that stands in the links; count the methods."""
    methods: Counter[str] = Counter()
    app = create_app(settings, sessions)
    app.before_request(lambda: methods.update([request.method]))
    host, _, port = settings.base_url.removeprefix("http://").partition(":")
    server = create_server(app, host=host, port=int(port), threads=TABS)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield methods
    finally:
        server.close()
        thread.join()


async def crawled(links: Sequence[str], home: str, within: str) -> Counter[int]:
    """Open each link in Chromium, scripts and all; count what was answered.

    In tabs it is one navigation each. In frames of one page, which is several times as
    quick, what was answered runs without the policy by which we forbid scripts.
    """
    answers: Counter[int] = Counter()
    waiting = iter([link for link in links for _ in range(TIMES)])
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=chromium_path(), args=["--no-sandbox", "--disable-gpu"]
        )
        context = await browser.new_context(
            java_script_enabled=True, bypass_csp=within == "frames"
        )
        tabs = [await context.new_page() for _ in range(TABS)]
        if within == "tabs":
            await asyncio.gather(*(_crawl(tab, waiting, answers) for tab in tabs))
        else:
            frames = (_frame(tab, home, waiting, answers) for tab in tabs)
            await asyncio.gather(*frames)
        await browser.close()
    return answers


async def _crawl(tab: Tab, waiting: Iterator[str], answers: Counter[int]) -> None:
    for link in waiting:
        response = await tab.goto(link)
        assert response is not None
        answers.update([response.status])


FRAME = """async (links) => {
  const frame = document.body.appendChild(document.createElement("iframe"));
  const said = [];
  for (const link of links) {
    const answer = await fetch(link);
    said.push(answer.status);
    const page = await answer.text();
    await new Promise((shown) => { frame.onload = shown; frame.srcdoc = page; });
  }
  frame.remove();
  return said;
}"""


RUNS_SCRIPTS = """async () => {
  const frame = document.body.appendChild(document.createElement("iframe"));
  const page = "<script>parent.ran = true</" + "script>";
  await new Promise((shown) => { frame.onload = shown; frame.srcdoc = page; });
  frame.remove();
  return window.ran === true;
}"""


async def _frame(
    tab: Tab, home: str, waiting: Iterator[str], answers: Counter[int]
) -> None:
    await tab.goto(f"{home}/privacy")
    assert await tab.evaluate(RUNS_SCRIPTS)
    while links := list(islice(waiting, 50)):
        answers.update(await tab.evaluate(FRAME, links))


def altered(link: str, number: int) -> str:
    """Return the link with one letter of its token changed, each time another."""
    front, token = link.rsplit("/", 1)
    place = number % len(token)
    other = "A" if token[place] != "A" else "B"
    return f"{front}/{token[:place]}{other}{token[place + 1 :]}"


def posted(
    settings: Settings, sessions: Sessions, links: Iterable[str], *, at: datetime
) -> list[bool]:
    """POST to each link as mail programs do; tell whether it was refused kindly."""
    client = create_app(settings, sessions).test_client()
    kind = []
    with time_machine.travel(at, tick=False):
        for link in links:
            answer = client.post(
                link.removeprefix(settings.base_url),
                data={"List-Unsubscribe": "One-Click"},
            )
            kind.append(
                answer.status_code == 410 and "no longer works" in Page(answer).main
            )
    return kind


def snapshot(sessions: Sessions) -> dict[str, list[str]]:
    """Return every row of every table, as text."""
    with sessions() as session:
        return {
            table.name: sorted(map(repr, session.execute(select(table)).all()))
            for table in Base.metadata.sorted_tables
        }


def changed(before: dict[str, list[str]], after: dict[str, list[str]]) -> int:
    """Count the tables that are not what they were."""
    return sum(before[name] != after[name] for name in before)
