"""Web push: a few words sealed for one browser, handed to its push service.

RFC 8030 (delivery), RFC 8291 (sealing) and RFC 8292 (who sends). The service sees
neither the words nor the patron. A message that is tried again has the same topic, so
that it takes the place of the one before and is shown once.
"""

import logging
import os
from base64 import urlsafe_b64decode
from datetime import datetime, timedelta

import http_ece
from cryptography.hazmat.primitives.asymmetric import ec

from library.clock import utc_now
from library.errors import DeliveryFailed, InvalidInput
from library.fetching.fetch import Fetcher
from library.settings import Settings
from notifier import push_keys
from notifier.channels.posting import Meanings, Poster
from notifier.message import Message, topic_of
from profiles.devices import Device, parse_device

logger = logging.getLogger(__name__)

LONGEST_LIFE = timedelta(days=28)
"""Push services keep a message for no longer."""
LARGEST = 3993
"""Bytes of words that fit into the 4096 every push service takes (RFC 8291, 4)."""
MEANINGS = Meanings(gone=frozenset({404, 410}), ours=frozenset({401, 403}))


class PushChannel:
    """Hands messages to the push services of patrons' browsers."""

    def __init__(self, settings: Settings, fetcher: Fetcher) -> None:
        self._settings = settings
        self._poster = Poster(fetcher, MEANINGS)

    def open(self) -> None:
        """It is always ready: each exchange has a connection of its own."""

    def hand_over(self, message: Message, *, before: datetime) -> None:
        """Seal one message for each device of its patron, and have it taken.

        The device that asked last comes first and decides what becomes of the message;
        what fails at the others is passed over, or the first would be told again.

        Raises:
            DeliveryFailed: It was not taken, or nobody knows whether it was.
        """
        first, *others = message.route.split(" ")
        self._tell(first, message, before)
        for other in others:
            try:
                self._tell(other, message, before)
            except DeliveryFailed as failure:
                logger.info("another device was not told: %s", failure)

    def answer(self) -> str:
        """Say that the push service has it."""
        return "taken"

    def close(self) -> None:
        """Try again hosts that were away."""
        self._poster.close()

    def _tell(self, address: str, message: Message, before: datetime) -> None:
        at = utc_now()
        try:
            device = parse_device(address)
        except InvalidInput as error:
            raise DeliveryFailed(str(error), gone=True) from error
        who = push_keys.authorization(
            self._settings, device.asked_under, device.endpoint, at=at
        )
        if who is None:
            raise DeliveryFailed("it was asked under a key of before", gone=True)
        headers = {
            "Authorization": who,
            "Content-Encoding": "aes128gcm",
            "Content-Type": "application/octet-stream",
            "TTL": str(_life(message)),
            "Topic": topic_of(message.message_id),
            "Urgency": "normal",
        }
        body = sealed(message.data.encode(), device)
        self._poster.post(device.endpoint, body, headers, before=before)


def sealed(words: bytes, device: Device) -> bytes:
    """Return words that only this device can read.

    Raises:
        DeliveryFailed: They are too long, or its key is none.
    """
    if len(words) > LARGEST:
        raise DeliveryFailed(f"more than {LARGEST} bytes", permanent=True)
    try:
        body: bytes = http_ece.encrypt(
            words,
            salt=os.urandom(16),
            private_key=ec.generate_private_key(ec.SECP256R1()),
            dh=_bytes(device.p256dh),
            auth_secret=_bytes(device.auth),
            version="aes128gcm",
        )
    except ValueError as error:  # 65 bytes, but no point of the curve
        raise DeliveryFailed(f"the device's key is none: {error}", gone=True) from error
    return body


def _life(message: Message) -> int:
    if message.not_after is None:
        return int(LONGEST_LIFE.total_seconds())
    left = min(message.not_after - message.date, LONGEST_LIFE)
    return max(int(left.total_seconds()), 0)


def _bytes(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
