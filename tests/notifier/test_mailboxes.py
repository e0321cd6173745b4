from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from library.db import Sessions
from library.errors import InvalidInput
from library.runtime import Runtime
from library.settings import Settings
from notifier.bounces import Taken
from notifier.links import bounce_token
from notifier.mailboxes import (
    Mailbox,
    MailboxFailed,
    parse_mailbox,
    take_in_all,
)
from notifier.tasks import WORK
from tests.factories import NOON
from tests.notifier.cast import Outbox, a_digest_for_ada, deliver
from tests.notifier.imap_server import ImapServer
from tests.notifier.test_bounces import point, sample

HOUR = timedelta(hours=1)
NO_MAIL = b"\xff\x00 no mail at all"


@pytest.fixture
def own(settings: Settings) -> Settings:
    return replace(settings, bounce_address="bounces@books.test")


@pytest.fixture
def returned(sessions: Sessions, own: Settings) -> bytes:
    """A report on a digest that went to Ada."""
    delivery_id = a_digest_for_ada(sessions, own)
    deliver(sessions, own, Outbox())
    tag = bounce_token(own.secret, delivery_id, at=NOON)
    return sample("postfix-unknown", tag=tag)


@pytest.mark.parametrize(
    ("address", "read"),
    [
        (
            "imaps://bounces%40books.test:p%2Fw@mail.test/Returned%20mail",
            Mailbox("mail.test", 993, "bounces@books.test", "p/w", "Returned mail"),
        ),
        (
            "imap://a:b@mail.test:1143?starttls=1",
            Mailbox("mail.test", 1143, "a", "b", tls=False, starttls=True),
        ),
        ("/var/mail/bounces", Path("/var/mail/bounces")),
    ],
)
def test_an_address_of_a_mailbox_is_read(address: str, read: Mailbox | Path) -> None:
    assert parse_mailbox(address) == read


@pytest.mark.parametrize("address", ["pop3://a@b", "imaps://mail.test", "imaps:///x"])
def test_what_is_no_mailbox_is_named(address: str) -> None:
    with pytest.raises(InvalidInput, match="HAMKHAN_BOUNCE_MAILBOX"):
        parse_mailbox(address)


def test_a_server_gives_each_message_once(
    sessions: Sessions, own: Settings, returned: bytes
) -> None:
    with ImapServer([returned, NO_MAIL]) as server:
        where = Mailbox("127.0.0.1", server.port, "us", server.password, tls=False)
        first = take_in_all(sessions, own, where, at=NOON + HOUR)
        second = take_in_all(sessions, own, where, at=NOON + HOUR)

    assert first == {Taken.COUNTED: 1, Taken.UNKNOWN: 1}
    assert second == {}
    assert server.seen == {1, 2}
    assert point(sessions).hard == 1


def test_what_was_counted_and_not_marked_is_counted_once(
    sessions: Sessions, own: Settings, returned: bytes
) -> None:
    with ImapServer([returned]) as server:
        where = Mailbox("127.0.0.1", server.port, "us", server.password, tls=False)
        take_in_all(sessions, own, where, at=NOON + HOUR)
        server.seen.clear()
        again = take_in_all(sessions, own, where, at=NOON + HOUR)

    assert again == {Taken.REPEATED: 1}
    assert point(sessions).hard == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"password": "wrong"}, "wrong password"),
        ({"folder": "Elsewhere"}, "Elsewhere: there is no such folder"),
        ({"port": 1}, "refused"),
    ],
    ids=["password", "folder", "away"],
)
def test_a_mailbox_that_cannot_be_read_says_why(
    sessions: Sessions, own: Settings, change: dict[str, object], said: str
) -> None:
    with ImapServer([]) as server:
        where = Mailbox("127.0.0.1", server.port, "us", server.password, tls=False)
        with pytest.raises(MailboxFailed, match=said) as caught:
            take_in_all(sessions, own, replace(where, **change), at=NOON)  # type: ignore[arg-type]

    assert server.password not in str(caught.value)


def _plain(folder: Path, messages: list[bytes]) -> Path:
    for number, raw in enumerate(messages):
        (folder / f"{number}.eml").write_bytes(raw)
    return folder / "done"


def _maildir(folder: Path, messages: list[bytes]) -> Path:
    for name in ("new", "cur", "tmp"):
        (folder / name).mkdir()
    for number, raw in enumerate(messages):
        (folder / "new" / f"{number}.host").write_bytes(raw)
    return folder / "cur"


@pytest.mark.parametrize("fill", [_plain, _maildir])
def test_a_folder_is_taken_in_once(
    sessions: Sessions,
    own: Settings,
    returned: bytes,
    tmp_path: Path,
    fill: Callable[[Path, list[bytes]], Path],
) -> None:
    folder = tmp_path / "returned"
    folder.mkdir()
    done = fill(folder, [returned, NO_MAIL])

    first = take_in_all(sessions, own, folder, at=NOON + HOUR)

    assert first == {Taken.COUNTED: 1, Taken.UNKNOWN: 1}
    assert take_in_all(sessions, own, folder, at=NOON + HOUR) == {}
    assert len(list(done.iterdir())) == 2


def test_a_folder_that_is_not_there_is_named(
    sessions: Sessions, own: Settings, tmp_path: Path
) -> None:
    with pytest.raises(MailboxFailed, match="nowhere"):
        take_in_all(sessions, own, tmp_path / "nowhere", at=NOON)


def test_the_schedule_reads_the_mailbox_of_the_settings(
    sessions: Sessions, own: Settings, returned: bytes, tmp_path: Path
) -> None:
    folder = tmp_path / "returned"
    folder.mkdir()
    _plain(folder, [returned])
    work = WORK["bounces"]

    without = work(Runtime(own, sessions), {}, at=NOON, progress=lambda *_: None)
    runtime = Runtime(replace(own, bounce_mailbox=str(folder)), sessions)
    taken = work(runtime, {}, at=NOON + HOUR, progress=lambda *_: None)

    assert (without, taken) == ({}, {"counted": 1})
