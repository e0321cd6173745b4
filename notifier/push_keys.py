"""The keys by which push services know who sends (VAPID, RFC 8292).

They are made from the installation's secret, so nothing of them is stored anywhere.
Where the secret is being changed and holds several, parted by spaces, devices are asked
under the first key, and those asked under an older one are still reached.
"""

import hmac
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from py_vapid import Vapid02

from library.settings import Settings

LIFE = timedelta(hours=12)
"""Of one signature; a push service refuses one of more than a day."""
_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""Of the curve P-256: a private key is a number below it."""


def public_key(settings: Settings) -> str:
    """Return the key under which a browser asks its push service for an address."""
    return next(iter(_keys(settings.secret)))


def is_ours(settings: Settings, asked_under: str) -> bool:
    """Tell whether a device that was asked under this key can be reached."""
    return asked_under in _keys(settings.secret)


def authorization(
    settings: Settings, asked_under: str, endpoint: str, *, at: datetime
) -> str | None:
    """Return the header that says who sends.

    Args:
        settings: The installation's.
        asked_under: The public key under which the device was asked.
        endpoint: Where the message goes.
        at: Now.

    Returns:
        None where that key is not ours any more: the push service would refuse us.
    """
    key = _keys(settings.secret).get(asked_under)
    if key is None:
        return None
    parts = urlsplit(endpoint)
    claims = {
        "aud": f"{parts.scheme}://{parts.netloc}",
        "exp": int((at + LIFE).timestamp()),
        "sub": f"mailto:{settings.contact}",
    }
    header: str = key.sign(claims)["Authorization"]
    return header


@lru_cache(maxsize=8)
def _keys(secret: str) -> Mapping[str, Vapid02]:
    made = (_key(one) for one in secret.split() or [secret])
    return {_public(one): Vapid02(one) for one in made}


def _key(secret: str) -> ec.EllipticCurvePrivateKey:
    # 128 bits more than the order has: no number is likelier (FIPS 186-5, A.2.1).
    number = int.from_bytes(hmac.digest(secret.encode(), b"hamkhan.push", "sha384"))
    return ec.derive_private_key(number % (_ORDER - 1) + 1, ec.SECP256R1())


def _public(key: ec.EllipticCurvePrivateKey) -> str:
    point = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return urlsafe_b64encode(point).rstrip(b"=").decode("ascii")
