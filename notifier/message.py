"""A message, and the bytes in which it travels.

Pure. The bytes are put together here and not by `email.message`, which takes longer for
one mail than rendering it does. No line break from data ever reaches a header.
"""

import hashlib
from base64 import b64encode, encodebytes, urlsafe_b64encode
from binascii import b2a_qp
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime
from functools import cached_property

from library.vocabulary import Channel, Purpose

CRLF = "\r\n"
_LINE = 76
_WORD = 45
"""Bytes in one encoded word: with its frame 75 signs, the most RFC 2047 allows."""
_INVISIBLE = "\u200c\u2068\u2069"  # half-space and isolates: part of the text
_SHOWN = str.maketrans("", "", _INVISIBLE)


@dataclass(frozen=True)
class Mailbox:
    """A name and an address."""

    name: str
    address: str


@dataclass(frozen=True)
class Message:
    """What goes to one patron, ready for a channel."""

    channel: Channel
    purpose: Purpose
    message_id: str
    sender: Mailbox
    to: Mailbox
    envelope_sender: str
    """Where a mail server returns what it cannot deliver."""
    subject: str
    text: str
    html: str
    language: str
    date: datetime
    headers: tuple[tuple[str, str], ...] = ()
    """Further ones, in order."""
    data: str = ""
    """The same as JSON, for a channel that carries no mail; then `html` is empty."""
    route: str = ""
    """All a channel needs to reach `to`, where that address is only for the eye."""
    not_after: datetime | None = None
    """From when on it is not worth telling any more."""

    @cached_property
    def content(self) -> bytes:
        """The message as it travels; made once."""
        return to_bytes(self)

    @property
    def needs_smtputf8(self) -> bool:
        """Tell whether an address has letters outside ASCII before its @."""
        addresses = (self.to.address, self.envelope_sender)
        return not all(ascii_domain(address).isascii() for address in addresses)


def to_bytes(message: Message) -> bytes:
    """Return the message as RFC 5322 bytes, its lines ended by CR LF."""
    boundary = "=_" + hashlib.sha256(message.message_id.encode()).hexdigest()[:32]
    lines = [
        f"Message-ID: {_one_line(message.message_id)}",
        f"Date: {format_datetime(message.date)}",
        f"From: {_mailbox(message.sender, 'From')}",
        f"To: {_mailbox(message.to, 'To')}",
        _header("Subject", message.subject),
        *(_header(name, value) for name, value in message.headers),
        "MIME-Version: 1.0",
        f"Content-Language: {message.language}",
        "Content-Type: multipart/alternative;",
        f' boundary="{boundary}"',
        "",
        *_part("plain", message.text, boundary),
        *_part("html", message.html, boundary),
        f"--{boundary}--",
        "",
    ]
    return CRLF.join(lines).encode()


def topic_of(message_id: str) -> str:
    """Return a short name for a message, of which a later copy replaces an earlier.

    32 letters, digits, - and _: all that push services take (RFC 8030, 5.4).
    """
    digest = hashlib.sha256(message_id.encode()).digest()
    return urlsafe_b64encode(digest).decode("ascii")[:32]


def ascii_domain(address: str) -> str:
    """Return an address with its domain as mail servers know it."""
    local, at, domain = address.rpartition("@")
    if domain.isascii():
        return address
    return local + at + domain.encode("idna").decode("ascii")


def _part(subtype: str, text: str, boundary: str) -> list[str]:
    encoding, body = _encoded(text)
    return [
        f"--{boundary}",
        f"Content-Type: text/{subtype}; charset=utf-8",
        f"Content-Transfer-Encoding: {encoding}",
        "",
        body,
    ]


def _encoded(text: str) -> tuple[str, str]:
    data = CRLF.join(text.splitlines()).encode() + b"\r\n"
    # A Persian letter takes six signs in quoted-printable, under three in base64.
    foreign = len(data) - len(text)
    if foreign * 6 < len(data):
        return "quoted-printable", b2a_qp(data, istext=True).decode("ascii")
    return "base64", encodebytes(data).decode("ascii").replace("\n", CRLF)


def _header(name: str, value: str) -> str:
    value = _one_line(value)
    if value.isascii():
        short = len(name) + 2 + len(value) <= _LINE
        # A link cannot be folded, and is short enough for any server.
        if "=?" not in value and (short or " " not in value):
            return f"{name}: {value}"
    return f"{name}: {_encoded_words(value, len(name) + 2)}"


def _mailbox(mailbox: Mailbox, field: str) -> str:
    address = ascii_domain(_one_line(mailbox.address))
    name = _one_line(mailbox.name)
    if not name:
        return address
    if name.isascii() and "=?" not in name:
        escaped = name.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"{CRLF} <{address}>'
    return f"{_encoded_words(name, len(field) + 2)}{CRLF} <{address}>"


def _encoded_words(value: str, used: int) -> str:
    """Return a header's value as encoded words (RFC 2047), one to a line.

    Args:
        value: On one line.
        used: Signs that stand before it on its first line.
    """
    words = (
        f"=?utf-8?b?{b64encode(piece).decode('ascii')}?="
        for piece in _pieces(value, _WORD - used * 3 // 4)
    )
    return f"{CRLF} ".join(words)


def _pieces(value: str, room: int) -> Iterator[bytes]:
    """Cut between letters: a first piece of `room` bytes, then whole lines."""
    piece = b""
    for letter in value:
        data = letter.encode()
        if len(piece) + len(data) > room:
            yield piece
            piece, room = b"", _WORD
        piece += data
    yield piece


def _one_line(value: str) -> str:
    if value.isprintable() or value.translate(_SHOWN).isprintable():
        return value.strip()
    kept = (c if c.isprintable() or c in _INVISIBLE else " " for c in value)
    return "".join(kept).strip()
