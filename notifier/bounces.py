"""Mail that came back, and complaints: read, believed or not, counted once.

A report is believed when it came to a return address we signed, or names a message of
ours; then it counts against the address that message went to and no other.
"""

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from email import message_from_bytes, policy
from enum import StrEnum

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from library.db import Sessions, insert_into
from library.errors import NotAllowed
from library.settings import Settings
from library.tables import Bounce, ContactPoint, Delivery, Guardian, LedgerEntry
from library.vocabulary import Channel
from notifier.links import read_bounce
from notifier.outcomes import Outcome
from profiles.contacts import Trouble, record_trouble

BELIEVED_FOR = timedelta(days=14)
"""A report on a message older than this counts for nothing."""
LARGEST = 1024 * 1024

_STATUS = re.compile(r"(?im)^status:\s*([245])\.(\d{1,3})\.(\d{1,3})")
_DIAGNOSTIC = re.compile(r"(?im)^diagnostic-code:.*(?:\n[ \t].*)*")
_STATUS_WITHIN = re.compile(r"(?<![\d.])([245])\.(\d{1,3})\.(\d{1,3})\b")
_ACTION = re.compile(r"(?im)^action:\s*(\w+)")
_FEEDBACK = re.compile(r"(?im)^feedback-type:\s*([\w-]+)")
_JUNK = re.compile(r"(?im)^x-hmxmroriginalrecipient:")
"""By this Outlook.com's junk reports are known; they have no feedback report."""
_SERVER = re.compile(r"(?i)mailer-daemon|postmaster|mail delivery")
_SPOKEN = re.compile(
    r"\b(?P<code>[45]\d\d)[ -]+(?:#?(?P<a>[45])\.(?P<b>\d{1,3})\.(?P<c>\d{1,3}))?"
)
_MESSAGE_ID = re.compile(r"(?im)^message-id:\s*(<[^<>\s]{3,200}>)")
_TAG = re.compile(r"\+([0-9a-z-]{5,120})@", re.IGNORECASE)
_NOBODY = re.compile(r"(?i)unknown|no such|does not exist|not found|no mailbox")
_TO = ("Delivered-To", "X-Original-To", "Envelope-To", "To")


@dataclass(frozen=True)
class Report:
    """What a returned message says."""

    trouble: Trouble | None
    """None: nothing against the address (delayed, taken for spam)."""
    tags: tuple[str, ...]
    """Signed parts of return addresses it came to."""
    message_ids: tuple[str, ...]


class Taken(StrEnum):
    """What became of one report."""

    COUNTED = "counted"
    NOTHING = "says nothing against an address"
    UNKNOWN = "not about a message of ours"
    OLD = "too old"
    REPEATED = "counted before"


def parse_report(raw: bytes) -> Report:
    """Read a delivery report (RFC 3464), a complaint (RFC 5965), or a plain bounce.

    Never raises: what cannot be read says nothing.
    """
    text = _text_of(raw[:LARGEST])
    head = message_from_bytes(raw[:LARGEST], policy=policy.compat32)
    came_to = " ".join(str(v) for name in _TO for v in head.get_all(name, []))
    own = str(head.get("Message-ID", "")).strip()
    ids = dict.fromkeys(_MESSAGE_ID.findall(text))
    return Report(
        # A reader may write numbers too: only what a server says of itself counts.
        _trouble(text, by_server=bool(_SERVER.search(str(head.get("From", ""))))),
        tuple(_TAG.findall(came_to)),
        tuple(one for one in ids if one != own),
    )


def take_in(
    sessions: Sessions, settings: Settings, raw: bytes, *, at: datetime
) -> Taken:
    """Count one report against the contact point it is about."""
    report = parse_report(raw)
    with sessions.begin() as session:
        delivery = _delivery_of(session, settings, report, at)
        if delivery is None:
            return Taken.UNKNOWN
        if (delivery.settled_at or delivery.created_at) < at - BELIEVED_FOR:
            return Taken.OLD
        if report.trouble is None:
            return Taken.NOTHING
        return _count(session, delivery, report.trouble, at)


def _trouble(text: str, *, by_server: bool) -> Trouble | None:
    feedback = _FEEDBACK.search(text)
    if feedback or _JUNK.search(text):
        taken_back = feedback and feedback[1].lower() == "not-spam"
        return None if taken_back else Trouble.COMPLAINT
    action = _ACTION.search(text)
    if action and action[1].lower() != "failed":
        return None
    status = _STATUS.search(text)
    if status:
        return _of_status(*_full_status(status, text))
    spoken = _SPOKEN.search(text) if by_server else None
    return _of_words(spoken, text) if spoken else None


