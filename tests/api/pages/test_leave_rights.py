"""DL27: a message's link opens rhythm, pause, its interest, all; nothing beyond."""

import re
from datetime import timedelta

import pytest
from sqlalchemy import select
from werkzeug.routing import IntegerConverter

from api.app import create_app
from library.clock import utc_now
from library.db import Sessions
from library.settings import Settings
from library.tables import (
    Base,
    Delivery,
    Interest,
    InterestProfile,
    Patron,
    Pause,
    Preference,
)
from library.vocabulary import Channel, Purpose, Rhythm
from notifier.links import leave_token
from tests.browsing import visitor
from tests.factories import ada, cy, make_alert, make_interest, make_work

OWN = frozenset({"pause", "preference", "interest", "interest_profile"})
"""All that may change by it, and only Ada's; a profile counts its changes."""
METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"})


COUNTED = frozenset({"call_count"})
"""Whoever knocks is counted."""


@pytest.fixture
def patrons(sessions: Sessions) -> dict[str, Patron]:
    with sessions.begin() as session:
        made = {"Ada": ada(session), "Cy": cy(session)}
        for patron in made.values():
            make_interest(session, patron, "Football")
            make_interest(session, patron, "Chess")
            make_alert(session, patron, make_work(session, f"For {patron.name}"))
    return made


@pytest.fixture
def delivery_id(sessions: Sessions, patrons: dict[str, Patron]) -> int:
    at = utc_now()
    with sessions.begin() as session:
        row = Delivery(
            patron_id=patrons["Ada"].id,
            purpose=Purpose.DIGEST,
            channel=Channel.EMAIL,
            due_at=at,
            not_after=at + timedelta(days=1),
            message_id="<one@test>",
            created_at=at,
        )
        session.add(row)
    return row.id


def rows(sessions: Sessions) -> dict[str, list[str]]:
    """Return every row by its table."""
    with sessions() as session:
        return {
            table.name: sorted(map(repr, session.execute(select(table))))
            for table in Base.metadata.sorted_tables
        }


def interests_of(sessions: Sessions, patron: Patron) -> dict[str, Interest]:
    with sessions() as session:
        found = (
            select(Interest)
            .join(InterestProfile)
            .where(InterestProfile.patron_id == patron.id)
        )
        return {one.label: one for one in session.scalars(found)}


@pytest.mark.parametrize(
    "form",
    [
        {"List-Unsubscribe": "One-Click"},
        {"choice": "weekly"},
        {"choice": "monthly"},
        {"choice": "daily"},
        {"choice": "pause"},
        {"choice": "interest"},
        {"choice": "all"},
        {"choice": "pause", "patron_id": "2", "delivery_id": "2", "scope": "all"},
        {"choice": "interest", "interest_id": "3", "scope": "interest:3"},
        {"address": "mallory@x.test", "consent": "history", "rhythm": "daily"},
    ],
    ids=str,
)
@pytest.mark.parametrize("scope", ["digest", "all", "Ada's", "Cy's"])
def test_whatever_is_posted_by_it_only_the_readers_own_choices_change(
    settings: Settings,
    sessions: Sessions,
    patrons: dict[str, Patron],
    delivery_id: int,
    scope: str,
    form: dict[str, str],
) -> None:
    if scope.endswith("'s"):
        of = patrons[scope.removesuffix("'s")]
        scope = f"interest:{interests_of(sessions, of)['Football'].id}"
    token = leave_token(settings.secret, delivery_id, scope)
    before = rows(sessions)
    cys = interests_of(sessions, patrons["Cy"])

    visitor(settings, sessions).client.post(f"/leave/{token}", data=form)

    after = rows(sessions)
    assert {name for name in after if after[name] != before[name]} <= OWN
    assert {
        name: one.alerts for name, one in interests_of(sessions, patrons["Cy"]).items()
    } == {name: one.alerts for name, one in cys.items()}
    with sessions() as session:
        hers = session.get_one(Preference, patrons["Ada"].id)
        his = session.get_one(Preference, patrons["Cy"].id)
        paused = session.scalars(select(Pause.patron_id)).all()
    assert his.rhythm is Rhythm.WEEKLY
    assert hers.rhythm is not Rhythm.DAILY  # never more than there was
    assert patrons["Cy"].id not in paused


def test_it_opens_no_other_door(
    settings: Settings, sessions: Sessions, patrons: dict[str, Patron], delivery_id: int
) -> None:
    token = leave_token(settings.secret, delivery_id, "all")
    bearer = {"Authorization": f"Bearer {token}"}
    before = rows(sessions)
    doors = [
        rule
        for rule in create_app(settings, sessions).url_map.iter_rules()
        if not rule.rule.startswith(("/leave/", "/static/"))
    ]
    browser = visitor(settings, sessions)
    for rule in doors:
        given = {
            name: 1 if isinstance(kind, IntegerConverter) else token
            for name, kind in rule._converters.items()
        }
        for method in (rule.methods or set()) & {
            "GET",
            "POST",
            "PUT",
            "PATCH",
            "DELETE",
        }:
            browser.keep("hamkhan", token)
            browser.keep("hamkhan-staff", token)
            _, address = rule.build(given) or ("", "")
            answer = browser.client.open(
                address, method=method, headers=bearer, data={"token": token}
            )
            said = answer.data.split(b"<main", 1)[-1]
            assert answer.status_code not in {201, 202, 204}, (method, address)
            assert not re.search(rb"For Ada|For Cy|Football|@patrons", said), address

    assert len(doors) > 40
    after = rows(sessions)
    assert {name for name in after if after[name] != before[name]} <= COUNTED
