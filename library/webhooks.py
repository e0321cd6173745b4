"""Calls to other systems, signed so that they know them as ours (Standard Webhooks).

The same call has the same id however often it is tried. Its secret is made from the
installation's; where that is being changed and holds several, parted by spaces, a call
is signed with each, so that a receiver can change at its own time.
"""

import base64
import hashlib
import hmac
from datetime import datetime
from enum import StrEnum

from library.settings import Settings


class Use(StrEnum):
    """What a webhook is for; each has a secret of its own."""

    WARNINGS = "webhook"
    APP = "app webhook"


def secret_of(settings: Settings, use: Use) -> str:
    """Return the secret by which a receiver knows our calls."""
    return _secrets(settings, use)[0]


def signature(secret: str, call_id: str, seconds: int, body: bytes) -> str:
    """Return one signature of a call at a moment, in seconds since 1970."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{call_id}.{seconds}.".encode() + body
    digest = hmac.new(key, signed, hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode("ascii")


def signed(
    settings: Settings, use: Use, call_id: str, body: bytes, *, at: datetime
) -> dict[str, str]:
    """Return the headers of a call with a JSON body."""
    seconds = int(at.timestamp())
    signatures = (
        signature(secret, call_id, seconds, body) for secret in _secrets(settings, use)
    )
    return {
        "Content-Type": "application/json",
        "webhook-id": call_id,
        "webhook-timestamp": str(seconds),
        "webhook-signature": " ".join(signatures),
    }


def _secrets(settings: Settings, use: Use) -> list[str]:
    keys = settings.secret.split() or [settings.secret]
    digests = (hmac.digest(key.encode(), use.value.encode(), "sha256") for key in keys)
    return ["whsec_" + base64.b64encode(one).decode("ascii") for one in digests]
