"""What the works of a digest say of themselves, read from the tables at once."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BindParameter,
    Row,
    Select,
    SQLColumnExpression,
    String,
    bindparam,
    cast,
    func,
    literal,
    null,
    or_,
    select,
    union_all,
)
from sqlalchemy.orm import Session

from library.db import UtcDateTime
from library.tables import (
    Alert,
    BibRecord,
    Creator,
    Feedback,
    Hold,
    Interest,
    InterestProfile,
    Loan,
    Patron,
    Rule,
    Source,
    Subject,
    Suppression,
    Work,
    WorkCreator,
    WorkSubject,
)
from library.vocabulary import Rhythm, RuleAction

Target = tuple[str, str]
"""A kind (work, creator, subject, series) and the id or squash it names."""

Facts = list[tuple[int, Target]]
"""What works are, by which they may be aimed at."""


# Asked before every message: made once, so that only the values are new each time.
_PATRONS: BindParameter[int] = bindparam("patron_ids", expanding=True)
_WORKS: BindParameter[int] = bindparam("work_ids", expanding=True)


def _arm(
    kind: str,
    patron_id: SQLColumnExpression[Any] | None = None,
    work_id: SQLColumnExpression[Any] | None = None,
    words: Sequence[SQLColumnExpression[Any]] = (),
) -> Select[Any]:
    three = [*words, *(cast(null(), String) for _ in range(3))][:3]
    return select(
        literal(kind).label("kind"),
        (literal(0) if patron_id is None else patron_id).label("patron_id"),
        (literal(0) if work_id is None else work_id).label("work_id"),
        *(word.label(name) for word, name in zip(three, _WORDS, strict=True)),
    )


_WORDS = ("target_kind", "target", "category")
_BARS = union_all(
    *(
        _arm("met", table.patron_id, table.work_id).where(
            table.patron_id.in_(_PATRONS), table.work_id.in_(_WORKS)
        )
        for table in (Loan, Hold, Feedback)
    ),
    _arm("withdrawn", None, BibRecord.work_id)
    .where(BibRecord.work_id.in_(_WORKS))
    .group_by(BibRecord.work_id)
    .having(func.count() == func.count(BibRecord.withdrawn_at)),
    _arm(
        "suppressed",
        Suppression.patron_id,
        words=[cast(Suppression.kind, String), Suppression.target],
    ).where(Suppression.patron_id.in_(_PATRONS)),
    # A rule of all branches stands at branch 0.
    _arm(
        "excluded",
        func.coalesce(Rule.branch_id, 0),
        words=[cast(Rule.target_kind, String), Rule.target, Rule.category],
    ).where(
        Rule.action == RuleAction.EXCLUDE,
        Rule.starts_at <= bindparam("at", type_=UtcDateTime),
        Rule.ends_at > bindparam("at", type_=UtcDateTime),
    ),
)


@dataclass(frozen=True)
class Entry:
    """One alert with all a message says of its work."""

    alert_id: int
    work_id: int
    score: float
    interest_id: int | None
    rule_id: int | None
    model_version_id: int | None
    reasons: tuple[dict[str, Any], ...]
    title: str
    title_dir: str
    language: str | None
    year_raw: str | None
    creators: tuple[str, ...] = ()
    call_number: str | None = None


def entries(
    session: Session, alert_ids: Collection[int], *, branch_id: int
) -> list[Entry]:
    """Read what a message says of these alerts' works, in four statements.

    The call number is the branch's own where it has one.
    """
    session.flush()
    # Plain rows: objects of the session take longer than all else here.
    alerts = session.connection().execute(_ALERTS, {"ids": list(alert_ids)}).all()
    work_ids = list({alert.work_id for alert in alerts})
    works = session.connection().execute(_WORKS_TOLD, {"ids": work_ids})
    by_id = {row[0]: row for row in works}
    creators = _creators(session, work_ids)
    call_numbers = _call_numbers(session, work_ids, branch_id)
    found = []
    for alert_id, work_id, score, interest, rule, version, reasons in alerts:
        work = by_id.get(work_id)
        if work is None:
            continue
        _, title, title_dir, language, year_raw = work
        found.append(
            Entry(
                alert_id,
                work_id,
                score,
                interest,
                rule,
                version,
                tuple(reasons),
                title,
                title_dir,
                language,
                year_raw,
                tuple(creators[work_id]),
                call_numbers.get(work_id),
            )
        )
    return found


_IDS: BindParameter[int] = bindparam("ids", expanding=True)
_ALERTS = select(
    Alert.id,
    Alert.work_id,
    Alert.score,
    Alert.interest_id,
    Alert.rule_id,
    Alert.model_version_id,
    Alert.reasons,
).where(Alert.id.in_(_IDS))
_WORKS_TOLD = select(
    Work.id, Work.title, Work.title_dir, Work.language, Work.year_raw
).where(Work.id.in_(_IDS))


def interest_labels(
    session: Session, interest_ids: Collection[int | None]
) -> dict[int, str]:
    """Return the names of interests that still stand."""
    wanted = [one for one in interest_ids if one is not None]
    if not wanted:
        return {}
    rows = session.execute(
        select(Interest.id, Interest.label).where(Interest.id.in_(wanted))
    )
    return {one: label for one, label in rows}  # noqa: C416 -- mypy wants the tuple opened


def own_rhythms(
    session: Session, patron_ids: Collection[int]
) -> dict[int, set[Rhythm]]:
    """Return in which rhythms of their own patrons' interests bring messages."""
    rows = session.execute(
        select(InterestProfile.patron_id, Interest.rhythm)
        .join(Interest, Interest.interest_profile_id == InterestProfile.id)
        .where(
            InterestProfile.patron_id.in_(patron_ids),
            Interest.rhythm.is_not(None),
            Interest.active,
            Interest.alerts,
        )
    )
    found: dict[int, set[Rhythm]] = defaultdict(set)
    for patron_id, rhythm in rows:
        if rhythm is not None:
            found[patron_id].add(rhythm)
    return found


