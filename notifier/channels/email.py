"""E-mail by SMTP: one connection for many messages, each answer told by its meaning."""

import re
import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from socket import socket
from urllib.parse import parse_qs, unquote, urlsplit

from library.clock import utc_now
from library.errors import DeliveryFailed, InvalidInput
from notifier.message import Message, ascii_domain
from notifier.signing import Sign

_TRY_AGAIN_IN = re.compile(
    r"try again (?:in|after) (\d+)\s*(second|minute|hour)?", re.IGNORECASE
)
_UNITS = {"second": 1, "minute": 60, "hour": 3600}
_PER_CONNECTION = 500
_GO_ON = 354
_Reply = tuple[int, bytes]
"""A code of three digits, and the words with it."""


@dataclass(frozen=True)
class Timeouts:
    """Seconds to wait for a server, by what it is asked."""

    connect: float = 30
    command: float = 60
    data: float = 600
    """After the final dot: hanging up sooner makes copies (RFC 5321, 4.5.3.2)."""


@dataclass(frozen=True)
class Server:
    """Where mail is handed over."""

    host: str
    port: int
    user: str = ""
    password: str = ""
    tls: bool = False
    starttls: bool = False


def parse_server(url: str) -> Server:
    """Read `smtp://[user:password@]host[:port][?starttls=1]`, `smtps://` for TLS.

    Raises:
        InvalidInput: It is no such address.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"smtp", "smtps"} or not parts.hostname:
        raise InvalidInput(
            "HAMKHAN_SMTP_URL: smtp://host or smtps://host is wanted",
            field="HAMKHAN_SMTP_URL",
        )
    tls = parts.scheme == "smtps"
    starttls = parse_qs(parts.query).get("starttls", ["0"])[0] in {"1", "true", "yes"}
    return Server(
        parts.hostname,
        parts.port or (465 if tls else 587 if starttls else 25),
        unquote(parts.username or ""),
        unquote(parts.password or ""),
        tls=tls,
        starttls=starttls,
    )


class EmailChannel:
    """Hands messages to one mail server over one connection."""

    def __init__(
        self,
        server: Server,
        *,
        timeouts: Timeouts | None = None,
        context: ssl.SSLContext | None = None,
        sign: Sign | None = None,
    ) -> None:
        self._server = server
        self._sign = sign
        self._timeouts = timeouts or Timeouts()
        self._context = context
        self._smtp: smtplib.SMTP | None = None
        self._sent = 0

    def open(self) -> None:
        """Connect, greet, encrypt and sign in, as the server's address says.

        Raises:
            DeliveryFailed: The server is away, or refuses us.
        """
        if self._smtp is not None and self._sent < _PER_CONNECTION:
            return
        self.close()
        with _telling(before_data=True, ours=True):
            self._smtp = self._connected()
            self._sent = 0

    def hand_over(self, message: Message, *, before: datetime) -> None:
        """Hand one message over; see `notifier.outcomes` for what each failure is.

        Raises:
            DeliveryFailed: It was not taken, or nobody knows whether it was.
        """
        self.open()
        content = message.content
        if self._sign:
            content = self._sign(content) + content
        with self._fit_again():
            smtp = self._smtp
            if smtp is None:
                raise DeliveryFailed("not connected")
            with _telling(before_data=True, ours=False):
                _wait_at_most(smtp, self._timeouts.command)
                _address(smtp, message, len(content), before)
            with _telling(before_data=False, ours=False):
                _wait_at_most(smtp, self._timeouts.data)
                smtp.send(_quoted(content))

    def answer(self) -> str:
        """Wait for the server's answer to the message handed over last.

        Raises:
            DeliveryFailed: As for `hand_over`.
        """
        with self._fit_again():
            smtp = self._smtp
            if smtp is None:
                raise DeliveryFailed("not connected", ambiguous=True)
            with _telling(before_data=False, ours=False):
                code, said = smtp.getreply()
            _require(code, said)
        self._sent += 1
        return f"{code} {_words(said)}"

    def close(self) -> None:
        """Say goodbye; a server that is gone already is no trouble."""
        smtp, self._smtp = self._smtp, None
        if smtp is None:
            return
        try:
            smtp.quit()
        except (OSError, smtplib.SMTPException):
            smtp.close()

    def _connected(self) -> smtplib.SMTP:
        server, wait = self._server, self._timeouts
        if server.tls:
            smtp: smtplib.SMTP = smtplib.SMTP_SSL(
                server.host,
                server.port,
                timeout=wait.connect,
                context=self._tls_context(),
            )
        else:
            smtp = smtplib.SMTP(server.host, server.port, timeout=wait.connect)
        try:
            _wait_at_most(smtp, wait.command)
            smtp.ehlo_or_helo_if_needed()
            if server.starttls:
                smtp.starttls(context=self._tls_context())
                smtp.ehlo()
            if server.user:
                smtp.login(server.user, server.password)
        except BaseException:
            smtp.close()
            raise
        return smtp

    def _tls_context(self) -> ssl.SSLContext:
        return self._context or ssl.create_default_context()

    @contextmanager
    def _fit_again(self) -> Iterator[None]:
        """After a failure make the connection fit for the next message."""
        try:
            yield
        except DeliveryFailed:
            self._reset()
            raise

    def _reset(self) -> None:
        """Make the connection fit for the next message, or let go of it."""
        smtp = self._smtp
        try:
            if smtp is None or smtp.sock is None or smtp.rset()[0] != 250:
                self._drop()
        except (OSError, smtplib.SMTPException):
            self._drop()

    def _drop(self) -> None:
        smtp, self._smtp = self._smtp, None
        if smtp is not None:
            smtp.close()


def _address(smtp: smtplib.SMTP, message: Message, size: int, before: datetime) -> None:
    """Say from whom and to whom, and that the message follows.

    Where the server allows it (RFC 2920) all three go at once: two ways to it and back
    for each message, and not four.
    """
    sender, to = _path(message.envelope_sender), _path(message.to.address)
    options = "".join(f" {option}" for option in _mail_options(smtp, message, size))
    commands = (f"MAIL FROM:{sender}{options}", f"RCPT TO:{to}", "DATA")
    if smtp.has_extn("pipelining"):
        _require_time(before)
        smtp.send("".join(f"{command}\r\n" for command in commands).encode())
        _require_start(smtp, *(smtp.getreply() for _ in commands))
        return
    _require(*_asked(smtp, commands[0]), ours=True)
    _require(*_asked(smtp, commands[1]))
    _require_time(before)
    _require(*_asked(smtp, commands[2]), start=True)


def _path(address: str) -> str:
    """Return an address as RFC 5321 (4.1.2) wants it in a command."""
    path = ascii_domain(address)
    if not path.isprintable() or "<" in path or ">" in path:
        raise DeliveryFailed("5.1.3 the address is none", permanent=True)
    return f"<{path}>"


def _asked(smtp: smtplib.SMTP, command: str) -> _Reply:
    smtp.send(f"{command}\r\n".encode())
    return smtp.getreply()


def _require_start(smtp: smtplib.SMTP, mail: _Reply, to: _Reply, data: _Reply) -> None:
    """Raise what the first refusal of three commands that went at once means."""
    refused = not (_is_yes(mail) and _is_yes(to))
    if refused and data[0] == _GO_ON:
        # It waits for a message to nobody: an empty one ends that.
        smtp.send(b".\r\n")
        smtp.getreply()
    _require(*mail, ours=True)
    _require(*to)
    _require(*data, start=True)


def _mail_options(smtp: smtplib.SMTP, message: Message, size: int) -> list[str]:
    options = []
    if smtp.has_extn("size"):
        options.append(f"SIZE={size}")
    if message.needs_smtputf8:
        if not smtp.has_extn("smtputf8"):
            raise DeliveryFailed(
                "5.6.7 the server takes no address outside ASCII", permanent=True
            )
        options += ["SMTPUTF8", "BODY=8BITMIME"]
    return options


def _require_time(before: datetime) -> None:
    if utc_now() >= before:
        raise DeliveryFailed("too late: another worker may have it")


def _is_yes(reply: _Reply) -> bool:
    return 200 <= reply[0] < 300


def _require(
    code: int, said: bytes, *, ours: bool = False, start: bool = False
) -> None:
    if code == _GO_ON if start else _is_yes((code, said)):
        return
    words = f"{code} {_words(said)}"
    if 500 <= code < 600:
        raise DeliveryFailed(words, permanent=not ours, ours=ours)
    raise DeliveryFailed(words, retry_after=_retry_after(words))


@contextmanager
def _telling(*, before_data: bool, ours: bool) -> Iterator[None]:
    """Turn what smtplib and the network raise into what it means for the message."""
    try:
        yield
    except smtplib.SMTPResponseException as error:
        said = error.smtp_error
        words = said if isinstance(said, bytes) else str(said).encode()
        _require(error.smtp_code, words, ours=ours)
        raise DeliveryFailed(f"{error.smtp_code} {_words(words)}") from error
    except smtplib.SMTPNotSupportedError as error:
        raise DeliveryFailed(str(error), ours=True) from error
    except ssl.SSLCertVerificationError as error:
        raise DeliveryFailed(f"certificate: {error.verify_message}") from error
    except (OSError, smtplib.SMTPException) as error:
        raise DeliveryFailed(
            f"connection: {str(error) or type(error).__name__}",
            ambiguous=not before_data,
        ) from error


def _quoted(content: bytes) -> bytes:
    return content.replace(b"\r\n.", b"\r\n..") + b".\r\n"


def _wait_at_most(smtp: smtplib.SMTP, seconds: float) -> None:
    if isinstance(smtp.sock, socket):
        smtp.sock.settimeout(seconds)


def _words(said: bytes) -> str:
    return " ".join(said.decode("utf-8", "replace").split())


def _retry_after(words: str) -> int | None:
    found = _TRY_AGAIN_IN.search(words)
    if found is None:
        return None
    return int(found[1]) * _UNITS[(found[2] or "second").lower()]
