"""What every channel keeps to, each with a real receiver at its other end."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest

from library.clock import utc_now
from library.errors import DeliveryFailed
from library.fetching.fetch import Fetcher
from library.settings import Settings
from library.vocabulary import Channel, Purpose
from notifier.carriers import channels_for
from notifier.channels import MessageChannel
from notifier.channels.app import AppChannel
from notifier.channels.email import EmailChannel, parse_server
from notifier.channels.file import FileChannel
from notifier.channels.push import PushChannel
from notifier.message import Mailbox, Message
from tests.factories import NOON
from tests.loopback import Answer
from tests.notifier.app_server import app_server
from tests.notifier.mail_server import CUT_AFTER, MailServer
from tests.notifier.push_service import push_service

HOUR = timedelta(hours=1)
SETTINGS = replace(Settings(), secret="a secret for tests only")

PERMANENT = {"permanent": True}
LATER = {"retry_after": 120}
BUSY: Mapping[str, object] = {}
OURS = {"ours": True}
AMBIGUOUS = {"ambiguous": True}
GONE = {"gone": True}


@dataclass
class End:
    """A channel, and what its receiver says and knows."""

    channel: MessageChannel
    fail: Callable[[str], None]
    """Let the next message fail in this way."""
    known: Callable[[], list[str]]
    """What tells the messages apart that it has."""
    route: str = ""


@contextmanager
def email(_: Path) -> Iterator[End]:
    faults: list[str] = []
    wrong = {
        "permanent": "550 5.1.1 unknown",
        "later": "450 4.2.1 try again in 120 seconds",
        "busy": "451 busy",
        "ambiguous": CUT_AFTER,
    }

    def script(verb: str, _: str) -> str | None:
        if verb == "MAIL" and faults == ["ours"]:
            return f"550 {faults.pop()}"
        if verb == "DATA" and faults and faults != ["ours"]:
            return wrong[faults.pop()]
        return None

    with MailServer(script=script) as server:
        yield End(
            EmailChannel(parse_server(server.url)),
            faults.append,
            lambda: [one.message_id for one in server.taken],
        )


@contextmanager
def file(home: Path) -> Iterator[End]:
    folder = home / "mail"

    def fail(_: str) -> None:  # a folder stands where its first file should
        (folder / "1.eml").mkdir(parents=True)
        (folder / "1.eml" / "x").touch()

    def known() -> list[str]:
        return [path.name for path in folder.glob("*.eml") if path.is_file()]

    yield End(FileChannel(folder), fail, known)


@contextmanager
def push(_: Path) -> Iterator[End]:
    with push_service(SETTINGS) as service:
        device = service.subscribe()
        yield End(
            PushChannel(service.settings, Fetcher.of(service.settings)),
            lambda fault: service.answers.append(ANSWERS[fault]),
            lambda: list(service.waiting),
            device.address,
        )


@contextmanager
def app(_: Path) -> Iterator[End]:
    with app_server(SETTINGS) as server:
        yield End(
            AppChannel(server.settings, Fetcher.of(server.settings)),
            lambda fault: server.answers.append(ANSWERS[fault]),
            lambda: list(server.taken),
        )


ANSWERS = {
    "permanent": Answer(status=413),
    "later": Answer(status=429, headers={"Retry-After": "120"}),
    "busy": Answer(status=503),
    "ours": Answer(status=401),
    "gone": Answer(status=410),
    "ambiguous": Answer(write=lambda _: None),
}
MEANT: Mapping[str, Mapping[str, object]] = {
    "permanent": PERMANENT,
    "later": LATER,
    "busy": BUSY,
    "ours": OURS,
    "gone": GONE,
    "ambiguous": AMBIGUOUS,
}
ENDS = {"email": email, "file": file, "push": push, "app": app}
FAULTS = {
    "email": ("permanent", "later", "busy", "ours", "ambiguous"),
    "file": ("ours",),
    "push": tuple(ANSWERS),
    "app": tuple(ANSWERS),
}


@pytest.fixture(params=ENDS)
def end(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[End]:
    with ENDS[request.param](tmp_path) as made:
        yield made
        made.channel.close()


def letter(number: int = 1, route: str = "") -> Message:
    return Message(
        channel=Channel.EMAIL,
        purpose=Purpose.DIGEST,
        message_id=f"<{number}@library.test>",
        sender=Mailbox("Library", "library@library.test"),
        to=Mailbox("Ada", "ada@patrons.test"),
        envelope_sender="library@library.test",
        subject="New",
        text="One\n",
        html="<p>One</p>",
        language="en",
        date=NOON,
        data='{"title": "One"}',
        route=route,
        not_after=NOON + HOUR,
    )


def carry(end: End, number: int = 1) -> str:
    end.channel.open()
    end.channel.hand_over(letter(number, end.route), before=utc_now() + HOUR)
    return end.channel.answer()


def test_what_is_handed_over_arrives(end: End) -> None:
    assert carry(end)
    assert carry(end, 2)

    assert len(end.known()) == 2
    assert len(set(end.known())) == 2


def test_a_message_tried_again_is_known_as_the_same(end: End) -> None:
    carry(end)
    carry(end)

    assert len(set(end.known())) == 1


def test_past_its_time_nothing_is_handed_over(end: End) -> None:
    end.channel.open()

    with pytest.raises(DeliveryFailed, match="too late") as failed:
        end.channel.hand_over(letter(1, end.route), before=utc_now())

    assert not failed.value.ambiguous
    assert end.known() == []


def test_closed_it_can_be_opened_again(end: End) -> None:
    end.channel.close()
    carry(end)
    end.channel.close()
    end.channel.close()

    carry(end, 2)

    assert len(end.known()) == 2


@pytest.mark.parametrize(
    ("kind", "fault"), [(kind, fault) for kind in ENDS for fault in FAULTS[kind]]
)
def test_each_fault_is_told_by_its_meaning_and_keeps_no_other_message(
    kind: str, fault: str, tmp_path: Path
) -> None:
    with ENDS[kind](tmp_path) as end:
        end.channel.open()
        end.fail(fault)
        with pytest.raises(DeliveryFailed) as failed:
            carry(end)
        carry(end, 2)
        known = end.known()
        end.channel.close()

    assert told(failed.value) == MEANT[fault]
    assert len(known) == (2 if kind == "email" and fault == "ambiguous" else 1)


def told(failure: DeliveryFailed) -> dict[str, object]:
    """Return what is not as usual of a failure."""
    return {name: value for name, value in vars(failure).items() if value}


def test_the_contract_knows_every_channel() -> None:
    with_server = replace(SETTINGS, smtp_url="smtp://mail.test")
    kinds = {
        type(channel)
        for settings in (SETTINGS, with_server)
        for way, channel in channels_for(settings).items()
        if way not in {Channel.PAGE, Channel.FEED}  # nothing travels by them
    }

    assert {kind.__name__ for kind in kinds} == {
        "EmailChannel", "FileChannel", "PushChannel", "AppChannel",
    }  # fmt: skip
    assert len(kinds) == len(ENDS)
