"""Harvested records to bib records, works and acquisitions.

Every batch is safe to take in twice: a bib record is known by source and ref, a work
by its key. A correction changes what a work says and never makes it new again.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from harvesters.acquisitions import is_due, record_acquisitions, withdraw, works_held
from harvesters.catalogue import (
    complete,
    find_or_make_works,
    rewrite,
    works_of_keys,
)
from harvesters.grouping import editions, is_split, own_key, record_key, split_key
from harvesters.records import HarvestedRecord, content_hash
from harvesters.rows import insert_missing
from library.db import Lock, hold
from library.tables import BibRecord, Regrouping, Work
from library.vocabulary import NewMeans, RegroupingKind

_SAID = ("title", "creators", "language", "year", "series")
# An ISBN that stands in more works than this tells nothing of any of them.
_WORKS_OF_AN_ISBN = 10


@dataclass(frozen=True)
class Origin:
    """What taking records in has to know of their source.

    Attributes:
        silent: Nothing of this load is new: it is the first, or a backfill.
        grouped: Editions meet in works; else each record is a work of its own.
        unsteady: The source's ids may change, so records are also known by address
            and title.
    """

    source_id: int
    code: str
    branch_id: int | None
    new_means: NewMeans = NewMeans.FIRST_SEEN
    silent: bool = True
    grouped: bool = True
    unsteady: bool = False


@dataclass(frozen=True)
class Ingested:
    """What came of records."""

    added: int = 0
    changed: int = 0
    withdrawn: int = 0
    unchanged: int = 0
    acquisitions: int = 0

    def __add__(self, other: "Ingested") -> "Ingested":
        return Ingested(
            *(getattr(self, f.name) + getattr(other, f.name) for f in fields(self))
        )


@dataclass(frozen=True, slots=True)
class _Known:
    id: int
    ref: str
    work_id: int
    content_hash: str
    status: str | None
    live: bool


def ingest(
    session: Session,
    origin: Origin,
    records: Sequence[HarvestedRecord],
    *,
    at: datetime,
    present: Collection[str] = (),
) -> Ingested:
    """Take a batch of records in.

    Args:
        session: In a transaction that writes.
        origin: Where they come from.
        records: Of one ref, the last one counts.
        at: Now.
        present: All refs of the whole document, where it is larger than the batch.
    """
    # A batch meets works, creators and subjects in no one order, and what two batches
    # bring at once could not meet in one work.
    hold(session.connection(), Lock.CATALOGUING)
    by_ref = {record.ref: record for record in records}
    known = _known(session, origin, BibRecord.source_ref.in_(by_ref))
    known |= _found_again(session, origin, by_ref, known, present)
    gone = [known[r.ref] for r in by_ref.values() if r.withdrawn and r.ref in known]
    gone = [one for one in gone if one.live]
    here = {ref: record for ref, record in by_ref.items() if not record.withdrawn}
    new = [record for ref, record in here.items() if ref not in known]
    changed = {
        ref: record
        for ref, record in here.items()
        if ref in known and _differs(known[ref], record)
    }
    added_due = _add(session, origin, new, at=at)
    changed_due = _change(session, origin, changed, known)
    _withdraw(session, gone, at=at)
    return Ingested(
        added=len(new),
        changed=len(changed),
        withdrawn=len(gone),
        unchanged=len(records) - len(new) - len(changed) - len(gone),
        acquisitions=_acquire(session, origin, [*added_due, *changed_due], at=at),
    )


def _known(session: Session, origin: Origin, condition: Any) -> dict[str, _Known]:
    rows = session.execute(
        select(
            BibRecord.id,
            BibRecord.source_ref,
            BibRecord.work_id,
            BibRecord.content_hash,
            BibRecord.raw,
            BibRecord.withdrawn_at,
        ).where(BibRecord.source_id == origin.source_id, condition)
    )
    return {
        ref: _Known(row_id, ref, work, digest, raw.get("status"), gone is None)
        for row_id, ref, work, digest, raw, gone in rows
    }


def _found_again(
    session: Session,
    origin: Origin,
    by_ref: Mapping[str, HarvestedRecord],
    known: Mapping[str, _Known],
    present: Collection[str],
) -> dict[str, _Known]:
    """Find records that are here already under another ref that has gone away."""
    strange = {r: rec for r, rec in by_ref.items() if r not in known}
    if not origin.unsteady or not strange:
        return {}
    by_url = {rec.url: ref for ref, rec in strange.items() if rec.url}
    by_key = {_key(origin, rec): ref for ref, rec in strange.items()}
    rows = session.execute(
        select(BibRecord.source_ref, BibRecord.url, Work.key)
        .join(Work, Work.id == BibRecord.work_id)
        .where(
            BibRecord.source_id == origin.source_id,
            BibRecord.url.in_(by_url) | Work.key.in_(by_key),
        )
        .order_by(BibRecord.id)
    ).all()
    again: dict[str, str] = {}
    for old, url, key in rows:
        new = (by_url.get(url) if url else None) or by_key.get(key)
        if new and new not in again and old not in by_ref and old not in present:
            again[new] = old
    found = _known(session, origin, BibRecord.source_ref.in_(again.values()))
    return {new: found[old] for new, old in again.items()}


def _differs(known: _Known, record: HarvestedRecord) -> bool:
    return (
        not known.live
        or known.ref != record.ref
        or known.content_hash != content_hash(record)
    )


def _key(origin: Origin, record: HarvestedRecord) -> str:
    if not origin.grouped:
        return own_key(origin.code, record.ref)
    return record_key(record, system=origin.code)


def _add(
    session: Session, origin: Origin, new: Sequence[HarvestedRecord], *, at: datetime
) -> list[int]:
    """Insert records and their works; return the works that became new by them."""
    if not new:
        return []
    keys = _keys(session, origin, new)
    first: dict[str, HarvestedRecord] = {}
    for record in new:
        first.setdefault(keys[record.ref], record)
    works, made = find_or_make_works(session, first, at=at)
    joined = {works[keys[r.ref]]: r for r in new if first[keys[r.ref]] is not r}
    joined |= {works[k]: r for k, r in first.items() if works[k] not in made}
    complete(session, joined)
    held: set[int] = set()
    if origin.branch_id is not None and not origin.silent:
        held = works_held(session, origin.branch_id, set(works.values()))
    insert_missing(
        session,
        BibRecord,
        [
            {
                "source_id": origin.source_id,
                "work_id": works[keys[record.ref]],
                "created_at": at,
                **_bib_facts(record),
            }
            for record in new
        ],
    )
    due = (r for r in new if is_due(origin.new_means, r.status))
    return [works[keys[r.ref]] for r in due if works[keys[r.ref]] not in held]


def _keys(
    session: Session, origin: Origin, new: Sequence[HarvestedRecord]
) -> dict[str, str]:
    keys = {record.ref: _key(origin, record) for record in new}
    known = _split_before(session, origin, new)
    keys |= known
    isbns = {rec.isbn for rec in new if rec.isbn and rec.ref not in known}
    if not origin.grouped or not isbns:
        return keys
    rows = session.execute(
        select(BibRecord.isbn, Work.key)
        .join(Work, Work.id == BibRecord.work_id)
        .where(BibRecord.isbn.in_(isbns))
        .distinct()
        .order_by(BibRecord.isbn, Work.key)
        .limit(len(isbns) * _WORKS_OF_AN_ISBN)
    )
    by_isbn: dict[str | None, list[str]] = {}
    for isbn, key in rows:
        by_isbn.setdefault(isbn, []).append(key)
    for record in new:
        if record.isbn not in isbns or record.ref in known:
            continue
        key = keys[record.ref]
        others = by_isbn.get(record.isbn, [])[:_WORKS_OF_AN_ISBN]
        keys[record.ref] = next((k for k in others if editions(key, k)), key)
    return keys


def _split_before(
    session: Session, origin: Origin, new: Sequence[HarvestedRecord]
) -> dict[str, str]:
    """Return the keys of those records that a librarian once split off, by ref."""
    of_splits = Regrouping.kind == RegroupingKind.SPLIT
    if session.scalar(select(Regrouping.id).where(of_splits).limit(1)) is None:
        return {}
    split = {split_key(origin.code, record.ref): record.ref for record in new}
    return {split[key]: key for key in works_of_keys(session, split.keys())}


def _bib_facts(record: HarvestedRecord) -> dict[str, Any]:
    raw = dict(record.raw)
    if record.status:
        raw["status"] = record.status
    for name in ("issn", "doi", "published"):
        if value := getattr(record, name):
            raw[name] = value
    # What a work of this record alone would say, should a librarian split it off.
    raw["said"] = {n: v for n in _SAID if (v := getattr(record, n))}
    return {
        "source_ref": record.ref,
        "isbn": record.isbn,
        "format": record.format,
        "call_number": record.call_number,
        "url": record.url,
        "content_hash": content_hash(record),
        "raw": raw,
        "withdrawn_at": None,
    }


def _change(
    session: Session,
    origin: Origin,
    changed: Mapping[str, HarvestedRecord],
    known: Mapping[str, _Known],
) -> list[int]:
    """Update records and works; return the works that became new by a status."""
    if not changed:
        return []
    session.execute(
        update(BibRecord),
        [{"id": known[ref].id, **_bib_facts(rec)} for ref, rec in changed.items()],
    )
    described = {known[ref].work_id: record for ref, record in changed.items()}
    alone = _described_once(session, described.keys())
    rewrite(
        session,
        {work: record for work, record in described.items() if work in alone},
        {
            work: _key(origin, described[work])
            for work, key in alone.items()
            if not is_split(key)
        },
    )
    complete(session, {w: r for w, r in described.items() if w not in alone})
    return [
        known[ref].work_id
        for ref, record in changed.items()
        if is_due(origin.new_means, record.status)
        and not is_due(origin.new_means, known[ref].status)
    ]


def _described_once(session: Session, work_ids: Collection[int]) -> dict[int, str]:
    """Return the works that one record alone describes, with their keys."""
    rows = session.execute(
        select(Work.id, Work.key)
        .join(BibRecord, BibRecord.work_id == Work.id)
        .where(Work.id.in_(work_ids))
        .group_by(Work.id, Work.key)
        .having(func.count() == 1)
    )
    return dict(rows.all())


def _withdraw(session: Session, gone: Sequence[_Known], *, at: datetime) -> None:
    if not gone:
        return
    session.execute(
        update(BibRecord), [{"id": one.id, "withdrawn_at": at} for one in gone]
    )
    session.flush()
    withdraw(session, {one.work_id for one in gone}, at=at)


def _acquire(
    session: Session, origin: Origin, works: Sequence[int], *, at: datetime
) -> int:
    if origin.silent or origin.branch_id is None or not works:
        return 0
    return record_acquisitions(
        session, works, branch_id=origin.branch_id, cause=origin.new_means, at=at
    )
