"""The one gate every message passes: may it go to this patron, now?

Pure. It is asked when a message is made and again right before it is sent; what it says
no to is held or withheld with its cause.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from library.settings import Settings
from library.vocabulary import Channel, ConsentPurpose, Purpose, Rhythm
from profiles.causes import Cause
from profiles.preferences import EVERYTHING
from profiles.rhythm import quiet_until
from profiles.standing import CAP_WINDOW, CAPPED, SHOWN, ContactStanding, Standing

ASKED_FOR = frozenset({Purpose.SIGN_IN, Purpose.CONFIRM, Purpose.ENQUIRY})
"""The patron waits for it: neither pause, quiet hours nor cap hold it."""

_CONSENT = {
    Purpose.DIGEST: ConsentPurpose.ALERTS,
    Purpose.AVAILABLE: ConsentPurpose.ALERTS,
    Purpose.CAMPAIGN: ConsentPurpose.ALERTS,
    Purpose.SURVEY: ConsentPurpose.SURVEY,
}


class Answer(StrEnum):
    """What the gate says."""

    SEND = "send"
    LATER = "later"
    NEVER = "never"


@dataclass(frozen=True)
class Ruling:
    """What the gate says, why, and, for later, from when on."""

    answer: Answer
    cause: Cause | None = None
    until: datetime | None = None


@dataclass(frozen=True)
class House:
    """What the library itself says of messages."""

    cap: int
    """Capped messages per patron in seven days."""
    only_to: tuple[str, ...] = ()
    """A test installation: the addresses and @domains that may get mail."""

    @classmethod
    def of(cls, settings: Settings) -> "House":
        """Return what the settings say."""
        return cls(settings.message_cap, settings.deliver_only_to)


SEND = Ruling(Answer.SEND)


def may_send(
    standing: Standing,
    purpose: Purpose,
    channel: Channel,
    at: datetime,
    *,
    house: House,
) -> Ruling:
    """Say whether a message may go now, later or never.

    What forbids it for good is looked at first; of several causes to wait, the longest
    counts. Page and feed disturb nobody: they ask for consent and pause alone.
    """
    forbidden = _never(standing, purpose, channel, house)
    if forbidden:
        return Ruling(Answer.NEVER, forbidden)
    if purpose in ASKED_FOR:
        return SEND
    waits = [
        (until, cause)
        for cause, until in _later(standing, purpose, channel, at, house)
        if until and until > at
    ]
    if not waits:
        return SEND
    until, cause = max(waits, key=lambda wait: wait[0])
    return Ruling(Answer.LATER, cause, until)


def _never(
    standing: Standing, purpose: Purpose, channel: Channel, house: House
) -> Cause | None:
    consent = _CONSENT.get(purpose)
    if consent and consent not in standing.consents:
        return Cause.CONSENT
    if purpose not in ASKED_FOR and not standing.active:
        return Cause.INACTIVE
    if channel in SHOWN:
        return None
    if purpose is Purpose.DIGEST and standing.rhythm is Rhythm.OFF:
        return Cause.OFF
    return _never_there(standing.contact, purpose, house)


def _never_there(
    contact: ContactStanding | None, purpose: Purpose, house: House
) -> Cause | None:
    if contact is None:
        return Cause.NO_ADDRESS
    if contact.stopped:
        return Cause.STOPPED
    if not contact.verified and purpose is not Purpose.CONFIRM:
        return Cause.UNCONFIRMED
    return None if is_listed(contact.address, house.only_to) else Cause.TEST


def _later(
    standing: Standing, purpose: Purpose, channel: Channel, at: datetime, house: House
) -> Iterator[tuple[Cause, datetime | None]]:
    for scope in (EVERYTHING, purpose):
        yield Cause.PAUSE, standing.pauses.get(scope)
    if channel in SHOWN:
        return
    yield Cause.BOUNCED, standing.contact.retry_at if standing.contact else None
    yield (
        Cause.QUIET,
        quiet_until(standing.quiet_from, standing.quiet_to, standing.zone, at),
    )
    if purpose in CAPPED:
        yield Cause.CAP, cap_until(standing.recent, house.cap, at)


def cap_until(recent: tuple[datetime, ...], cap: int, at: datetime) -> datetime | None:
    """Return when one more message fits under the cap; None when one does now."""
    if len(recent) < cap:
        return None
    return recent[-cap] + CAP_WINDOW if cap > 0 else at + CAP_WINDOW


def is_listed(address: str, only_to: tuple[str, ...]) -> bool:
    """Tell whether an address may get mail from an installation that names some."""
    if not only_to:
        return True
    address = address.casefold()
    domain = "@" + address.rpartition("@")[2]
    return any(entry.casefold() in (address, domain) for entry in only_to)
