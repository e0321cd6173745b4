"""Bib records that another system posts to us, signed.

The signature is HMAC-SHA256, in hex, over the time (seconds since 1970), a point, and
the body. Each source has a secret of its own, made from the installation's.
"""

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from harvesters.formats.safe_html import summary_text, title_text, web_link
from harvesters.harvesting import (
    HarvestReport,
    Run,
    origin_of,
    record_run,
    report_of,
)
from harvesters.ingest import ingest
from harvesters.records import (
    Harvested,
    HarvestedRecord,
    Heading,
    Rejected,
    plain,
    short_ref,
)
from library.errors import NotAllowed
from library.settings import Settings
from library.tables import IdempotencyKey, Source
from library.text import isbn13
from library.vocabulary import SourceKind

FRESH = timedelta(minutes=5)
MOST_RECORDS = 1000
_STATUSES = frozenset(["ordered", "received", "available"])


def push_secret(settings: Settings, code: str) -> str:
    """Return the secret with which the system behind a source signs."""
    return hmac.new(
        settings.secret.encode(), f"push:{code}".encode(), hashlib.sha256
    ).hexdigest()


def sign(secret: str, seconds: int, body: bytes) -> str:
    """Return the signature of a body at a moment."""
    signed = str(seconds).encode() + b"." + body
    return hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()


@dataclass(frozen=True)
class Signed:
    """What a caller says of a body: who sends it, when it was signed, and how."""

    source: str
    seconds: str
    signature: str


def admit(
    session: Session, settings: Settings, signed: Signed, body: bytes, *, at: datetime
) -> Source:
    """Return the source that posts, if it signed the body, lately, and only once.

    Args:
        session: In a transaction that writes.
        settings: The installation's.
        signed: See `sign`.
        body: As it came.
        at: Now.

    Raises:
        NotAllowed: No such source, a wrong signature, too old, or seen before.
    """
    source = session.scalar(
        select(Source).where(
            Source.code == signed.source, Source.kind == SourceKind.PUSH
        )
    )
    _check(push_secret(settings, signed.source), signed, body, at=at)
    if source is None:
        raise NotAllowed("the signature is not right")
    _only_once(session, signed, body, at=at)
    return source


def receive(
    session: Session,
    source: Source,
    items: Sequence[object],
    *,
    size: int,
    silent: bool = False,
    at: datetime,
) -> HarvestReport:
    """Take in posted records.

    A system that posts tells what is new now, so unlike a first harvest its first post
    is no less new, unless it says that it is silent.

    Args:
        session: In a transaction that writes.
        source: Who posts; see `admit`.
        items: `{"id", "title", "creators", "copies_free", …}` each; see docs/api.md.
        size: Of the body, in bytes.
        silent: Nothing of this is new: it is a backfill.
        at: Now.
    """
    found = [_record(item, f"record {number}") for number, item in enumerate(items, 1)]
    good = [one for one in found if isinstance(one, HarvestedRecord)]
    bad = tuple(one for one in found if isinstance(one, Rejected))
    counts = ingest(session, replace(origin_of(source), silent=silent), good, at=at)
    run = Run(counts, size=size, rejected=len(bad), rejections=bad)
    record_run(session, source.id, run, at=at)
    return report_of(source.code, run)


def _check(secret: str, signed: Signed, body: bytes, *, at: datetime) -> None:
    seconds = signed.seconds
    if not (seconds.isascii() and seconds.isdigit() and len(seconds) <= 12):
        raise NotAllowed("the signature has no time")
    expected = sign(secret, int(seconds), body).encode()
    if not hmac.compare_digest(expected, _key(signed).encode(errors="replace")):
        raise NotAllowed("the signature is not right")
    if abs(at.timestamp() - int(seconds)) > FRESH.total_seconds():
        raise NotAllowed("the signature is too old")


def _only_once(session: Session, signed: Signed, body: bytes, *, at: datetime) -> None:
    caller = f"push:{signed.source}"[:80]
    session.execute(
        delete(IdempotencyKey).where(
            IdempotencyKey.caller == caller, IdempotencyKey.expires_at < at
        )
    )
    session.add(
        IdempotencyKey(
            caller=caller,
            key=_key(signed),
            route="push",
            body_hash=hashlib.sha256(body).hexdigest(),
            expires_at=at + 2 * FRESH,
        )
    )
    try:
        session.flush()
    except IntegrityError as error:
        raise NotAllowed("this was posted before") from error


def _key(signed: Signed) -> str:
    return signed.signature.lower()


def _record(item: object, place: str) -> Harvested:
    if not isinstance(item, dict):
        return Rejected(place, "not an object")
    ref, title = _text(item.get("id")), title_text(_text(item.get("title")))
    if not ref:
        return Rejected(place, "id: missing")
    if item.get("withdrawn") is True:
        return HarvestedRecord(ref=short_ref(ref), title=title, withdrawn=True)
    if not title:
        return Rejected(place, "title: missing")
    return HarvestedRecord(
        ref=short_ref(ref),
        title=title,
        creators=_texts(item.get("creators")),
        language=plain(_text(item.get("language")), 10) or None,
        year=plain(_text(item.get("year")), 100) or None,
        isbn=isbn13(_text(item.get("isbn"))),
        subjects=tuple(Heading("local", s) for s in _texts(item.get("subjects"))),
        series=plain(_text(item.get("series"))) or None,
        format=plain(_text(item.get("format")), 100) or None,
        call_number=plain(_text(item.get("call_number")), 200) or None,
        url=web_link(_text(item.get("url"))),
        summary=summary_text(_text(item.get("summary"))),
        status=_status(item),
        raw={"title": plain(_text(item.get("title")))},
    )


def _status(item: dict[str, Any]) -> str | None:
    status, free = item.get("status"), item.get("copies_free")
    if isinstance(status, str) and status in _STATUSES:
        return status
    return "available" if isinstance(free, int) and free > 0 else None


def _texts(value: object) -> tuple[str, ...]:
    values = value if isinstance(value, list) else []
    found = (title_text(_text(one))[:300] for one in values)
    return tuple(dict.fromkeys(filter(None, found)))


def _text(value: object) -> str:
    return value if isinstance(value, str) else str(value) if _is_number(value) else ""


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
