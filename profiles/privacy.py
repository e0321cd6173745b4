"""Take-out of everything held of a patron, and erasing that leaves nothing that links.

Which rows those are is found from the tables themselves, see `profiles.holdings`.
"""

import csv
import io
import json
import re
import secrets
import zipfile
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Engine, delete, or_, select
from sqlalchemy.orm import Session

from library import audit
from library.db import Sessions, reading
from library.errors import NotFound
from library.settings import Settings
from library.tables import ContactPoint, Delivery, IdempotencyKey, Patron, Work
from profiles.consent import unname_impressions
from profiles.erasures import Erasures
from profiles.holdings import count_rows, rows_of
from profiles.traces import remove_lines, remove_mail
from profiles.untold import leave_word

ERASED: Final = "patron.erased"
"""The action of the line in the audit that an erasure leaves."""
REPORTS: Final = "reports"
"""The folder in `home` into which imports write what they refused."""
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
_NUMBER: Final = re.compile(r"[+-]?\d+(?:\.\d+)?")
_READ_ME: Final = """What the library holds of you, taken out on request.

everything.json holds it all; the .csv files hold the same, one per table.
Moments are in UTC. An empty table has no file.

همهٔ داده‌هایی که کتابخانه دربارهٔ شما نگه می‌دارد.
پروندهٔ everything.json همه را دارد و هر پروندهٔ csv یک جدول از همان است.
زمان‌ها به وقت جهانی (UTC) نوشته شده‌اند.
"""


@dataclass(frozen=True)
class Receipt:
    """Proof that a patron was erased, which names nobody."""

    number: str
    """To quote when asking about it."""
    at: datetime
    rows: Mapping[str, int]
    """How many were removed or unnamed, by table."""
    messages: int
    """Mail files removed."""
    overwritten: bool
    """False while somebody still reads an old state of the database file; the next
    erasure or checkpoint overwrites it."""


def export(session: Session, patron_id: int) -> dict[str, list[dict[str, Any]]]:
    """Return all that is held of a patron: rows by table, as JSON can hold them.

    Rows that name a work carry its title too.

    Raises:
        NotFound: No such patron.
    """
    if session.get(Patron, patron_id) is None:
        raise NotFound(f"no patron {patron_id}")
    rows = rows_of(session, patron_id)
    titles = _titles(session, rows)
    return {
        table: [_plain(row, titles) for row in found] for table, found in rows.items()
    }


def export_zip(session: Session, patron_id: int) -> bytes:
    """Return the take-out as a .zip of JSON and one CSV file per table.

    Raises:
        NotFound: No such patron.
    """
    taken = export(session, patron_id)
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("README.txt", _READ_ME)
        archive.writestr(
            "everything.json", json.dumps(taken, ensure_ascii=False, indent=2)
        )
        for table, rows in taken.items():
            if rows:
                archive.writestr(f"{table}.csv", _csv(rows))
    return body.getvalue()


def erase(
    sessions: Sessions, settings: Settings, patron_id: int, *, at: datetime
) -> Receipt:
    """Remove a patron and all that is held of them, in one transaction.

    What counts something for the library stays and names nobody: that works were shown.
    Messages kept as files and lines of reports go too, and SQLite's log is cut, so that
    no file holds what was erased. The patron's keyed hash is listed beside the fence,
    so that a dump that is restored forgets them too. Where the library's own app knows
    the patron, it is told soon after.

    Raises:
        NotFound: No such patron.
    """
    number = secrets.token_hex(6)
    with sessions.begin() as session:
        patron = _hold_from_all(session, patron_id)
        counts = count_rows(rows_of(session, patron_id))
        message_ids = _message_ids(session, patron_id)
        names = _names(session, patron)
        leave_word(session, settings, patron, number, at=at)
        unname_impressions(session, patron_id)
        _forget_answers(session, patron_id)
        session.flush()
        created_at = patron.created_at
        session.delete(patron)
        audit.record(
            session,
            ERASED,
            at=at,
            after={"receipt": number, "rows": counts},
            patron=audit.patron_hash(settings.secret, patron_id),
        )
        Erasures(settings).add(session, patron_id, created_at)
    messages = remove_mail(settings.mail, message_ids)
    remove_lines(settings.home / REPORTS, names)
    return Receipt(number, at, counts, messages, overwritten=_cut_log(sessions))


