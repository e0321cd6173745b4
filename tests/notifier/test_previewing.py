from dataclasses import replace
from pathlib import Path

import pytest

from library.db import Sessions, reading
from library.errors import InvalidInput, NotAllowed, NotFound
from library.runtime import Runtime
from library.settings import Settings
from library.tables import Patron
from library.vocabulary import DeliveryState
from notifier import links
from notifier.previewing import preview_for, send_preview
from profiles import contacts, preferences
from tests.command_line import invoke
from tests.factories import NOON, ada
from tests.notifier.cast import a_digest_for_ada, only, point_of, states
from tests.notifier.mail_server import MailServer

TEST = "librarian@library.test"


def patron_id(sessions: Sessions) -> int:
    return only(sessions).patron_id


def test_a_digest_that_waits_is_shown_and_does_not_go(
    sessions: Sessions, settings: Settings
) -> None:
    a_digest_for_ada(sessions, settings, "Contact")
    with sessions.begin() as session:
        preferences.pause(session, patron_id(sessions), until=None)

    with reading(sessions) as session:
        message = preview_for(session, settings, patron_id(sessions), at=NOON)

    assert "Contact" in message.text
    assert states(sessions) == [DeliveryState.PENDING]


def test_its_links_are_dead(sessions: Sessions, settings: Settings) -> None:
    a_digest_for_ada(sessions, settings, "Contact")
    with reading(sessions) as session:
        message = preview_for(session, settings, patron_id(sessions), at=NOON)

    for token in message.text.split("/answer/")[1:]:
        with pytest.raises(NotAllowed):
            links.read_verdict(settings.secret, token.split()[0], at=NOON)


def test_it_goes_to_a_test_address_and_to_nobody_else(
    sessions: Sessions, settings: Settings
) -> None:
    a_digest_for_ada(sessions, settings, "Contact")
    at = ("--at", NOON.isoformat())
    with MailServer() as server:
        reached = Runtime(replace(settings, smtp_url=server.url), sessions)
        said = invoke(reached, "preview", "ada", "--to", TEST, *at)

    assert said.output == f"sent to {TEST}\n"

    (taken,) = server.taken
    assert taken.recipient == TEST
    assert taken.message["To"] == TEST
    assert taken.message["Subject"].startswith("[preview] ")
    assert taken.message_id != only(sessions).message_id
    assert states(sessions) == [DeliveryState.PENDING]


def test_a_stopped_address_gets_no_test_either(
    sessions: Sessions, settings: Settings
) -> None:
    a_digest_for_ada(sessions, settings, "Contact")
    with sessions.begin() as session:
        patron = session.get_one(Patron, patron_id(sessions))
        contacts.stop(session, point_of(session, patron).id, at=NOON)
    with reading(sessions) as session:
        message = preview_for(session, settings, patron_id(sessions), at=NOON)
    with pytest.raises(NotAllowed, match="stopped"):
        send_preview(sessions, settings, message, "ada@patrons.test")


@pytest.mark.parametrize(
    ("address", "error"),
    [("no address", InvalidInput), ("else@where.test", NotAllowed)],
)
def test_where_it_may_not_go_is_named(
    sessions: Sessions, settings: Settings, address: str, error: type[Exception]
) -> None:
    narrow = replace(settings, deliver_only_to=("@library.test",))
    a_digest_for_ada(sessions, settings, "Contact")
    with reading(sessions) as session:
        message = preview_for(session, narrow, patron_id(sessions), at=NOON)
    with pytest.raises(error, match=address):
        send_preview(sessions, narrow, message, address)


def test_without_a_digest_it_says_so(sessions: Sessions, settings: Settings) -> None:
    with sessions.begin() as session:
        patron = ada(session)
    with reading(sessions) as session, pytest.raises(NotFound, match="hamkhan alert"):
        preview_for(session, settings, patron.id, at=NOON)


def test_the_command_writes_a_page_for_the_browser(
    sessions: Sessions, settings: Settings, tmp_path: Path
) -> None:
    a_digest_for_ada(sessions, settings, "Contact")
    runtime, page = Runtime(settings, sessions), tmp_path / "mail.html"
    at = ("--at", NOON.isoformat())

    shown = invoke(runtime, "preview", "ada", *at)
    written = invoke(runtime, "preview", "ada", "--html", page, *at)

    assert "Contact" in shown.output
    assert (written.exit_code, written.output) == (0, "")
    assert page.read_text("utf-8").startswith("<!DOCTYPE html>")
