"""FR14: a scanner opens every link of every message, and nothing changes."""

import re

import pytest
from sqlalchemy import select

from api.app import create_app
from library.clock import utc_now
from library.db import Sessions
from library.settings import Settings
from library.tables import Base
from library.vocabulary import ConsentPurpose
from notifier.alerting import make_alerts, queue_confirm, queue_sign_in
from notifier.message import Message
from tests.factories import make_interest, make_patron, make_work
from tests.faults.sizes import size
from tests.notifier.cast import Outbox, deliver, make_match, point_of

pytestmark = pytest.mark.slow

LINK = re.compile(r"https?://[^\s\"'<>)]+")
TIMES = 3


def test_fr14_a_scanner_changes_nothing(sessions: Sessions, settings: Settings) -> None:
    outbox = Outbox()
    at = utc_now()
    with sessions.begin() as session:
        works = [make_work(session, title) for title in ("Contact", "Solaris")]
        for patron in [
            make_patron(session, f"Patron{number}", consents=tuple(ConsentPurpose))
            for number in range(size(5, 100, 1_000))
        ]:
            interest = make_interest(session, patron, "Astronomy")
            make_match(session, patron, works[0], interest_id=interest.id, at=at)
            make_match(session, patron, works[1], at=at)
        one = make_patron(session, "One", consents=())
        queue_confirm(session, settings, point_of(session, one), at=at)
        queue_sign_in(
            session,
            settings,
            one.id,
            link=f"{settings.base_url}/sign-in/x",
            code="123456",
            at=at,
        )
    make_alerts(sessions, settings, at=at)
    deliver(sessions, settings, outbox, at=at)
    links = [link for message in outbox.taken for link in links_of(message)]
    assert len(outbox.taken) == size(5, 100, 1_000) + 2
    assert len(links) > 8 * size(5, 100, 1_000)
    before = snapshot(sessions)

    answers = opened(settings, sessions, links)

    assert answers <= {200, 303, 410}
    assert 200 in answers
    assert snapshot(sessions) == before


def links_of(message: Message) -> set[str]:
    """Return every address in a message: its parts and its headers."""
    headers = " ".join(value for _, value in message.headers)
    html = message.html.replace("&amp;", "&")
    return set(LINK.findall(f"{message.text} {html} {headers}"))


def opened(settings: Settings, sessions: Sessions, links: list[str]) -> set[int]:
    """Open each link as a scanner does; return what was answered.

    Our pages have no script, and the browser is told to run none: one that runs
    JavaScript asks for nothing more.
    """
    client = create_app(settings, sessions).test_client()
    answers = set()
    for time in range(TIMES):
        for link in links:
            address = link.removeprefix(settings.base_url)
            page = client.get(address)
            answers.add(page.status_code)
            assert b"<script" not in page.data
            policy = page.headers.get("Content-Security-Policy", "")
            assert policy.startswith("default-src 'none'")
            if time == 0:
                answers.add(client.head(address).status_code)
    return answers


def snapshot(sessions: Sessions) -> dict[str, list[str]]:
    """Return every row of every table, as text."""
    with sessions() as session:
        return {
            table.name: sorted(map(repr, session.execute(select(table)).all()))
            for table in Base.metadata.sorted_tables
        }
