"""A patron's private feed of their own alerts, as Atom and as JSON Feed.

Its address is a secret that only the patron has; the database keeps a hash. A new
address ends the old one.
"""

import hashlib
import json
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from xml.etree.ElementTree import Element, SubElement, tostring

from sqlalchemy import select
from sqlalchemy.orm import Session

from library.errors import NotFound
from library.i18n.messages import PERSIAN, gettext, html_lang, nearest_locale
from library.i18n.reasons import reason_text
from library.settings import Settings
from library.tables import Alert, Feedback, Patron, Preference
from library.vocabulary import Channel, Purpose
from notifier import links
from notifier.contents import Entry, barred_works, entries
from notifier.gate import Answer, House, may_send
from profiles import preferences
from profiles.standing import standing

ATOM = "application/atom+xml"
JSON = "application/feed+json"
_NEWEST = 50
_NAMESPACE = "http://www.w3.org/2005/Atom"


@dataclass(frozen=True)
class Feed:
    """A document to answer with."""

    content_type: str
    body: bytes


@dataclass(frozen=True)
class _Item:
    ref: str
    title: str
    language: str
    creators: tuple[str, ...]
    summary: str
    at: datetime


def renew(session: Session, patron_id: int) -> str:
    """Give the patron a new feed address, and end the one before.

    Returns:
        The secret in the address, to be shown once; see `links.feed_url`.
    """
    token = secrets.token_urlsafe(32)
    preferences.stored(session, patron_id).feed_token = _hash(token)
    session.flush()
    return token


def end(session: Session, patron_id: int) -> None:
    """End the patron's feed address."""
    preferences.stored(session, patron_id).feed_token = None
    session.flush()


def feed(
    session: Session,
    settings: Settings,
    token: str,
    *,
    at: datetime,
    content_type: str = ATOM,
) -> Feed:
    """Return the alerts of the feed's owner, the newest first.

    What the patron answered, or borrowed since, is left out; while alerts are paused or
    not agreed to, it is empty.

    Raises:
        NotFound: The address has ended, or never was.
    """
    patron = session.scalar(
        select(Patron)
        .join(Preference, Preference.patron_id == Patron.id)
        .where(Preference.feed_token == _hash(token))
    )
    if patron is None:
        raise NotFound("this feed address has ended")
    items = _items(session, settings, patron, at)
    address = links.feed_url(settings, token)
    render = _json if content_type == JSON else _atom
    return Feed(content_type, render(settings, patron, address, items, at))


def _items(
    session: Session, settings: Settings, patron: Patron, at: datetime
) -> list[_Item]:
    house = House.of(settings)
    stands = standing(session, patron.id, Channel.FEED, at=at)
    ruling = may_send(stands, Purpose.DIGEST, Channel.FEED, at, house=house)
    if ruling.answer is not Answer.SEND:
        return []
    alerts = _alerts(session, patron, at)
    ids = [alert.id for alert in alerts]
    told = entries(session, ids, branch_id=patron.branch_id)
    found = {entry.alert_id: entry for entry in told}
    locale = nearest_locale(patron.language)
    return [
        _item(found[alert.id], locale, alert.created_at, settings)
        for alert in alerts
        if alert.id in found
    ]


def _alerts(session: Session, patron: Patron, at: datetime) -> list[Alert]:
    answered = select(Feedback.work_id).where(Feedback.patron_id == patron.id)
    alerts = session.scalars(
        select(Alert)
        .where(
            Alert.patron_id == patron.id,
            Alert.withdrawn_at.is_(None),
            Alert.handled_at.is_(None),
            Alert.work_id.not_in(answered),
        )
        .order_by(Alert.created_at.desc(), Alert.score.desc(), Alert.id)
        .limit(_NEWEST)
    ).all()
    barred = barred_works(session, patron, [a.work_id for a in alerts], at=at)
    return [alert for alert in alerts if alert.work_id not in barred]


def _item(entry: Entry, locale: str, at: datetime, settings: Settings) -> _Item:
    said = [reason_text(reason, locale) for reason in entry.reasons[:3]]
    return _Item(
        ref=f"tag:{settings.mail_domain},2026:alert/{entry.alert_id}",
        title=entry.title,
        language=entry.language or "",
        creators=entry.creators,
        summary="\n".join([*said, *([entry.call_number] if entry.call_number else [])]),
        at=at,
    )


def _title(settings: Settings, patron: Patron) -> str:
    locale = nearest_locale(patron.language)
    persian = locale == PERSIAN
    library = settings.library_name_fa if persian else settings.library_name
    return gettext(locale, "New for you at %(library)s", library=library)


def _atom(
    settings: Settings, patron: Patron, address: str, items: list[_Item], at: datetime
) -> bytes:
    locale = nearest_locale(patron.language)
    root = Element("feed", {"xmlns": _NAMESPACE, "xml:lang": html_lang(locale)})
    _add(root, "id", f"tag:{settings.mail_domain},2026:patron/{_name_of(address)}")
    _add(root, "title", _title(settings, patron))
    _add(root, "updated", max((item.at for item in items), default=at).isoformat())
    SubElement(root, "link", {"rel": "self", "href": address})
    SubElement(root, "link", {"href": links.page_url(settings)})
    for item in items:
        entry = SubElement(root, "entry")
        _add(entry, "id", item.ref)
        _add(entry, "title", item.title)
        _add(entry, "updated", item.at.isoformat())
        for name in item.creators or (_title(settings, patron),):
            _add(SubElement(entry, "author"), "name", name)
        SubElement(entry, "link", {"href": links.page_url(settings)})
        _add(entry, "summary", item.summary)
    found: bytes = tostring(root, encoding="utf-8", xml_declaration=True)
    return found


def _json(
    settings: Settings,
    patron: Patron,
    address: str,
    items: list[_Item],
    at: datetime,  # noqa: ARG001 -- as the other form is called
) -> bytes:
    document: dict[str, Any] = {
        "version": "https://jsonfeed.org/version/1.1",
        "title": _title(settings, patron),
        "home_page_url": links.page_url(settings),
        "feed_url": address,
        "language": html_lang(nearest_locale(patron.language)),
        "items": [
            {
                "id": item.ref,
                "title": item.title,
                "content_text": item.summary,
                "date_published": item.at.isoformat(),
                "authors": [{"name": name} for name in item.creators],
                "url": links.page_url(settings),
            }
            for item in items
        ],
    }
    return json.dumps(document, ensure_ascii=False).encode()


def _add(parent: Element, tag: str, text: str) -> None:
    SubElement(parent, tag).text = "".join(
        c if c.isprintable() or c in "\n\u200c\u2068\u2069" else " " for c in text
    )


def _name_of(address: str) -> str:
    """Return a name that tells nobody the address itself."""
    return hashlib.sha256(address.encode()).hexdigest()[:20]


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
