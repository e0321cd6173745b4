"""The devices on which a patron wants to be told, and by which channels one may be.

A device is a contact point whose address holds all that is needed to reach it: what its
browser's push service gave us, and the key under which it did.
"""

from base64 import urlsafe_b64decode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from urllib.parse import urlsplit

from sqlalchemy import bindparam, delete, select
from sqlalchemy.orm import Session

from library.errors import InvalidInput, NotFound
from library.tables import ContactPoint, Guardian, Patron, Preference
from library.vocabulary import Channel
from profiles import contacts

MOST: Final = 10
"""Devices of one patron; beyond, the oldest goes."""
REPLACEABLE: Final = frozenset({Channel.PUSH, Channel.WEBHOOK})
"""Chosen, and without a way for now: e-mail takes their place."""
_LONGEST: Final = 790
_POINT, _SALT = 65, 16


@dataclass(frozen=True)
class Device:
    """Where a browser takes push messages (RFC 8030), and by which keys."""

    endpoint: str
    p256dh: str
    """Its public key, 65 bytes in base64url; only it reads what is sealed to that."""
    auth: str
    """A secret of its own, 16 bytes in base64url."""
    asked_under: str
    """Our public key, which it was asked under."""

    @property
    def address(self) -> str:
        """All of it in one line."""
        return f"{self.endpoint}#{self.p256dh}.{self.auth}.{self.asked_under}"

    @property
    def service(self) -> str:
        """The host that brings it messages."""
        return urlsplit(self.endpoint).hostname or ""


def parse_device(address: str) -> Device:
    """Read a device's address.

    Raises:
        InvalidInput: It is none.
    """
    endpoint, _, keys = address.partition("#")
    parts = keys.split(".")
    if len(parts) != 3:
        raise InvalidInput("this is no device's address", field="endpoint")
    device = Device(endpoint, *parts)
    _check(device)
    return device


def add(
    session: Session, patron_id: int, device: Device, label: str, *, at: datetime
) -> ContactPoint:
    """Add a device; that its browser asked is proof enough that it is the patron's.

    A device tells one patron: whoever asked last.

    Raises:
        InvalidInput: It cannot be reached by what is said of it.
    """
    _check(device)
    session.execute(
        delete(ContactPoint).where(
            ContactPoint.channel == Channel.PUSH,
            ContactPoint.address == device.address,
        )
    )
    point = contacts.add(session, patron_id, Channel.PUSH, device.address, at=at)
    point.label, point.verified_at = label[:100] or None, at
    session.flush()
    for old in devices_of(session, patron_id)[MOST:]:
        session.delete(old)
    return point


def renew(
    session: Session, before: Device, device: Device, *, at: datetime
) -> ContactPoint:
    """Put a device's new address in the place of the one before.

    Nobody but its browser and we know the whole address before, so who says it is the
    device. One that was stopped is told again.

    Raises:
        InvalidInput: It cannot be reached by what is said of it.
        NotFound: There is no such device (any more).
    """
    _check(device)
    point = session.scalar(
        select(ContactPoint).where(
            ContactPoint.channel == Channel.PUSH,
            ContactPoint.address == before.address,
        )
    )
    if point is None:
        raise NotFound("there is no such device")
    session.delete(point)
    session.flush()
    return add(session, point.patron_id, device, point.label or "", at=at)


def devices_of(session: Session, patron_id: int) -> Sequence[ContactPoint]:
    """Return a patron's own devices that work, the newest first."""
    return session.scalars(
        select(ContactPoint)
        .where(
            ContactPoint.patron_id == patron_id,
            ContactPoint.channel == Channel.PUSH,
            ContactPoint.stopped_at.is_(None),
        )
        .order_by(ContactPoint.created_at.desc(), ContactPoint.id.desc())
    ).all()


def remove(session: Session, patron_id: int, contact_point_id: int) -> None:
    """Forget a device.

    Raises:
        NotFound: The patron has no such device.
    """
    point = session.get(ContactPoint, contact_point_id)
    own = point is not None and point.patron_id == patron_id
    if point is None or not own or point.channel is not Channel.PUSH:
        raise NotFound(f"there is no device {contact_point_id}")
    session.delete(point)
    session.flush()


def offered(session: Session, patron_id: int, *, app: bool) -> list[Channel]:
    """Return the channels that a patron may choose now.

    Args:
        session: An open transaction.
        patron_id: Whose.
        app: The library has an app of its own.
    """
    own_app = app and not is_guarded(session, patron_id)
    found = {
        Channel.EMAIL: True,
        Channel.PUSH: _has_way(session, patron_id, Channel.PUSH),
        Channel.WEBHOOK: own_app,
        Channel.PAGE: True,
    }
    return [channel for channel, is_offered in found.items() if is_offered]


def reached_by(session: Session, preference: Preference, *, app: bool) -> Channel:
    """Return the channel of a patron's digests: the chosen one, while there is a way.

    Without a device that works, or an app that knows them, they come by e-mail.
    """
    chosen = preference.channel
    if chosen not in REPLACEABLE:
        return chosen
    there = app or chosen is not Channel.WEBHOOK
    if there and _has_way(session, preference.patron_id, chosen):
        return chosen
    return Channel.EMAIL


def is_guarded(session: Session, patron_id: int) -> bool:
    """Tell whether somebody else reads for the patron, on devices of their own."""
    return session.scalar(_GUARDED, {"patron_id": patron_id}) is not None


def name_to_app(session: Session, patron_id: int, *, at: datetime) -> ContactPoint:
    """Make a patron known to the library's own app, by the key it knows them by."""
    patron = session.get_one(Patron, patron_id)
    address = f"{patron.system}:{patron.external_id}"
    point = contacts.add(session, patron_id, Channel.WEBHOOK, address, at=at)
    return contacts.verify(session, point.id, at=at)


_GUARDED: Final = (
    select(Guardian.patron_id)
    .where(Guardian.patron_id == bindparam("patron_id"))
    .limit(1)
)


def _has_way(session: Session, patron_id: int, channel: Channel) -> bool:
    point = contacts.address_of(session, patron_id, channel)
    return point is not None and point.stopped_at is None


def _check(device: Device) -> None:
    whole = "#" not in device.endpoint and urlsplit(device.endpoint).hostname
    if not whole or len(device.endpoint) > _LONGEST or not device.endpoint.isascii():
        raise InvalidInput("this is no address of a push service", field="endpoint")
    if len(_decoded(device.p256dh)) != _POINT or len(_decoded(device.auth)) != _SALT:
        raise InvalidInput("these are no keys of a browser", field="p256dh")
    if len(_decoded(device.asked_under)) != _POINT:
        raise InvalidInput("this is no key of ours", field="asked_under")


def _decoded(text: str) -> bytes:
    try:
        return urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        return b""
