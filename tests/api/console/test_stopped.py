"""Stopped addresses: seen by librarians with the cause, and sent to again."""

import pytest
from sqlalchemy import select

from library import audit
from library.db import Sessions
from library.settings import Settings
from library.tables import AuditEntry, Bounce, ContactPoint
from profiles import contacts
from profiles.contacts import Trouble
from tests.browsing import Browser, make_staff, staffed
from tests.factories import NOON, ada, cy, make_branch
from tests.notifier.cast import point_of


@pytest.fixture
def browser(settings: Settings, sessions: Sessions) -> Browser:
    return staffed(settings, sessions, make_staff(sessions))


@pytest.fixture
def point_id(sessions: Sessions) -> int:
    """Ada's address, of which her reader complained after it had bounced."""
    with sessions.begin() as session:
        cy(session)
        point = point_of(session, ada(session))
        for number, trouble in enumerate((Trouble.HARD, Trouble.COMPLAINT)):
            contacts.record_trouble(point, trouble, at=NOON)
            session.add(
                Bounce(
                    digest=str(number),
                    contact_point_id=point.id,
                    kind=trouble.value,
                    at=NOON,
                )
            )
        return point.id


def stopped(sessions: Sessions) -> list[contacts.Stopped]:
    with sessions() as session:
        return contacts.stopped(session)


def test_a_stopped_address_is_listed_masked_and_with_its_cause(
    browser: Browser, point_id: int
) -> None:
    page = browser.open("/console/stopped")

    assert "Ada" in page.main
    assert "the reader called a message spam" in page.main
    assert "a…@patrons.test" in page.main
    assert "Cy" not in page.main


def test_it_is_sent_to_again_and_the_audit_says_who_did_it(
    browser: Browser, sessions: Sessions, settings: Settings, point_id: int
) -> None:
    page = browser.press(browser.open("/console/stopped"), "Send to Ada again")

    assert "None: no address was stopped." in page.main
    with sessions() as session:
        point = session.get_one(ContactPoint, point_id)
        (line,) = session.scalars(select(AuditEntry)).all()
    assert (point.hard, point.stopped_at) == (0, None)
    assert (line.action, line.staff_id is not None) == (contacts.LIFTED, True)
    assert line.patron_hash == audit.patron_hash(settings.secret, point.patron_id)


def test_a_branchs_librarian_sees_and_lifts_its_own_alone(
    settings: Settings, sessions: Sessions, point_id: int
) -> None:
    with sessions.begin() as session:
        north = make_branch(session, "north").id
    of_north = staffed(settings, sessions, make_staff(sessions, branch_id=north))
    page = of_north.open("/console/stopped")
    token = str(page.find("//input[@name='form']/@value")[0])

    refused = of_north.post(f"/console/stopped/{point_id}/lift", {"form": token})

    assert "Ada" not in page.main
    assert refused.status == 403
    assert len(stopped(sessions)) == 1
