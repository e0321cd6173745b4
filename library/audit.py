"""Who read or changed what: lines that are only ever added, each chained to the last.

Changing or dropping a line breaks the chain from there on. A patron is named by a keyed
hash, so that erasing the patron leaves the chain whole and the line about nobody.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from library.db import Lock, hold
from library.tables import AuditEntry

_START = "0" * 64


@dataclass(frozen=True)
class Actor:
    """Who did it: an account, perhaps through a key; neither means the command line."""

    staff_id: int | None = None
    api_key_id: int | None = None


def record(  # noqa: PLR0913 -- a line says this much
    session: Session,
    action: str,
    *,
    at: datetime,
    by: Actor | None = None,
    table: str | None = None,
    row_id: int | None = None,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    patron: str | None = None,
) -> AuditEntry:
    """Add a line, in the transaction of what it tells.

    Args:
        session: An open transaction.
        action: What was done, as "rule.made" or "patron.read".
        at: The moment.
        by: Who did it.
        table: What kind of row; with `row_id`. Of patrons only `patron` is given.
        row_id: Which.
        before: The row's columns before, as JSON can hold them; no patron data.
        after: The same afterwards.
        patron: From `patron_hash`.
    """
    # Two lines at once could follow the same one.
    hold(session.connection(), Lock.AUDITING)
    who = by or Actor()
    entry = AuditEntry(
        at=at,
        staff_id=who.staff_id,
        api_key_id=who.api_key_id,
        action=action,
        subject_table=table,
        row_id=row_id,
        before=None if before is None else dict(before),
        after=None if after is None else dict(after),
        patron_hash=patron,
    )
    last = session.scalar(
        select(AuditEntry.chain).order_by(AuditEntry.id.desc()).limit(1)
    )
    entry.chain = _link(last or _START, entry)
    session.add(entry)
    session.flush()
    return entry


def patron_hash(secret: str, patron_id: int) -> str:
    """Return the name a patron has in the audit: without the secret, nobody's."""
    message = f"patron {patron_id}".encode()
    return hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()


def first_broken(session: Session) -> int | None:
    """Return the id of the first line that was altered, or follows a dropped one.

    None when the chain holds. A line dropped at the very end is not seen.
    """
    last = _START
    entries = select(AuditEntry).order_by(AuditEntry.id)
    with closing(session.scalars(entries.execution_options(yield_per=500))) as lines:
        for entry in lines:
            if entry.chain != _link(last, entry):
                return entry.id
            last = entry.chain
    return None


def _link(last: str, entry: AuditEntry) -> str:
    told = [
        last,
        entry.at.astimezone(UTC).isoformat(),
        entry.staff_id,
        entry.api_key_id,
        entry.action,
        entry.subject_table,
        entry.row_id,
        entry.before,
        entry.after,
        entry.patron_hash,
    ]
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()
