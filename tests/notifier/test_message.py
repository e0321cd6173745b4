from dataclasses import replace
from email import message_from_bytes, policy
from email.message import EmailMessage

import pytest
from hypothesis import given
from hypothesis import strategies as st

from library.vocabulary import Channel, Purpose
from notifier.message import Mailbox, Message, to_bytes
from tests.factories import NOON

LETTER = Message(
    channel=Channel.EMAIL,
    purpose=Purpose.DIGEST,
    message_id="<1@library.test>",
    sender=Mailbox("کتابخانهٔ مرکزی", "library@library.test"),
    to=Mailbox('Ada "the Count" Lovelace', "ada@patrons.test"),
    envelope_sender="library@library.test",
    subject="New for you: \u2068Solaris\u2069",
    text="Hello\n",
    html="<p>Hello</p>",
    language="en",
    date=NOON,
    headers=(("List-Unsubscribe", "<https://library.test/leave/" + "x" * 90 + ">"),),
)


def parsed(message: Message) -> EmailMessage:
    found = message_from_bytes(to_bytes(message), policy=policy.default)
    assert isinstance(found, EmailMessage)
    assert not found.defects
    return found


def test_a_parser_reads_back_what_was_written() -> None:
    found = parsed(LETTER)

    assert found["Message-ID"] == "<1@library.test>"
    assert found["Subject"] == LETTER.subject
    assert found["From"].addresses[0].display_name == LETTER.sender.name
    assert found["To"].addresses[0].display_name == LETTER.to.name
    assert found["To"].addresses[0].addr_spec == "ada@patrons.test"
    assert found["Content-Language"] == "en"
    assert [part.get_content_type() for part in found.iter_parts()] == [
        "text/plain",
        "text/html",
    ]


def test_the_one_click_link_stands_on_one_line() -> None:
    line = next(
        line for line in to_bytes(LETTER).split(b"\r\n") if b"List-Unsubscribe" in line
    )

    assert line.endswith(b">")


@pytest.mark.parametrize(
    "text", ["Plain\n", "کتابخانه‌ها\n", "é" * 300 + "\n", ".\n..\n"]
)
def test_a_text_of_any_script_comes_through(text: str) -> None:
    found = parsed(replace(LETTER, text=text, html=f"<p>{text}</p>"))

    body = found.get_body(("plain",))
    assert body is not None
    assert body.get_content().replace("\r\n", "\n") == text


def test_no_line_break_from_data_reaches_a_header() -> None:
    sly = "New\r\nBcc: all@patrons.test\n\nHello"
    found = parsed(
        replace(
            LETTER,
            subject=sly,
            to=Mailbox(sly, "ada@patrons.test"),
            headers=(("Reply-To", sly),),
        )
    )

    assert "Bcc" not in found
    assert len(list(found.iter_parts())) == 2


def test_a_domain_in_persian_letters_is_written_as_servers_know_it() -> None:
    found = replace(LETTER, to=Mailbox("", "sima@کتابخانه.test"))

    assert b"To: sima@xn--" in to_bytes(found)


lines = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=200)


@given(st.lists(lines, max_size=6), lines)
def test_lines_are_never_too_long_and_end_with_cr_lf(
    text: list[str], subject: str
) -> None:
    content = to_bytes(replace(LETTER, text="\n".join(text), subject=subject))

    for line in content.split(b"\r\n"):
        assert len(line) <= 998
        assert b"\n" not in line
        assert b"\r" not in line
