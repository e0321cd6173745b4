"""A patron's page: what suits the patron, what is new, what others borrow.

Fresh shelves are made from the patron's own rows and the model in memory; stored ones
spare even that, and stand until the patron says or borrows something new.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
from sqlalchemy import Select, delete, exists, func, insert, select
from sqlalchemy.orm import Session

from library.db import Sessions, reading
from library.errors import NotFound
from library.jobs import Progress, no_progress
from library.settings import Settings
from library.tables import (
    Acquisition,
    Branch,
    Feedback,
    Interest,
    InterestProfile,
    Loan,
    Patron,
    Setting,
    ShelfEntry,
    Suppression,
    Work,
)
from library.vocabulary import ReasonKind
from profiles.experiments import running, runs
from recommender.acquisitions import recent
from recommender.audience import stretches
from recommender.diversity import Caps
from recommender.interactions import Stretch, find_places, lock_patrons
from recommender.matching import STRETCH
from recommender.popular import NOTHING, Popular, most_borrowed_now
from recommender.ranking import worth_telling
from recommender.reasons import Reason, as_json
from recommender.rules import rules_for
from recommender.strengths import NAME as SIGNALS
from recommender.strengths import strengths_of
from recommender.suiting import Block, Run, read_block, read_run, score, tell
from recommender.versions import Served, load_current

FOR_YOU, NEW, POPULAR = "for_you", "new", "popular"
ORDER = (FOR_YOU, NEW, POPULAR)
LENGTH = 24
"""Works on one shelf."""
MOST_NEW = 500
MOST_LIKED = 1500
"""Works of each sort that the shelves choose from."""
FRESH_FOR = timedelta(hours=24)
NEW_FOR = timedelta(days=60)
LONG_AGO = datetime(1, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Entry:
    """A work on a shelf."""

    work_id: int
    score: float
    reasons: list[dict[str, Any]]


@dataclass(frozen=True)
class Shelf:
    """One row of works, best first."""

    code: str
    entries: Sequence[Entry]


Shelves = Sequence[Shelf]
"""In the order in which a page shows them; an empty one is left out."""


@dataclass(frozen=True)
class ShelvesReport:
    """What building shelves did."""

    patrons: int


@dataclass(frozen=True)
class Stock:
    """The works that shelves choose from, the same for all patrons.

    Attributes:
        run: With the works as candidates.
        newest: Places of what became new, the newest first.
        popular: Branch id to what is borrowed most there.
    """

    run: Run
    newest: Sequence[int]
    popular: Mapping[int, Popular]


def shelf_for(
    sessions: Sessions, settings: Settings, patron_id: int, *, at: datetime
) -> Shelves:
    """Return the patron's shelves; nothing is written.

    Raises:
        NotFound: No such patron.
    """
    with reading(sessions) as session:
        return _stored(session, patron_id, at) or fresh_shelves(
            session, settings, patron_id, at=at
        )


def fresh_shelves(
    session: Session, settings: Settings, patron_id: int, *, at: datetime
) -> Shelves:
    """Make the patron's shelves from the rows as they are now.

    Raises:
        NotFound: No such patron.
    """
    stock = _stock(session, settings, at)
    block = read_block(
        session, stock.run, Stretch(patron_id, patron_id), for_alerts=False
    )
    if not len(block.audience):
        raise NotFound(f"no patron {patron_id}")
    return _shelves(session, stock, block)[patron_id]


def build_shelves(
    sessions: Sessions,
    settings: Settings,
    *,
    at: datetime,
    progress: Progress = no_progress,
) -> ShelvesReport:
    """Make and store the shelves of every patron, a stretch at a time."""
    with reading(sessions) as session:
        stock = _stock(session, settings, at)
        todo = list(stretches(session, STRETCH))
        total = session.scalar(select(func.count(Patron.id))) or 0
    done = 0
    for stretch in todo:
        with reading(sessions) as session:
            block = read_block(session, stock.run, stretch, for_alerts=False)
            shelves = _shelves(session, stock, block)
        with sessions.begin() as session:
            _store(session, stock, block, shelves, at)
        done += len(block.audience)
        progress(done, total)
    return ShelvesReport(done)


def _shelves(session: Session, stock: Stock, block: Block) -> dict[int, Shelves]:
    run = stock.run
    scored = score(run, block)
    chosen = worth_telling(
        scored.curated,
        block.nos,
        np.full(len(block.audience), -np.inf, np.float32),
        sides=run.sides,
        size=LENGTH,
        caps=Caps(),
    )
    own: dict[int, list[Entry]] = defaultdict(list)
    for found in tell(session, run, block, chosen, scored):
        own[found.patron_id].append(Entry(found.work_id, found.score, found.reasons))
    shown = {
        int(patron): {
            FOR_YOU: own[int(patron)],
            NEW: _new(stock, block, row),
            POPULAR: _popular(stock, block, row),
        }
        for row, patron in enumerate(block.audience.patrons)
    }
    return {
        patron: [Shelf(code, by[code]) for code in ORDER if by[code]]
        for patron, by in shown.items()
    }


def _new(stock: Stock, block: Block, row: int) -> list[Entry]:
    """Return what became new in the patron's branch, newest first."""
    code, works = block.audience.branch_codes[row], stock.run.candidates.works
    left = [
        place
        for place in stock.newest
        if not block.nos[row, place] and code in works[place].branches
    ]
    reason = Reason(ReasonKind.LATEST, None, "", 1.0)
    return [_entry(stock, place, 0.0, reason) for place in left[:LENGTH]]


