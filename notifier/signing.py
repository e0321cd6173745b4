"""DKIM (RFC 6376): a signature by which others know our mail, where a key is set.

It covers what mail programs act on by one click, as RFC 8058 demands.
"""

from collections.abc import Callable
from email import message_from_bytes, policy
from email.utils import parseaddr
from pathlib import Path

from library.errors import InvalidInput
from library.settings import Settings

Sign = Callable[[bytes], bytes]
"""From a message to the header that signs it, ended by CR LF."""

COVERED = (
    *("From", "To", "Subject", "Date", "Message-ID", "Reply-To"),
    *("MIME-Version", "Content-Type", "Content-Language"),
    *("List-Id", "List-Unsubscribe", "List-Unsubscribe-Post"),
    *("Auto-Submitted", "Feedback-ID"),
)
_KEY = "HAMKHAN_DKIM_KEY"


def signer_of(settings: Settings) -> Sign | None:
    """Return what signs our mail; None where no key is set.

    Raises:
        InvalidInput: The key cannot be read, or dkimpy is not installed.
    """
    if not settings.dkim_key:
        return None
    if not settings.dkim_selector:
        raise InvalidInput(
            "HAMKHAN_DKIM_SELECTOR: under which name is the key in the DNS?",
            field="HAMKHAN_DKIM_SELECTOR",
        )
    try:
        key = Path(settings.dkim_key).read_bytes()
    except OSError as error:
        raise InvalidInput(f"{_KEY}: {error}", field=_KEY) from error
    sign = _by_dkimpy(settings.dkim_selector, key)
    try:
        sign(b"From: <library@library.test>\r\n\r\n")
    except Exception as error:
        # dkimpy has an error of its own for each way a key can be wrong.
        raise InvalidInput(
            f"{_KEY}: {settings.dkim_key} is no RSA key in PEM", field=_KEY
        ) from error
    return sign


def _by_dkimpy(selector: str, key: bytes) -> Sign:
    try:
        import dkim  # noqa: PLC0415 -- an extra: who signs installs it
    except ImportError as error:
        raise InvalidInput(
            f"{_KEY} is set, and dkimpy is not installed: pip install 'hamkhan[dkim]'",
            field=_KEY,
        ) from error

    def sign(content: bytes) -> bytes:
        head, _, _ = content.partition(b"\r\n\r\n")
        headers = message_from_bytes(head, policy=policy.compat32)
        _, sender = parseaddr(str(headers["From"]))
        covered = [name.encode() for name in COVERED if name in headers]
        header: bytes = dkim.sign(
            content,
            selector.encode(),
            sender.rpartition("@")[2].encode("idna"),
            key,
            canonicalize=(b"relaxed", b"relaxed"),
            include_headers=covered,
        )
        return header

    return sign
