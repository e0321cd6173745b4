"""Mail to librarians about the service itself: no patron's, so no gate and no outbox.

Whoever sends it notes that it was sent; the same Message-ID again is the same mail.
"""

import hashlib
import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from library.i18n.messages import PERSIAN, direction, html_lang
from library.settings import Settings
from library.vocabulary import Channel, Purpose
from notifier.delivery import carry_to_staff
from notifier.gate import is_listed
from notifier.message import Mailbox, Message


@dataclass(frozen=True)
class Letter:
    """A mail to a librarian, in their language."""

    name: str
    address: str
    locale: str
    subject: str
    lines: Sequence[str]
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
    return Message(
        channel=Channel.EMAIL,
        purpose=Purpose.ENQUIRY,  # of patrons' purposes the nearest; no gate asks
        message_id=f"<staff-{digest[:40]}@{settings.mail_domain}>",
        sender=Mailbox(library, settings.contact),
        to=Mailbox(letter.name, letter.address),
        envelope_sender=settings.contact,
        subject=letter.subject,
        text="\n".join([letter.subject, "", *letter.lines]) + "\n",
        html=_html(letter),
        language=html_lang(letter.locale),
        date=at,
        headers=(("Auto-Submitted", "auto-generated"),),
    )


def _html(letter: Letter) -> str:
    lang, way = html_lang(letter.locale), direction(letter.locale)
    subject = html.escape(letter.subject)
    lines = "".join(f"<p>{html.escape(line)}</p>" for line in letter.lines if line)
    head = f'<head><meta charset="utf-8"><title>{subject}</title></head>'
    body = f'<body dir="{way}"><h1>{subject}</h1>{lines}</body>'
    return f'<!DOCTYPE html><html lang="{lang}" dir="{way}">{head}{body}</html>'
