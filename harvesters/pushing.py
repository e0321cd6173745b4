"""Bib records that another system posts to us, signed.

The signature is HMAC-SHA256, in hex, over the time (seconds since 1970), a point, and
the body. Each source has a secret of its own, made from the installation's.
"""

import hashlib
import hmac
import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from harvesters.formats.safe_html import summary_text, title_text, web_link
from harvesters.harvesting import HarvestReport, origin_of
from harvesters.ingest import ingest
from harvesters.records import (
    Harvested,
    HarvestedRecord,
    Heading,
    Rejected,
    plain,
    short_ref,
)
from harvesters.rows import insert_missing
from library.errors import MalformedRecord, NotAllowed
from library.settings import Settings
from library.tables import Harvest, IdempotencyKey, Source
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


def receive(  # noqa: PLR0913 -- what came, from whom, signed how, and when
    session: Session,
    settings: Settings,
    code: str,
    body: bytes,
    *,
    seconds: str,
    signature: str,
    at: datetime,
) -> HarvestReport:
    """Take in posted records, if they are signed, fresh, and posted only once.

    Args:
        session: In a transaction that writes.
        settings: The installation's.
        code: The source, of kind push.
        body: `{"records": [{"id", "title", "creators", "copies_free", …}]}`.
        seconds: When it was signed, as the caller says.
        signature: See `sign`.
        at: Now.

    Raises:
        NotAllowed: No such source, a wrong signature, too old, or seen before.
        MalformedRecord: The body is not what it should be.
    """
    source = session.scalar(
        select(Source).where(Source.code == code, Source.kind == SourceKind.PUSH)
    )
    _check(push_secret(settings, code), body, seconds, signature, at=at)
    if source is None:
        raise NotAllowed("the signature is not right")
    _only_once(session, code, signature, body, at=at)
    found = list(parse_pushed(body))
    good = [one for one in found if isinstance(one, HarvestedRecord)]
    bad = tuple(one for one in found if isinstance(one, Rejected))
    # A system that posts tells what is new now: there is no first load to be silent.
    done = ingest(session, origin_of(source), good, at=at)
    session.add(
        Harvest(
            source_id=source.id,
            started_at=at,
            ended_at=at,
            added=done.added,
            changed=done.changed,
            withdrawn=done.withdrawn,
            unchanged=done.unchanged,
            rejected=len(bad),
            size=len(body),
        )
    )
    return HarvestReport(
        source=code,
        added=done.added,
        changed=done.changed,
        withdrawn=done.withdrawn,
        unchanged=done.unchanged,
        rejected=len(bad),
        acquisitions=done.acquisitions,
        bytes=len(body),
        rejections=bad,
    )


def parse_pushed(body: bytes) -> Iterator[Harvested]:
    """Yield one record per object of a posted body.

    Raises:
        MalformedRecord: It is not JSON of the right shape, or has too many records.
    """
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise MalformedRecord(f"not JSON: {error}") from error
    records = document.get("records") if isinstance(document, dict) else None
    if not isinstance(records, list) or len(records) > MOST_RECORDS:
        raise MalformedRecord(f"no list `records` of at most {MOST_RECORDS}")
    for number, item in enumerate(records, 1):
        yield _record(item, f"record {number}")


def _check(
    secret: str, body: bytes, seconds: str, signature: str, *, at: datetime
) -> None:
    if not (seconds.isascii() and seconds.isdigit() and len(seconds) <= 12):
        raise NotAllowed("the signature has no time")
    expected = sign(secret, int(seconds), body)
    if not hmac.compare_digest(expected.encode(), signature.lower().encode()):
        raise NotAllowed("the signature is not right")
    if abs(at.timestamp() - int(seconds)) > FRESH.total_seconds():
        raise NotAllowed("the signature is too old")


def _only_once(
    session: Session, code: str, signature: str, body: bytes, *, at: datetime
) -> None:
    caller = f"push:{code}"[:80]
    session.execute(
        delete(IdempotencyKey).where(
            IdempotencyKey.caller == caller, IdempotencyKey.expires_at < at
        )
    )
    known = select(IdempotencyKey.id).where(
        IdempotencyKey.caller == caller, IdempotencyKey.key == signature.lower()
    )
    if session.scalar(known) is not None:
        raise NotAllowed("this was posted before")
    row = {
        "caller": caller,
        "key": signature.lower(),
        "route": "push",
        "body_hash": hashlib.sha256(body).hexdigest(),
        "expires_at": at + 2 * FRESH,
    }
    insert_missing(session, IdempotencyKey, [row])


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
