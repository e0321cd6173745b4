"""A push service on loopback, and a browser's keys: it checks, opens and keeps.

Written from RFC 8030, 8188, 8291 and 8292 with bare ciphers, so that it agrees with the
channel only where both agree with them.
"""

import hmac
import json
import os
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from library.settings import Settings
from notifier.push_keys import public_key
from profiles.devices import Device
from tests import loopback
from tests.loopback import Answer, Asked, Site

DAY = 24 * 3600


@dataclass
class Subscriber:
    """A browser that asked for messages."""

    device: Device
    private: ec.EllipticCurvePrivateKey
    secret: bytes

    def open(self, body: bytes) -> Any:
        """Return the words that were sealed for it (RFC 8291, 3.4; RFC 8188, 2)."""
        salt, size, named = body[:16], int.from_bytes(body[16:20]), body[20]
        theirs, sealed = body[21 : 21 + named], body[21 + named :]
        assert len(sealed) <= size
        point = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), theirs)
        shared = self.private.exchange(ec.ECDH(), point)
        info = b"WebPush: info\0" + _public(self.private) + theirs
        root = _expand(_hmac(self.secret, shared), info, 32)
        mixed = _hmac(salt, root)
        key = _expand(mixed, b"Content-Encoding: aes128gcm\0", 16)
        nonce = _expand(mixed, b"Content-Encoding: nonce\0", 12)
        words, end, padding = AESGCM(key).decrypt(nonce, sealed, None).rpartition(b"\2")
        assert (end, padding.strip(b"\0")) == (b"\2", b"")
        return json.loads(words)


@dataclass
class Pushed:
    """A message that waits for its browser."""

    headers: Mapping[str, str]
    words: Any


@dataclass
class PushService:
    """Takes messages for subscribers by path, once it has given its `answers`."""

    site: Site
    settings: Settings
    subscribers: dict[str, Subscriber] = field(default_factory=dict)
    waiting: dict[str, Pushed] = field(default_factory=dict)
    """By topic: a later one takes the place of an earlier."""
    told: list[str] = field(default_factory=list)
    """Paths of the browsers that have a message, each time one came."""
    answers: list[Answer] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    def subscribe(self, name: str = "ada") -> Device:
        """Return the address of a browser that asked now."""
        private, secret = ec.generate_private_key(ec.SECP256R1()), os.urandom(16)
        device = Device(
            self.site.serve(f"/push/{name}", self._take),
            _text(_public(private)),
            _text(secret),
            public_key(self.settings),
        )
        self.subscribers[f"/push/{name}"] = Subscriber(device, private, secret)
        return device

    def _take(self, asked: Asked) -> Answer:
        if self.answers:
            return self.answers.pop(0)
        subscriber = self.subscribers.get(asked.path)
        if subscriber is None:
            return Answer(status=410)
        fault = self._fault(asked, subscriber.device)
        if fault:
            self.refused.append(fault)
            return Answer(status=403)
        headers = asked.headers
        assert headers["content-encoding"] == "aes128gcm"
        assert 0 <= int(headers["ttl"]) <= 28 * DAY
        assert len(asked.body) <= 4096
        topic = headers["topic"]
        assert 0 < len(topic) <= 32
        self.told.append(asked.path)
        self.waiting[topic] = Pushed(headers, subscriber.open(asked.body))
        return Answer(status=201, headers={"Location": f"/message/{topic}"})

    def _fault(self, asked: Asked, device: Device) -> str:
        scheme, _, parameters = asked.headers["authorization"].partition(" ")
        said = dict(one.strip().split("=", 1) for one in parameters.split(","))
        signed, _, signature = said["t"].rpartition(".")
        header, claims = (json.loads(_bytes(part)) for part in signed.split("."))
        point = ec.EllipticCurvePublicKey.from_encoded_point(
            ec.SECP256R1(), _bytes(said["k"])
        )
        r, s = (int.from_bytes(half) for half in _halves(_bytes(signature)))
        try:
            point.verify(
                encode_dss_signature(r, s), signed.encode(), ec.ECDSA(hashes.SHA256())
            )
        except InvalidSignature:
            return "signature"
        wrong = {
            "scheme": scheme != "vapid" or header["alg"] != "ES256",
            "key": said["k"] != device.asked_under,
            "aud": claims["aud"] != self.site.url,
            "exp": not time.time() < claims["exp"] <= time.time() + DAY,
            "sub": not claims["sub"].startswith("mailto:"),
        }
        return next((name for name, is_wrong in wrong.items() if is_wrong), "")


@contextmanager
def push_service(settings: Settings) -> Iterator[PushService]:
    """Run a push service that this installation may reach."""
    with loopback.site() as site:
        yield PushService(site, replace(settings, fetch_allow=(site.place,)))


def _halves(signature: bytes) -> tuple[bytes, bytes]:
    assert len(signature) == 64
    return signature[:32], signature[32:]


def _public(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def _hmac(key: bytes, words: bytes) -> bytes:
    return hmac.digest(key, words, "sha256")


def _expand(key: bytes, info: bytes, length: int) -> bytes:
    return _hmac(key, info + b"\1")[:length]


def _text(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
