import shutil
import socket
import ssl
import subprocess
from datetime import timedelta
from pathlib import Path
from threading import Thread

import pytest

from library.clock import utc_now
from library.errors import DeliveryFailed, InvalidInput
from library.vocabulary import Channel, Purpose
from notifier.channels.email import EmailChannel, Server, Timeouts, parse_server
from notifier.message import Mailbox, Message
from tests.factories import NOON
from tests.notifier.mail_server import CUT, CUT_AFTER, HANG, MailServer, Script

QUICK = Timeouts(connect=2, command=0.5, data=0.5)


def letter(to: str = "ada@patrons.test", number: int = 1) -> Message:
    return Message(
        channel=Channel.EMAIL,
        purpose=Purpose.DIGEST,
        message_id=f"<{number}@library.test>",
        sender=Mailbox("Library", "library@library.test"),
        to=Mailbox("Ada", to),
        envelope_sender="library@library.test",
        subject="New",
        text="One\n.\n..two\n",
        html="<p>One</p>",
        language="en",
        date=NOON,
    )


def send(server: MailServer, message: Message | None = None) -> str:
    channel = EmailChannel(parse_server(server.url), timeouts=QUICK)
    try:
        channel.open()
        return carry(channel, message)
    finally:
        channel.close()


def carry(channel: EmailChannel, message: Message | None = None) -> str:
    channel.hand_over(message or letter(), before=utc_now() + timedelta(hours=1))
    return channel.answer()


def says(verb: str, answer: str) -> Script:
    return lambda asked, _: answer if asked == verb else None


def test_a_message_arrives_as_it_was_written() -> None:
    with MailServer() as server:
        assert send(server) == "250 2.0.0 taken"

    (taken,) = server.taken
    body = taken.message.get_body(("plain",))
    assert body is not None
    assert body.get_content().splitlines() == ["One", ".", "..two"]
    assert taken.sender == "library@library.test"


@pytest.mark.parametrize(
    ("verb", "answer", "permanent", "ours"),
    [
        ("MAIL", "550 5.7.1 not from here", False, True),
        ("MAIL", "451 later", False, False),
        ("RCPT", "550 5.1.1 unknown", True, False),
        ("RCPT", "450 4.2.1 busy", False, False),
        ("DATA", "554 5.6.0 spam", True, False),
        ("DATA", "452 4.3.1 full", False, False),
    ],
)
@pytest.mark.parametrize("pipelining", [False, True], ids=["in turn", "at once"])
def test_each_answer_is_told_by_its_meaning(
    verb: str, answer: str, permanent: bool, ours: bool, pipelining: bool
) -> None:
    with (
        MailServer(says(verb, answer), pipelining=pipelining) as server,
        pytest.raises(DeliveryFailed) as caught,
    ):
        send(server)

    failure = caught.value
    assert (failure.permanent, failure.ours) == (permanent, ours)
    assert not failure.ambiguous
    assert answer.split(maxsplit=1)[1] in str(failure)


@pytest.mark.parametrize("how", [CUT, HANG])
@pytest.mark.parametrize("verb", ["EHLO", "MAIL", "RCPT"])
def test_a_cut_or_silence_before_data_leaves_no_doubt(verb: str, how: str) -> None:
    with MailServer(says(verb, how)) as server, pytest.raises(DeliveryFailed) as caught:
        send(server)

    assert not caught.value.ambiguous
    assert not caught.value.permanent
    assert server.taken == []


@pytest.mark.parametrize("how", [CUT, CUT_AFTER, HANG])
def test_a_cut_or_silence_after_data_is_in_doubt(how: str) -> None:
    with (
        MailServer(says("DATA", how)) as server,
        pytest.raises(DeliveryFailed) as caught,
    ):
        send(server)

    assert caught.value.ambiguous


def test_a_server_that_turns_us_away_at_the_door_is_our_fault() -> None:
    with socket.create_server(("127.0.0.1", 0)) as door:
        port = door.getsockname()[1]
        answering = Thread(target=_turn_away, args=(door,))
        answering.start()
        with pytest.raises(DeliveryFailed) as caught:
            EmailChannel(Server("127.0.0.1", port), timeouts=QUICK).open()
        answering.join()

    assert caught.value.ours


def _turn_away(door: socket.socket) -> None:
    guest, _ = door.accept()
    with guest:
        guest.sendall(b"554 5.7.1 your network is listed\r\n")


