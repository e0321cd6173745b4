"""Where returned mail waits: a mailbox on an IMAP server, a Maildir, or a folder.

What was taken in is marked or moved afterwards; killed in between, it is taken in again
and counted once.
"""

import imaplib
import ssl
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from library.db import Sessions
from library.errors import InvalidInput, ServiceError
from library.settings import Settings
from notifier.bounces import LARGEST, Taken, take_in

_SETTING = "HAMKHAN_BOUNCE_MAILBOX"
_AT_ONCE = 500
"""Messages of one run; the next one goes on."""
_WAIT = 60.0


class MailboxFailed(ServiceError):
    """The mailbox of returned mail cannot be read now."""


@dataclass(frozen=True)
class Mailbox:
    """A mailbox on an IMAP server."""

    host: str
    port: int
    user: str
    password: str
    folder: str = "INBOX"
    tls: bool = True
    starttls: bool = False


def parse_mailbox(address: str) -> Mailbox | Path:
    """Read `imaps://user:password@host[:port][/FOLDER]`, or the path of a folder.

    `imap://…?starttls=1` begins in the clear.

    Raises:
        InvalidInput: It is no such address.
    """
    if "://" not in address:
        return Path(address)
    parts = urlsplit(address)
    if parts.scheme not in {"imap", "imaps"} or not (parts.hostname and parts.username):
        raise InvalidInput(
            f"{_SETTING}: imaps://user:password@host/FOLDER, or a folder, is wanted",
            field=_SETTING,
        )
    tls = parts.scheme == "imaps"
    return Mailbox(
        parts.hostname,
        parts.port or (993 if tls else 143),
        unquote(parts.username),
        unquote(parts.password or ""),
        unquote(parts.path.strip("/")) or "INBOX",
        tls=tls,
        starttls=parse_qs(parts.query).get("starttls", ["0"])[0] in {"1", "true"},
    )


def take_in_all(
    sessions: Sessions, settings: Settings, where: Mailbox | Path, *, at: datetime
) -> Counter[Taken]:
    """Take in what waits; return how many came to what.

    Raises:
        MailboxFailed: The server is away or refuses us, or there is no such folder.
    """
    if isinstance(where, Mailbox):
        return _of_server(sessions, settings, where, at)
    return _of_folder(sessions, settings, where, at)


def _of_folder(
    sessions: Sessions, settings: Settings, folder: Path, at: datetime
) -> Counter[Taken]:
    maildir = (folder / "new").is_dir()
    waiting, done = folder / ("new" if maildir else ""), folder / "done"
    if maildir:
        done = folder / "cur"
    counts: Counter[Taken] = Counter()
    try:
        for path in sorted(p for p in waiting.iterdir() if p.is_file())[:_AT_ONCE]:
            with path.open("rb") as file:
                raw = file.read(LARGEST)
            counts[take_in(sessions, settings, raw, at=at)] += 1
            done.mkdir(exist_ok=True)
            path.replace(done / (f"{path.name}:2,S" if maildir else path.name))
    except OSError as error:
        raise MailboxFailed(f"{folder}: {error.strerror or error}") from error
    return counts


def _of_server(
    sessions: Sessions, settings: Settings, mailbox: Mailbox, at: datetime
) -> Counter[Taken]:
    counts: Counter[Taken] = Counter()
    with _opened(mailbox) as server:
        for number in _unseen(server, mailbox)[:_AT_ONCE]:
            # PEEK: it is seen once it was taken in, and not before.
            _, found = server.uid("FETCH", number, f"(BODY.PEEK[]<0.{LARGEST}>)")
            raw = next((part[1] for part in found if isinstance(part, tuple)), None)
            if raw is None:  # somebody took it away meanwhile
                continue
            counts[take_in(sessions, settings, raw, at=at)] += 1
            server.uid("STORE", number, "+FLAGS", r"(\Seen)")
    return counts


def _unseen(server: imaplib.IMAP4, mailbox: Mailbox) -> list[str]:
    name = mailbox.folder.replace("\\", "\\\\").replace('"', '\\"')
    answer, said = server.select(f'"{name}"')
    if answer != "OK":
        words = (said[0] or b"").decode("utf-8", "replace")
        raise MailboxFailed(f"{mailbox.host}: {mailbox.folder}: {words}")
    _, found = server.uid("SEARCH", "UNSEEN")
    return [number.decode("ascii") for number in (found[0] or b"").split()]


@contextmanager
def _opened(mailbox: Mailbox) -> Iterator[imaplib.IMAP4]:
    try:
        server = _connected(mailbox)
        try:
            server.login(mailbox.user, mailbox.password)
            yield server
        finally:
            server.logout()
    except (OSError, imaplib.IMAP4.error) as error:
        # Never the password: imaplib tells what the server said, and no command.
        words = str(error) or type(error).__name__
        raise MailboxFailed(f"{mailbox.host}: {words}") from error


def _connected(mailbox: Mailbox) -> imaplib.IMAP4:
    if mailbox.tls:
        return imaplib.IMAP4_SSL(
            mailbox.host,
            mailbox.port,
            ssl_context=ssl.create_default_context(),
            timeout=_WAIT,
        )
    server = imaplib.IMAP4(mailbox.host, mailbox.port, timeout=_WAIT)
    if mailbox.starttls:
        server.starttls(ssl.create_default_context())
    return server