@dataclass(frozen=True)
class Wish:
    """Works that one patron might be told of."""

    patron_id: int
    branch_id: int
    category: str | None
    work_ids: frozenset[int]


def barred_works(
    session: Session, patron: Patron, work_ids: Collection[int], *, at: datetime
) -> set[int]:
    """Return which of these works the patron must not be told of now; see `barred`."""
    wish = Wish(patron.id, patron.branch_id, patron.category, frozenset(work_ids))
    return barred(session, [wish], at=at)[0]


def barred(session: Session, wishes: Sequence[Wish], *, at: datetime) -> list[set[int]]:
    """Return for each wish the works that its patron must not be told of now.

    Borrowed, held or judged; suppressed, by themselves or by what they are; withdrawn
    from every source; taken out by a librarian's rule. One statement for all of it, and
    three more where something is suppressed or excluded.
    """
    work_ids = list(frozenset[int]().union(*(wish.work_ids for wish in wishes)))
    if not work_ids:
        return [set() for _ in wishes]
    patron_ids = list({wish.patron_id for wish in wishes})
    given = {"patron_ids": patron_ids, "work_ids": work_ids, "at": at}
    rows: dict[str, list[Row[Any]]] = defaultdict(list)
    session.flush()
    for row in session.connection().execute(_BARS, given):
        rows[row.kind].append(row)
    aimed = rows["suppressed"] or rows["excluded"]
    facts = _facts(session, work_ids) if aimed else []
    return [_barred(wish, rows, facts) for wish in wishes]


def _barred(
    wish: Wish, rows: Mapping[str, Sequence[Row[Any]]], facts: Facts
) -> set[int]:
    gone = {row.work_id for row in rows["withdrawn"]}
    met = {row.work_id for row in rows["met"] if row.patron_id == wish.patron_id}
    targets = {
        (row.target_kind, row.target)
        for row in rows["suppressed"]
        if row.patron_id == wish.patron_id
    } | {
        (row.target_kind, row.target)
        for row in rows["excluded"]
        if row.patron_id in {0, wish.branch_id}
        and row.category in {None, wish.category}
    }
    aimed_at = {work_id for work_id, target in facts if target in targets}
    return (gone | met | aimed_at) & wish.work_ids


def _creators(session: Session, work_ids: list[int]) -> dict[int, list[str]]:
    rows = session.execute(
        select(WorkCreator.work_id, Creator.name)
        .join(Creator, Creator.id == WorkCreator.creator_id)
        .where(WorkCreator.work_id.in_(work_ids))
        .order_by(WorkCreator.work_id, WorkCreator.position, Creator.id)
    )
    found: dict[int, list[str]] = defaultdict(list)
    for work_id, name in rows:
        found[work_id].append(name)
    return found


def _call_numbers(
    session: Session, work_ids: list[int], branch_id: int
) -> dict[int, str]:
    rows = session.execute(
        select(BibRecord.work_id, BibRecord.call_number)
        .join(Source, Source.id == BibRecord.source_id)
        .where(
            BibRecord.work_id.in_(work_ids),
            BibRecord.call_number.is_not(None),
            BibRecord.withdrawn_at.is_(None),
            or_(Source.branch_id == branch_id, Source.branch_id.is_(None)),
        )
        .order_by(BibRecord.id.desc())
    )
    return {work_id: number for work_id, number in rows if number}


def _facts(session: Session, work_ids: list[int]) -> Facts:
    creators = session.execute(
        select(WorkCreator.work_id, Creator.squash)
        .join(Creator, Creator.id == WorkCreator.creator_id)
        .where(WorkCreator.work_id.in_(work_ids))
    )
    subjects = session.execute(
        select(WorkSubject.work_id, Subject.squash)
        .join(Subject, Subject.id == WorkSubject.subject_id)
        .where(WorkSubject.work_id.in_(work_ids))
    )
    series = session.execute(
        select(Work.id, Work.series_squash).where(
            Work.id.in_(work_ids), Work.series_squash.is_not(None)
        )
    )
    return [
        *((one, ("work", str(one))) for one in work_ids),
        *((work_id, ("creator", squash)) for work_id, squash in creators),
        *((work_id, ("subject", squash)) for work_id, squash in subjects),
        *((work_id, ("series", squash or "")) for work_id, squash in series),
    ]
