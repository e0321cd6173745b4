"""New works to matches: every patron against every work that became new.

A run takes up the acquisitions that stand at its beginning; one stored meanwhile waits
for the next. Patrons go by in stretches: a stretch is read, scored and written on its
own, so that memory does not grow with their number, and no transaction is open while
scores are made. Broken off anywhere, the next run does the same again and adds only
what is missing.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from sqlalchemy import Row, func, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from library.db import Sessions, reading
from library.jobs import Progress, no_progress
from library.settings import Settings
from library.tables import Acquisition, Interest, Match, Patron, Rule
from recommender.acquisitions import pending, recent
from recommender.audience import stretches
from recommender.diversity import Caps
from recommender.interactions import Stretch, lock_patrons
from recommender.ranking import worth_telling
from recommender.suiting import Block, Found, Run, read_block, read_run, score, tell
from recommender.versions import ensure_version

LONGEST = 20
"""Matches for one patron in one run."""
STRETCH = 2048
"""Patron ids scored together."""
PREVIEW = timedelta(days=30)
"""What became new within this time is matched for one patron alone."""
_AT_ONCE = 5_000


@dataclass(frozen=True)
class MatchRow:
    """One match, as a preview shows it."""

    patron_id: int
    work_id: int
    title: str
    score: float
    rank: int
    reasons: list[dict[str, Any]]


@dataclass(frozen=True)
class MatchReport:
    """What a run did.

    Attributes:
        acquisitions: Taken up.
        patrons: Looked at.
        matched: Matches made.
        below_floor: Patrons for whom there was something, but nothing worth telling.
        matches: Only filled when nothing was written.
    """

    acquisitions: int
    patrons: int
    matched: int
    below_floor: int
    matches: list[MatchRow]


def match(
    sessions: Sessions,
    settings: Settings,
    *,
    at: datetime,
    patron_id: int | None = None,
    dry_run: bool = False,
    progress: Progress = no_progress,
) -> MatchReport:
    """Match what became new with every patron, or the last 30 days with one.

    Args:
        sessions: Read in short transactions, written in shorter ones.
        settings: Where the model files are, and the floor.
        at: Nothing later counts.
        patron_id: Only this patron; the acquisitions then stay to be done.
        dry_run: Write nothing, and tell the matches instead.
        progress: Told the patrons done.
    """
    version_id = ensure_version(sessions, at=at)
    with reading(sessions) as session:
        acquisitions = _acquisitions(session, at, patron_id)
        run = read_run(session, settings, {row[1] for row in acquisitions}, at=at)
        todo = _stretches(session, patron_id) if len(run.candidates) else []
        total = session.scalar(select(func.count(Patron.id))) or 0
    done, matched, below, rows = 0, 0, 0, list[MatchRow]()
    for stretch in todo:
        block, found, n_below = _find(sessions, run, stretch)
        done, below = done + len(block.audience), below + n_below
        if dry_run:
            rows += [_row(run, one) for one in found]
        else:
            with sessions.begin() as session:
                matched += _write(session, found, version_id, at=at)
        progress(done, total)
    if patron_id is None and not dry_run:
        _mark(sessions, [row[0] for row in acquisitions], at)
    return MatchReport(len(acquisitions), done, matched or len(rows), below, rows)


def _acquisitions(
    session: Session, at: datetime, patron_id: int | None
) -> Sequence[Row[int, int]]:
    if patron_id is None:
        return pending(session, at)
    return recent(session, since=at - PREVIEW, until=at)


def _stretches(session: Session, patron_id: int | None) -> list[Stretch]:
    if patron_id is not None:
        return [Stretch(patron_id, patron_id)]
    return list(stretches(session, STRETCH))


def _find(
    sessions: Sessions, run: Run, stretch: Stretch
) -> tuple[Block, list[Found], int]:
    with reading(sessions) as session:
        block = read_block(session, run, stretch, for_alerts=True)
    scored = score(run, block)
    floors = [run.floors[int(branch)] for branch in block.audience.branches]
    chosen = worth_telling(
        scored.curated,
        block.nos,
        np.array(floors, np.float32),
        asked=block.asked,
        sides=run.sides,
        size=LONGEST,
        caps=Caps(),
    )
    with reading(sessions) as session:
        found = tell(session, run, block, chosen, scored)
    return block, found, int(chosen.below_floor.sum())


def _row(run: Run, found: Found) -> MatchRow:
    titles = {work.work_id: work.title for work in run.candidates.works}
    return MatchRow(
        found.patron_id,
        found.work_id,
        titles[found.work_id],
        found.score,
        found.rank,
        found.reasons,
    )


def _write(
    session: Session, found: Sequence[Found], version_id: int, *, at: datetime
) -> int:
    """Add the matches that are missing; return how many were added.

    A patron may have left, or taken back the consent, while scores were made.
    """
    learning = lock_patrons(session, {one.patron_id for one in found})
    interests = _there(session, Interest, {one.interest_id for one in found})
    rules = _there(session, Rule, {one.rule_id for one in found})
    rows = [
        {
            **{name: value for name, value in asdict(one).items() if name != "learnt"},
            "interest_id": one.interest_id if one.interest_id in interests else None,
            "rule_id": one.rule_id if one.rule_id in rules else None,
            "model_version_id": version_id,
            "created_at": at,
        }
        for one in found
        if one.patron_id in learning and learning[one.patron_id] >= one.learnt
    ]
    if not rows:
        return 0
    dialect = sqlite if session.get_bind().dialect.name == "sqlite" else postgresql
    insert = dialect.insert(Match).on_conflict_do_nothing()
    session.execute(insert, rows)
    return len(rows)


def _there(
    session: Session, table: type[Interest | Rule], ids: Collection[int | None]
) -> set[int]:
    wanted = [row_id for row_id in ids if row_id is not None]
    query = select(table.id).where(table.id.in_(wanted)).order_by(table.id)
    return set(session.scalars(query.with_for_update(key_share=True)))


def _mark(sessions: Sessions, ids: Sequence[int], at: datetime) -> None:
    with sessions.begin() as session:
        for start in range(0, len(ids), _AT_ONCE):
            session.execute(
                update(Acquisition)
                .where(Acquisition.id.in_(ids[start : start + _AT_ONCE]))
                .values(matched_at=at)
            )
