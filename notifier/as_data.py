"""A digest for channels that carry no mail: a few words for a device, data for an app.

Pure. What may be told is told by the same rules as in mail: a discreet patron's message
says how many works are new, and no more.
"""

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from library.i18n.messages import direction, gettext, html_lang
from library.settings import Settings
from library.tables import Delivery
from library.vocabulary import Channel, Verdict
from notifier import links
from notifier.contents import Entry
from notifier.digest import Digest
from notifier.message import Mailbox, Message, topic_of
from notifier.rendering import (
    Recipient,
    best_of,
    digest_subject,
    page_of,
    reasons_of,
)
from profiles.devices import parse_device

KIND: Final = "digest"
"""The `type` of what the app gets."""
_LONGEST_NAME: Final = 60

Render = Callable[..., Message]


def render_push(
    settings: Settings,
    delivery: Delivery,
    to: Recipient,
    digest: Digest[Entry],
    labels: Mapping[int, str],  # noqa: ARG001 -- as every digest is rendered
    *,
    at: datetime,
) -> Message:
    """Render what a device shows: whose message it is, one line, and where it leads."""
    line = digest_subject(to, digest)
    shown = {
        "title": to.library[:_LONGEST_NAME],
        "body": line,
        "lang": html_lang(to.locale),
        "dir": direction(to.locale),
        "link": page_of(settings, digest),
        "leave": _leave(settings, delivery),
        "tag": topic_of(delivery.message_id),
        "leave_label": gettext(to.locale, "Fewer messages"),
    }
    service = parse_device(to.address).service
    route = " ".join((to.address, *to.others))
    return _message(delivery, to, service, line, shown, route=route, at=at)


def render_app(
    settings: Settings,
    delivery: Delivery,
    to: Recipient,
    digest: Digest[Entry],
    labels: Mapping[int, str],
    *,
    at: datetime,
) -> Message:
    """Render what the library's own app gets; `docs/channels.md` tells the fields."""
    line = digest_subject(to, digest)
    system, _, key = to.address.partition(":")
    told: dict[str, Any] = {
        "patron": {"system": system, "id": key},
        "language": html_lang(to.locale),
        "direction": direction(to.locale),
        "subject": line,
        "total": digest.total,
        "works": [],
        "ending": [],
        "page": page_of(settings, digest),
        "preferences": links.preferences_url(settings),
        "leave": _leave(settings, delivery),
    }
    if not to.discreet:
        told["works"] = [
            _work(settings, to, entry, labels, delivery.created_at)
            for entry in digest.shown
        ]
        told["ending"] = [
            {"interest": one.label, "ends_on": one.ends_on.isoformat()}
            for one in digest.ending
        ]
    call = {
        "type": KIND,
        # Not `at`: the same message tried again is the same to the last byte.
        "timestamp": delivery.created_at.isoformat(),
        "data": told,
    }
    return _message(delivery, to, to.address, line, call, at=at)


def named(
    delivery: Delivery, to: Recipient, digest: Digest[Entry]
) -> tuple[Entry, ...]:
    """Return the works that a message names: what its patron can have seen of it."""
    if to.discreet or not digest.shown:
        return ()
    if delivery.channel is Channel.PUSH:
        return (best_of(digest),)
    return tuple(digest.shown)


RENDERED: Final[Mapping[Channel, Render]] = {
    Channel.PUSH: render_push,
    Channel.WEBHOOK: render_app,
}
"""By channel; any other carries mail."""


def _work(
    settings: Settings,
    to: Recipient,
    entry: Entry,
    labels: Mapping[int, str],
    signed_at: datetime,
) -> dict[str, Any]:
    answers = {
        verdict.value: links.verdict_url(
            settings, entry.alert_id, verdict, at=signed_at
        )
        for verdict in Verdict
    }
    return {
        "title": entry.title,
        "direction": entry.title_dir,
        "language": entry.language,
        "creators": list(entry.creators),
        "year": entry.year_raw,
        "call_number": entry.call_number,
        "interest": labels.get(entry.interest_id or 0),
        "reasons": [
            {"text": text, "less": url or None}
            for text, url in reasons_of(settings, to, entry, signed_at)
        ],
        "answers": answers,
    }


def _message(  # noqa: PLR0913 -- what both of them say
    delivery: Delivery,
    to: Recipient,
    address: str,
    line: str,
    data: Mapping[str, Any],
    *,
    route: str = "",
    at: datetime,
) -> Message:
    return Message(
        channel=delivery.channel,
        purpose=delivery.purpose,
        message_id=delivery.message_id,
        sender=to.sender,
        to=Mailbox(to.name, address),
        envelope_sender="",
        subject=line,
        text=f"{line}\n",
        html="",
        language=html_lang(to.locale),
        date=at,
        data=json.dumps(data, ensure_ascii=False),
        route=route,
        not_after=delivery.not_after,
    )


def _leave(settings: Settings, delivery: Delivery) -> str:
    return links.leave_url(
        settings, delivery.id, delivery.purpose.value, at=delivery.created_at
    )
