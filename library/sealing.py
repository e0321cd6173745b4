"""Sealing: what waits in a row and must not be read from a stolen database.

A sign-in link has to wait in the outbox until it is sent. Sealed, it needs the
installation's secret, which no database holds.
"""

import hashlib
import hmac
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode

from library.errors import NotAllowed

_NONCE = 16
_TAG = 32


def seal(secret: str, text: str) -> str:
    """Return `text` so that only who has the secret can read it."""
    nonce = secrets.token_bytes(_NONCE)
    hidden = _covered(secret, nonce, text.encode())
    return urlsafe_b64encode(nonce + _tag(secret, nonce + hidden) + hidden).decode()


def unseal(secret: str, sealed: str) -> str:
    """Return the text again.

    Raises:
        NotAllowed: It was altered, or sealed with another secret.
    """
    whole = urlsafe_b64decode(sealed)
    nonce, tag, hidden = (
        whole[:_NONCE],
        whole[_NONCE : _NONCE + _TAG],
        whole[_NONCE + _TAG :],
    )
    if not hmac.compare_digest(tag, _tag(secret, nonce + hidden)):
        raise NotAllowed("the secret has changed since this was sealed")
    return _covered(secret, nonce, hidden).decode()


def _covered(secret: str, nonce: bytes, data: bytes) -> bytes:
    # SHAKE-256 over a secret key is a keyed stream; a nonce is never used twice.
    key = hashlib.sha256(b"hamkhan.seal.cover" + secret.encode()).digest()
    stream = hashlib.shake_256(key + nonce).digest(len(data))
    return bytes(a ^ b for a, b in zip(data, stream, strict=True))


def _tag(secret: str, data: bytes) -> bytes:
    key = hashlib.sha256(b"hamkhan.seal.tag" + secret.encode()).digest()
    return hmac.new(key, data, hashlib.sha256).digest()
