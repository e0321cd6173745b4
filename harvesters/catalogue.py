"""Works with their creators and subjects, as records say them."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import bindparam, delete, func, select, update
from sqlalchemy.orm import Session

from harvesters.grouping import creator_key
from harvesters.records import HarvestedRecord, Heading
from harvesters.rows import batches, ids_by, insert_missing
from library.i18n.jalali import parse_year
from library.tables import Creator, JoinedWork, Subject, Work, WorkCreator, WorkSubject
from library.text import (
    FOLD_VERSION,
    canon,
    sort_key,
    squash,
    terms,
    title_direction,
)

_LABEL_LENGTH = 400
_SCRIPT_OF = {"rtl": "fa"}
Described = Mapping[int, HarvestedRecord]
"""Work id to the record that describes it."""


def work_facts(record: HarvestedRecord) -> dict[str, Any]:
    """Return the columns of a work that a record fills. Pure."""
    language = record.language
    title = canon(record.title, language)
    series = canon(record.series, language) if record.series else None
    direction = title_direction(title, language)
    # A record that names no language still tells by its letters which years it means.
    year = parse_year(record.year or "", language or _SCRIPT_OF.get(direction))
    named = [title, *record.creators, series or ""]
    return {
        "title": title,
        "title_dir": direction,
        "language": language,
        "series": series,
        "series_squash": squash(series) if series else None,
        "year_raw": record.year,
        "year_greg_from": year.greg_from,
        "year_greg_to": year.greg_to,
        "summary": canon(record.summary, language) if record.summary else None,
        "words": dict(record.words) if record.words is not None else None,
        "terms": "" if record.title == record.ref else " ".join(terms(" ".join(named))),
        "sort_key": sort_key(title),
        "fold_version": FOLD_VERSION,
    }


def find_or_make_works(
    session: Session, records: Mapping[str, HarvestedRecord], *, at: datetime
) -> tuple[dict[str, int], set[int]]:
    """Return work ids by key, and which of them are new.

    Args:
        session: In a transaction that writes.
        records: Work key to the first record that has it.
        at: The moment of creation.
    """
    there = works_of_keys(session, records.keys())
    missing = sorted(records.keys() - there.keys())
    insert_missing(
        session,
        Work,
        [{"key": key, "created_at": at, **work_facts(records[key])} for key in missing],
    )
    made = ids_by(session, Work.key, Work.id, missing)
    describe(session, {made[key]: records[key] for key in missing})
    return there | made, set(made.values())


def works_of_keys(session: Session, keys: Collection[str]) -> dict[str, int]:
    """Return the works these keys lead to, past works that were joined to others."""
    found: dict[str, int] = {}
    for some in batches(keys, 500):
        rows = session.execute(
            select(Work.key, func.coalesce(JoinedWork.into_id, Work.id))
            .outerjoin(JoinedWork, JoinedWork.work_id == Work.id)
            .where(Work.key.in_(some))
        )
        found.update((key, work_id) for key, work_id in rows)
    return found


def complete(session: Session, described: Described) -> None:
    """Let further records fill what the works lack, and add their subjects."""
    if not described:
        return
    names = ("language", "year_raw", "year_greg_from", "year_greg_to", "summary")
    series = ("series", "series_squash")
    lacking = {
        name: func.coalesce(getattr(Work, name), bindparam(f"b_{name}"))
        for name in (*names, *series)
    }
    work = Work.__table__
    session.connection().execute(
        update(Work).where(work.c.id == bindparam("b_id")).values(lacking),
        [
            {"b_id": work_id, **_bound(work_facts(record), (*names, *series))}
            for work_id, record in sorted(described.items())
        ],
    )
    bare = described.keys() - _with_creators(session, described.keys())
    _link_creators(session, {work_id: described[work_id] for work_id in bare})
    _link_subjects(session, described)


def rewrite(session: Session, described: Described, keys: Mapping[int, str]) -> None:
    """Let corrected records say anew what their works are.

    Args:
        session: In a transaction that writes.
        described: Works that these records alone describe.
        keys: Their keys now; one that another work has by now is not taken, and what
            a librarian split off keeps the one it has.
    """
    if not described:
        return
    taken = ids_by(session, Work.key, Work.id, keys.values())
    free = {key: work_id for work_id, key in keys.items() if key not in taken}
    changes: list[dict[str, Any]] = [
        {"id": work_id, **work_facts(record)} for work_id, record in described.items()
    ]
    session.execute(update(Work), changes)
    if free:
        session.execute(update(Work), [{"id": w, "key": k} for k, w in free.items()])
    for link in (WorkCreator, WorkSubject):
        session.execute(delete(link).where(link.work_id.in_(described.keys())))
    describe(session, described)


def describe(session: Session, described: Described) -> None:
    """Link works to their creators and subjects."""
    _link_creators(session, described)
    _link_subjects(session, described)


def _bound(facts: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {f"b_{name}": facts[name] for name in names}


def _with_creators(session: Session, work_ids: Collection[int]) -> set[int]:
    return set(
        session.scalars(
            select(WorkCreator.work_id).where(WorkCreator.work_id.in_(work_ids))
        )
    )


def _link_creators(session: Session, described: Described) -> None:
    names = {
        creator_key(name)[:_LABEL_LENGTH]: canon(name, record.language)
        for record in described.values()
        for name in reversed(record.creators)
    }
    ids = _creator_ids(session, {key: name for key, name in names.items() if key})
    rows: dict[tuple[int, int], dict[str, int]] = {}
    for work_id, record in sorted(described.items()):
        for position, name in enumerate(record.creators):
            creator_id = ids.get(creator_key(name)[:_LABEL_LENGTH])
            if creator_id is not None:
                link = {"work_id": work_id, "creator_id": creator_id}
                rows.setdefault((work_id, creator_id), {**link, "position": position})
    insert_missing(session, WorkCreator, [rows[key] for key in sorted(rows)])


def _creator_ids(session: Session, names: Mapping[str, str]) -> dict[str, int]:
    there = ids_by(session, Creator.squash, Creator.id, names.keys())
    missing = sorted(names.keys() - there.keys())
    rows = [{"squash": key, "name": names[key]} for key in missing]
    insert_missing(session, Creator, rows)
    return there | ids_by(session, Creator.squash, Creator.id, missing)


def _link_subjects(session: Session, described: Described) -> None:
    labels = {
        _subject_key(heading): canon(heading.label, record.language)
        for record in described.values()
        for heading in reversed(record.subjects)
    }
    ids = _subject_ids(session, labels)
    links = {
        (work_id, ids[_subject_key(heading)])
        for work_id, record in described.items()
        for heading in record.subjects
        if _subject_key(heading) in ids
    }
    insert_missing(
        session,
        WorkSubject,
        [{"work_id": work, "subject_id": subject} for work, subject in sorted(links)],
    )


@lru_cache(maxsize=20_000)
def _subject_key(heading: Heading) -> tuple[str, str]:
    return heading.scheme, squash(heading.label)[:_LABEL_LENGTH]


def _subject_ids(
    session: Session, labels: Mapping[tuple[str, str], str]
) -> dict[tuple[str, str], int]:
    wanted = sorted(key for key in labels if key[1])
    there = _known_subjects(session, wanted)
    missing = [key for key in wanted if key not in there]
    rows = [{"scheme": s, "squash": k, "label": labels[s, k]} for s, k in missing]
    insert_missing(session, Subject, rows)
    return there | _known_subjects(session, missing)


def _known_subjects(
    session: Session, keys: Sequence[tuple[str, str]]
) -> dict[tuple[str, str], int]:
    found: dict[tuple[str, str], int] = {}
    by_scheme: dict[str, list[str]] = {}
    for scheme, key in keys:
        by_scheme.setdefault(scheme, []).append(key)
    for scheme, wanted in by_scheme.items():
        for some in batches(wanted, 500):
            rows = session.execute(
                select(Subject.squash, Subject.id).where(
                    Subject.scheme == scheme, Subject.squash.in_(some)
                )
            )
            found.update(((scheme, key), row_id) for key, row_id in rows)
    return found
