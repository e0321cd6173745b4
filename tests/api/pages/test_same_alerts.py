"""DL28: page, feed and mail show the same alerts."""

import json

from sqlalchemy import select

from api.app import create_app
from library.clock import utc_now
from library.db import Sessions
from library.settings import Settings
from library.tables import Patron
from library.vocabulary import Channel, Verdict
from notifier import feeds
from profiles.feedback import record_verdict
from tests.browsing import signed_in
from tests.factories import ada, cy, make_loan
from tests.notifier.cast import Outbox, alert, deliver, matched

TITLES = ("Cosmos", "Solaris", "Contact", "Ubik", "سووشون", "Tehran & Cairo <1>")


def test_mail_page_and_feed_show_the_same_and_leave_the_same_out(
    sessions: Sessions, settings: Settings
) -> None:
    at = utc_now()
    with sessions.begin() as session:
        patron = ada(session)
        works = matched(session, patron, TITLES, at=at)
        matched(session, cy(session), ["For Cy alone"], at=at)
        token = feeds.renew(session, patron.id)
    alert(sessions, settings, at)
    with sessions.begin() as session:
        make_loan(session, session.get_one(Patron, patron.id), works[1], at=at)
        record_verdict(
            session,
            patron_id=patron.id,
            work_id=works[2].id,
            verdict=Verdict.NOT_FOR_ME,
            via=Channel.PAGE,
            at=at,
        )

    outbox = Outbox()
    deliver(sessions, settings, outbox, at=at)

    mail = next(one for one in outbox.taken if one.to.address == "ada@patrons.test")
    told = {title for title in TITLES if f"\u2068{title}\u2069" in mail.text}
    assert told == set(TITLES) - {"Solaris", "Contact"}
    assert _on_the_page(sessions, settings, patron) == told
    assert _in_the_feed(sessions, settings, token) == told
    assert "For Cy alone" not in mail.text


def _on_the_page(sessions: Sessions, settings: Settings, patron: Patron) -> set[str]:
    with sessions() as session:
        found = session.scalars(select(Patron).where(Patron.id == patron.id)).one()
    page = signed_in(settings, sessions, found).open("/me")
    cards = "//section[@aria-labelledby='shelf-alerts']//li[starts-with(@class,'card')]"
    return {str(title.text_content()) for title in page.find(f"{cards}/h3")}


def _in_the_feed(sessions: Sessions, settings: Settings, token: str) -> set[str]:
    reader = create_app(settings, sessions).test_client()
    answer = reader.get(f"/feed/{token}?format=json")
    return {item["title"] for item in json.loads(answer.data)["items"]}