def _popular(stock: Stock, block: Block, row: int) -> list[Entry]:
    """Return what most patrons of the branch borrowed lately."""
    popular = stock.popular.get(int(block.audience.branches[row]), NOTHING)
    places, there = find_places(stock.run.candidates.ids, popular.works)
    reason = Reason(ReasonKind.POPULAR, None, "", 1.0)
    left = [
        (int(place), float(patrons))
        for place, known, patrons in zip(places, there, popular.patrons, strict=True)
        if known and not block.nos[row, place]
    ]
    return [_entry(stock, *one, reason) for one in left[:LENGTH]]


def _entry(stock: Stock, place: int, worth: float, reason: Reason) -> Entry:
    work = stock.run.candidates.works[place]
    return Entry(work.work_id, worth, as_json([reason]))


def _stock(session: Session, settings: Settings, at: datetime) -> Stock:
    """Return the works that shelves choose from; kept while nothing becomes new."""
    served = load_current(session, settings)
    last, signals, trying = session.execute(_newest(at)).one()
    key = (served.key if served else str(settings.database), last or 0, at.date())
    if key not in _stocks:
        _stocks.clear()
        _stocks[key] = _read_stock(session, settings, served, at)
    stock = _stocks[key]
    run = replace(
        stock.run,
        at=at,
        rules=rules_for(session, stock.run.candidates, at=at),
        trial=running(session, at) if trying else None,
        strengths=strengths_of(signals or {}),
    )
    return replace(stock, run=run)


def _newest(at: datetime) -> Select[int | None, dict[str, Any] | None, bool]:
    """Select the last acquisition, how signals weigh, and if there is an experiment."""
    trying = exists().where(runs(at))
    return select(
        select(func.max(Acquisition.id)).scalar_subquery(),
        select(Setting.value).where(Setting.name == SIGNALS).scalar_subquery(),
        trying,
    )


_stocks: dict[tuple[str, int, date], Stock] = {}
"""The last stock read; the threads of one process share it."""


def _read_stock(
    session: Session, settings: Settings, served: Served | None, at: datetime
) -> Stock:
    newest = [
        row[1] for row in reversed(recent(session, since=at - NEW_FOR, until=at))
    ][:MOST_NEW]
    popular = served.popular if served else _popular_now(session)
    ids = set(newest) | {int(i) for of in popular.values() for i in of.works}
    ids |= _latest_and_liked(session, served)
    run = read_run(session, settings, ids, at=at)
    place, there = find_places(run.candidates.ids, np.array(newest, np.int64))
    return Stock(run, [int(i) for i in place[there]], popular)


def _popular_now(session: Session) -> dict[int, Popular]:
    branches = session.scalars(select(Branch.id).order_by(Branch.id))
    return {branch: most_borrowed_now(session, branch) for branch in branches}


def _latest_and_liked(session: Session, served: Served | None) -> set[int]:
    latest = session.scalars(select(Work.id).order_by(Work.id.desc()).limit(MOST_NEW))
    if served is None:
        return set(latest)
    liked = np.argsort(-served.borrowed, kind="stable")[:MOST_LIKED]
    return set(latest) | {int(i) for i in served.works[liked]}


def _stored(session: Session, patron_id: int, at: datetime) -> Shelves:
    """Return the stored shelves if they are fresh and the patron said nothing since."""
    rows = session.scalars(
        select(ShelfEntry)
        .where(
            ShelfEntry.patron_id == patron_id,
            ShelfEntry.created_at > max(at - FRESH_FOR, _last_word(session, patron_id)),
        )
        .order_by(ShelfEntry.rank)
    )
    by: dict[str, list[Entry]] = defaultdict(list)
    for row in rows:
        by[row.shelf].append(Entry(row.work_id, row.score, row.reasons))
    return [Shelf(code, by[code]) for code in ORDER if by[code]]


def _last_word(session: Session, patron_id: int) -> datetime:
    """Return when the patron last did something that shelves must follow."""
    mine = InterestProfile.patron_id == patron_id
    moments = [
        select(func.max(Feedback.given_at)).where(Feedback.patron_id == patron_id),
        select(func.max(Suppression.created_at)).where(
            Suppression.patron_id == patron_id
        ),
        select(func.max(Interest.created_at))
        .join(InterestProfile, InterestProfile.id == Interest.interest_profile_id)
        .where(mine),
        select(func.max(Loan.borrowed_at)).where(Loan.patron_id == patron_id),
    ]
    row = session.execute(select(*(m.scalar_subquery() for m in moments))).one()
    return max((moment for moment in row if moment), default=LONG_AGO)


def _store(
    session: Session,
    stock: Stock,
    block: Block,
    shelves: Mapping[int, Shelves],
    at: datetime,
) -> None:
    """Replace the stored shelves, but not of patrons who took back a consent."""
    learnt = set(block.audience.patrons[block.rows].tolist())
    learning = lock_patrons(session, shelves)
    there = [patron for patron in learning if learning[patron] >= (patron in learnt)]
    session.execute(delete(ShelfEntry).where(ShelfEntry.patron_id.in_(there)))
    rows = [
        {
            "patron_id": patron_id,
            "shelf": shelf.code,
            "rank": rank,
            "work_id": entry.work_id,
            "score": entry.score,
            "reasons": entry.reasons,
            "model_version_id": stock.run.served and stock.run.served.version_id,
            "created_at": at,
        }
        for patron_id in there
        for shelf in shelves[patron_id]
        for rank, entry in enumerate(shelf.entries, start=1)
    ]
    if rows:
        session.execute(insert(ShelfEntry), rows)