def _full_status(status: re.Match[str], text: str) -> tuple[str, str, str]:
    """Return the status; Exim says X.0.0 there, and the true one in its diagnostic."""
    found = status
    if (status[2], status[3]) == ("0", "0"):
        diagnostic = _DIAGNOSTIC.search(text)
        found = (diagnostic and _STATUS_WITHIN.search(diagnostic[0])) or status
    return found[1], found[2], found[3]


def _of_words(spoken: re.Match[str], text: str) -> Trouble | None:
    if spoken["a"]:
        return _of_status(spoken["a"], spoken["b"], spoken["c"])
    nobody = spoken["code"].startswith("55") and _NOBODY.search(text)
    return Trouble.HARD if nobody else Trouble.SOFT


def _of_status(first: str, second: str, third: str) -> Trouble | None:
    if first == "2":
        return None
    if first == "5" and (second == "1" or (second, third) == ("2", "1")):
        return Trouble.HARD
    # 5.6 and 5.7 speak of the message or of us.
    return None if first == "5" and second in {"6", "7"} else Trouble.SOFT


def _text_of(raw: bytes) -> str:
    """Return the whole report as text, with its encoded parts decoded."""
    parts = [raw.decode("utf-8", "replace")]
    for part in message_from_bytes(raw, policy=policy.compat32).walk():
        if part.get("Content-Transfer-Encoding", "").lower() in {
            "base64",
            "quoted-printable",
        }:
            body = part.get_payload(decode=True)
            if isinstance(body, bytes):
                parts.append(body.decode("utf-8", "replace"))
    return "\n".join(parts).replace("\r\n", "\n")


def _delivery_of(
    session: Session, settings: Settings, report: Report, at: datetime
) -> Delivery | None:
    for tag in report.tags:
        try:
            return session.get(Delivery, read_bounce(settings.secret, tag, at=at))
        except NotAllowed:
            continue
    return session.scalar(
        select(Delivery).where(Delivery.message_id.in_(report.message_ids)).limit(1)
    )


def _count(
    session: Session, delivery: Delivery, trouble: Trouble, at: datetime
) -> Taken:
    digest = hashlib.sha256(f"{delivery.message_id} {trouble}".encode()).hexdigest()
    point = _contact_point(session, delivery)
    bounce = insert_into(session, Bounce).values(
        digest=digest,
        message_id=delivery.message_id,
        contact_point_id=point.id if point else None,
        kind=trouble.value,
        at=at,
    )
    new = bounce.on_conflict_do_nothing().returning(Bounce.id)
    if session.scalar(new) is None:
        return Taken.REPEATED
    if point is None:  # the patron has another address by now
        return Taken.UNKNOWN
    record_trouble(point, trouble, at=at)
    session.add(
        LedgerEntry(
            delivery_id=delivery.id,
            patron_id=delivery.patron_id,
            attempt=delivery.attempts,
            outcome=trouble.value,
            address=point.address,
            reason="returned" if trouble is not Trouble.COMPLAINT else "complaint",
            at=at,
        )
    )
    return Taken.COUNTED


def _contact_point(session: Session, delivery: Delivery) -> ContactPoint | None:
    """Return where the message went: the patron's own, or their guardian's."""
    address = session.scalar(
        select(LedgerEntry.address)
        .where(
            LedgerEntry.delivery_id == delivery.id,
            LedgerEntry.outcome.in_([Outcome.SENT, Outcome.UNKNOWN]),
            LedgerEntry.address.is_not(None),
        )
        .order_by(LedgerEntry.id.desc())
        .limit(1)
    )
    guardians = select(Guardian.guardian_id).where(
        Guardian.patron_id == delivery.patron_id
    )
    return session.scalar(
        select(ContactPoint)
        .where(
            ContactPoint.channel == Channel.EMAIL,
            ContactPoint.address == address,
            or_(
                ContactPoint.patron_id == delivery.patron_id,
                ContactPoint.patron_id.in_(guardians),
            ),
        )
        .order_by(ContactPoint.id)
        .limit(1)
        .with_for_update()  # or two bounces at one moment would count as one
    )