def test_starttls_encrypts_and_a_certificate_nobody_knows_is_refused(
    certificate: Path,
) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    believing = ssl.create_default_context(cafile=certificate)
    with MailServer(tls=context) as server:
        url = f"smtp://localhost:{server.port}?starttls=1"
        channel = EmailChannel(parse_server(url), timeouts=QUICK, context=believing)
        carry(channel)
        channel.close()
        with pytest.raises(DeliveryFailed, match="certificate") as caught:
            EmailChannel(parse_server(url), timeouts=QUICK).open()

    assert len(server.taken) == 1
    assert not caught.value.permanent


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and a certificate of our own for localhost, in one file."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl to make a certificate with")
    path = tmp_path_factory.mktemp("tls") / "localhost.pem"
    subprocess.run(  # noqa: S603 -- fixed words
        [
            *(openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes"),
            *("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"),
            *("-keyout", str(path), "-out", str(path.with_suffix(".crt"))),
        ],
        check=True,
        capture_output=True,
    )
    path.write_text(path.read_text() + path.with_suffix(".crt").read_text())
    return path


def test_a_server_that_is_away_leaves_no_doubt() -> None:
    with MailServer() as server:
        port = server.port
    channel = EmailChannel(Server("127.0.0.1", port), timeouts=QUICK)

    with pytest.raises(DeliveryFailed) as caught:
        channel.open()

    assert not caught.value.ambiguous
    assert not caught.value.ours


@pytest.mark.parametrize("pipelining", [False, True], ids=["in turn", "at once"])
def test_one_connection_carries_many_and_outlives_a_refusal(pipelining: bool) -> None:
    def script(verb: str, recipient: str) -> str | None:
        refused = verb == "RCPT" and recipient.startswith("nobody")
        return "550 5.1.1 unknown" if refused else None

    with MailServer(script, pipelining=pipelining) as server:
        channel = EmailChannel(parse_server(server.url), timeouts=QUICK)
        channel.open()
        carry(channel, letter("a@x.test"))
        with pytest.raises(DeliveryFailed, match="unknown"):
            carry(channel, letter("nobody@x.test"))
        channel.open()
        carry(channel, letter("b@x.test"))
        channel.close()

    assert server.connections == 1
    assert [one.recipient for one in server.taken] == ["a@x.test", "b@x.test"]


def test_a_server_that_waits_for_a_message_to_nobody_gets_none() -> None:
    """RFC 2920, 3.1: DATA may be let pass though its one recipient was refused."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        port, heard = door.getsockname()[1], list[bytes]()
        answering = Thread(target=_let_data_pass, args=(door, heard))
        answering.start()
        channel = EmailChannel(Server("127.0.0.1", port), timeouts=QUICK)
        with pytest.raises(DeliveryFailed, match="unknown") as caught:
            carry(channel)
        channel.close()
        answering.join()

    assert caught.value.permanent
    assert heard[heard.index(b"DATA") + 1] == b"."


def _let_data_pass(door: socket.socket, heard: list[bytes]) -> None:
    answers = {
        b"EHLO": b"250-here\r\n250 PIPELINING",
        b"MAIL": b"250 fine",
        b"RCPT": b"550 5.1.1 unknown",
        b"DATA": b"354 go on",
        b".": b"554 no valid recipients",
    }
    guest, _ = door.accept()
    with guest, guest.makefile("rb") as lines:
        guest.sendall(b"220 ready\r\n")
        for line in lines:
            heard.append(line.strip())
            guest.sendall(answers.get(line.strip()[:4].upper(), b"250 fine") + b"\r\n")


def test_after_a_cut_the_next_message_gets_a_new_connection() -> None:
    cuts = iter([CUT])

    def script(verb: str, _: str) -> str | None:
        return next(cuts, None) if verb == "RCPT" else None

    with MailServer(script) as server:
        channel = EmailChannel(parse_server(server.url), timeouts=QUICK)
        with pytest.raises(DeliveryFailed):
            carry(channel)
        carry(channel)
        channel.close()

    assert server.connections == 2
    assert len(server.taken) == 1


def test_past_its_lease_data_is_not_begun() -> None:
    with MailServer() as server:
        channel = EmailChannel(parse_server(server.url), timeouts=QUICK)
        with pytest.raises(DeliveryFailed):
            channel.hand_over(letter(), before=utc_now())
        channel.close()

    assert "DATA" not in server.verbs
    assert server.taken == []


def test_a_wish_to_wait_is_heard() -> None:
    busy = says("RCPT", "451 4.7.1 greylisted, try again in 5 minutes")
    with MailServer(busy) as server, pytest.raises(DeliveryFailed) as caught:
        send(server)

    assert caught.value.retry_after == 300


@pytest.mark.filterwarnings("ignore:Requiring AUTH")
def test_it_signs_in_where_the_address_has_a_name() -> None:
    with MailServer(password="s3cret") as server:
        url = f"smtp://library:s3cret@127.0.0.1:{server.port}"
        channel = EmailChannel(parse_server(url), timeouts=QUICK)
        carry(channel)
        channel.close()

    assert len(server.taken) == 1


@pytest.mark.filterwarnings("ignore:Requiring AUTH")
def test_a_wrong_password_is_our_fault() -> None:
    with MailServer(password="s3cret") as server:
        url = f"smtp://library:wrong@127.0.0.1:{server.port}"
        with pytest.raises(DeliveryFailed) as caught:
            EmailChannel(parse_server(url), timeouts=QUICK).open()

    assert caught.value.ours


def test_a_server_without_starttls_is_our_fault_where_it_is_asked_for() -> None:
    with MailServer() as server, pytest.raises(DeliveryFailed) as caught:
        EmailChannel(parse_server(server.url + "?starttls=1"), timeouts=QUICK).open()

    assert caught.value.ours


def test_a_persian_address_needs_smtputf8() -> None:
    with MailServer() as server:
        send(server, letter("سیما@کتابخانه.test"))

    (taken,) = server.taken
    assert taken.recipient.startswith("سیما@xn--")
    assert any("SMTPUTF8" in option.upper() for option in taken.options)


def test_a_server_without_smtputf8_cannot_take_it() -> None:
    with (
        MailServer(smtputf8=False) as server,
        pytest.raises(DeliveryFailed) as caught,
    ):
        send(server, letter("سیما@x.test"))

    assert caught.value.permanent


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("smtp://mail.test", Server("mail.test", 25)),
        ("smtp://mail.test?starttls=1", Server("mail.test", 587, starttls=True)),
        ("smtps://mail.test", Server("mail.test", 465, tls=True)),
        ("smtp://a%40b:p%3A@m.test:26", Server("m.test", 26, "a@b", "p:")),
    ],
)
def test_the_address_of_a_server(url: str, server: Server) -> None:
    assert parse_server(url) == server


@pytest.mark.parametrize("url", ["mail.test", "http://mail.test", "smtp://"])
def test_what_is_no_address_of_a_server(url: str) -> None:
    with pytest.raises(InvalidInput):
        parse_server(url)