def repeat_erasures(sessions: Sessions, settings: Settings, *, at: datetime) -> int:
    """Erase again whom this machine erased and a restored dump brought back.

    Safe at any time; where the database knows all that are listed, it costs one look.

    Returns:
        How many were there again.
    """
    listed = Erasures(settings)
    with reading(sessions) as session:
        if listed.is_known(session):
            return 0
        there = listed.there(session)
    for patron_id in there:
        with suppress(NotFound):  # another process was quicker
            erase(sessions, settings, patron_id, at=at)
    with sessions.begin() as session:
        listed.note(session)
    return len(there)


def _titles(
    session: Session, rows: Mapping[str, Sequence[Mapping[str, Any]]]
) -> dict[int, str]:
    ids = sorted(
        {r["work_id"] for found in rows.values() for r in found if "work_id" in r}
    )
    titles: dict[int, str] = {}
    for start in range(0, len(ids), 500):
        few = select(Work.id, Work.title).where(Work.id.in_(ids[start : start + 500]))
        titles.update((work_id, title) for work_id, title in session.execute(few))
    return titles


def _plain(row: Mapping[str, Any], titles: Mapping[int, str]) -> dict[str, Any]:
    plain = {name: _json(value) for name, value in row.items()}
    if "work_id" in row:
        plain["work_title"] = titles[row["work_id"]]
    return plain


def _json(value: object) -> object:
    if isinstance(value, StrEnum):
        return value.value
    return value.isoformat() if isinstance(value, date) else value


def _csv(rows: Sequence[Mapping[str, Any]]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(rows[0])
    writer.writerows([_cell(value) for value in row.values()] for row in rows)
    return text.getvalue().encode("utf-8-sig")


def _cell(value: object) -> str:
    """Return a cell that no spreadsheet takes for a formula."""
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False)
    text = "" if value is None else str(value)
    risky = text.startswith(_FORMULA) and not _NUMBER.fullmatch(text)
    return f"'{text}" if risky else text


def _hold_from_all(session: Session, patron_id: int) -> Patron:
    # Stronger than `hold_still`: nobody may add a row that names the patron either.
    patron = session.get(Patron, patron_id, with_for_update=True)
    if patron is None:
        raise NotFound(f"no patron {patron_id}")
    return patron


def _message_ids(session: Session, patron_id: int) -> frozenset[str]:
    mine = select(Delivery.message_id).where(Delivery.patron_id == patron_id)
    return frozenset(session.scalars(mine))


def _names(session: Session, patron: Patron) -> frozenset[str]:
    """Return what a report of an import may call the patron."""
    points = select(ContactPoint.address).where(ContactPoint.patron_id == patron.id)
    known = {patron.external_id, patron.name, *session.scalars(points)}
    return frozenset(name for name in known if name)


def _forget_answers(session: Session, patron_id: int) -> None:
    """Remove the API's kept answers: any may quote the patron."""
    address = f"/api/v1/patrons/{patron_id}"
    session.execute(
        delete(IdempotencyKey).where(
            or_(
                IdempotencyKey.route.like(f"%{address}"),
                IdempotencyKey.route.like(f"%{address}/%"),
            )
        )
    )


def _cut_log(sessions: Sessions) -> bool:
    engine = sessions.kw["bind"]
    if not isinstance(engine, Engine) or engine.dialect.name != "sqlite":
        return True
    # Not through a Connection: that would begin a transaction, and a checkpoint in one
    # is refused.
    with closing(engine.raw_connection()) as connection:
        cursor = connection.cursor()
        busy, *_ = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        cursor.close()
    return not busy
