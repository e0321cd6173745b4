"""Mail to librarians about the service itself: no patron's, so no gate and no outbox.

Whoever sends it notes that it was sent; the same Message-ID again is the same mail.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from library.i18n.messages import PERSIAN, html_lang
from library.settings import Settings
from library.vocabulary import Channel, Purpose
from notifier.carriers import carry_to_staff
from notifier.gate import is_listed
from notifier.message import Mailbox, Message
from notifier.rendering import words


@dataclass(frozen=True)
class Letter:
    """A mail to a librarian, in their language."""

    name: str
    address: str
    locale: str
    subject: str
    lines: Sequence[str]
    """Of its text, each a sentence."""
    key: str
    """The same for the same news."""


def send_letters(settings: Settings, letters: Iterable[Letter], *, at: datetime) -> int:
    """Send letters; return how many were taken. One that is refused stops no other.

    Raises:
        DeliveryFailed: None was taken.
    """
    allowed = [
        message_of(settings, letter, at=at)
        for letter in letters
        if is_listed(letter.address, settings.deliver_only_to)
    ]
    return carry_to_staff(settings, allowed)


def message_of(settings: Settings, letter: Letter, *, at: datetime) -> Message:
    """Return a letter as a message."""
    persian = letter.locale == PERSIAN
    library = settings.library_name_fa if persian else settings.library_name
    digest = hashlib.sha256(f"{letter.key}\0{letter.address}".encode()).hexdigest()
    domain = settings.mail_domain
    frame = {
        "to": {"library": library, "postal_address": None},
        "address_dir": "",
        "subject": letter.subject,
        "preheader": letter.lines[0],
        "lines": letter.lines,
        "console": f"{settings.base_url}/console",
    }
    text, html = words(letter.locale, "letter", frame)
    return Message(
        channel=Channel.EMAIL,
        purpose=Purpose.ENQUIRY,  # of patrons' purposes the nearest; no gate asks
        message_id=f"<staff-{digest[:40]}@{domain}>",
        sender=Mailbox(library, settings.contact),
        to=Mailbox(letter.name, letter.address),
        envelope_sender=settings.contact,
        subject=letter.subject,
        text=text,
        html=html,
        language=html_lang(letter.locale),
        date=at,
        headers=(
            ("Auto-Submitted", "auto-generated"),
            ("Feedback-ID", f"staff:all:hamkhan:{domain}"),
            ("List-Id", f"<staff.{domain}>"),
        ),
    )
