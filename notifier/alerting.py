"""From matches to alerts to one digest per patron, each patron in one transaction.

The patron's row of preferences is locked meanwhile, and the digest's Message-ID is
unique, so however many builders run there is one digest per patron and local day.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import ColumnElement, exists, func, or_, select
from sqlalchemy.orm import Session

from library.db import Sessions, reading
from library.jobs import Progress, no_progress
from library.settings import Settings
from library.tables import (
    Alert,
    Branch,
    Consent,
    Interest,
    Match,
    Patron,
    Preference,
)
from library.vocabulary import (
    Channel,
    ConsentPurpose,
    Purpose,
    Rhythm,
)
from notifier.clocks import (
    clocks_of,
    has_struck,
    hold_clocks,
    is_past,
    may_ride,
)
from notifier.contents import barred_works
from notifier.endings import SAID_IN, warn
from notifier.gate import Answer, House, Ruling, may_send
from notifier.grouping import IS_OPEN, carry, lay_aside, open_alerts, useful_for
from notifier.selection import Candidate, Selection, choose
from profiles.causes import Cause
from profiles.devices import reached_by
from profiles.experiments import running
from profiles.standing import standing
from profiles.trials import Trial

FRESH = timedelta(days=60)
"""A match older than this is no news."""
ALLOWANCE_WINDOW = timedelta(days=7)
_BATCH = 200


@dataclass
class AlertReport:
    """What one run decided."""

    patrons: int = 0
    """How many were due with something to tell."""
    alerts: int = 0
    digests: int = 0
    waiting: int = 0
    """Patrons with fewer works than they want at least."""
    below_floor: int = 0
    over_allowance: int = 0
    held: dict[str, int] = field(default_factory=dict)
    """Patrons told nothing now, by cause."""


class _Outcome(StrEnum):
    DIGEST = "digest"
    WAITING = "waiting"
    NOTHING = "nothing"


@dataclass(frozen=True)
class _Turn:
    """What became of one patron."""

    outcome: _Outcome = _Outcome.NOTHING
    alerts: int = 0
    selection: Selection | None = None
    cause: str | None = None


def make_alerts(
    sessions: Sessions,
    settings: Settings,
    *,
    at: datetime,
    patron_id: int | None = None,
    progress: Progress = no_progress,
) -> AlertReport:
    """Turn the matches of every patron who is due into alerts and a digest.

    A patron who never had a digest is due at once; what an interest with a rhythm of
    its own brought waits for that rhythm. Run again, it finds nothing to do.

    Args:
        sessions: Where to read and write.
        settings: Floor, allowance and cap, where a branch sets none.
        at: The moment.
        patron_id: Look at this patron alone.
        progress: Told how many patrons are done.
    """
    due = _due_patrons(sessions, at, patron_id)
    with reading(sessions) as session:
        trial = running(session, at)
    report, held = AlertReport(), Counter[str]()
    for done, one in enumerate(due, 1):
        with sessions.begin() as session:
            turn = _take_turn(session, settings, one, at, trial=trial)
        if turn:
            _count(report, held, turn)
        progress(done, len(due))
    _move_on(sessions, at, patron_id)
    report.held = dict(sorted(held.items()))
    return report


def _due_patrons(
    sessions: Sessions, at: datetime, patron_id: int | None
) -> Sequence[int]:
    due = (
        select(Patron.id)
        .outerjoin(Preference, Preference.patron_id == Patron.id)
        .where(has_struck(at), _consents(), _has_something(at))
        .order_by(Patron.id)
    )
    if patron_id is not None:
        due = due.where(Patron.id == patron_id)
    with reading(sessions) as session:
        return session.scalars(due).all()


def _has_something(at: datetime) -> ColumnElement[bool]:
    """Tell in SQL whether there is something that may be told now."""
    match = (
        select(Match.id)
        .outerjoin(Interest, Interest.id == Match.interest_id)
        .where(
            Match.patron_id == Patron.id,
            Match.created_at > at - FRESH,
            ~_alerted(),
            may_ride(at),
        )
    )
    alert = (
        select(Alert.id)
        .outerjoin(Interest, Interest.id == Alert.interest_id)
        .where(Alert.patron_id == Patron.id, *IS_OPEN, may_ride(at))
    )
    return or_(match.exists(), alert.exists())


def _consents() -> ColumnElement[bool]:
    return exists().where(
        Consent.patron_id == Patron.id,
        Consent.purpose == ConsentPurpose.ALERTS,
        Consent.withdrawn_at.is_(None),
    )


def _alerted() -> ColumnElement[bool]:
    return exists().where(
        Alert.patron_id == Match.patron_id, Alert.work_id == Match.work_id
    )


def _take_turn(
    session: Session,
    settings: Settings,
    patron_id: int,
    at: datetime,
    *,
    trial: Trial | None,
) -> _Turn | None:
    clocks = hold_clocks(session, patron_id, at)
    if clocks is None:  # another builder is at it, or was quicker
        return None
    patron = session.get_one(Patron, patron_id)
    preference = clocks.preference
    channel = _channel(session, settings, preference)
    ruling = may_send(
        standing(session, patron_id, channel, at=at),
        Purpose.DIGEST,
        channel,
        at,
        house=House.of(settings),
    )
    if _waits(ruling, at, useful_for(clocks.rhythms(at))):
        return _Turn(cause=ruling.cause)
    selection = _select(session, settings, patron, at, trial=trial)
    _add_alerts(session, patron_id, selection, at)
    told = open_alerts(session, patron, selection, preference.rhythm, at)
    made = len(selection.chosen)
    if channel is not Channel.PAGE:
        told = lay_aside(session, settings, clocks, told, at)
    if len(told) < max(preference.at_least, 1):
        clocks.pass_by(at)
        outcome = _Outcome.WAITING if told else _Outcome.NOTHING
        return _Turn(outcome, made, selection)
    life = useful_for(rhythm for _, rhythm in told)
    digest = carry(session, settings, clocks, channel, ruling, told, life=life, at=at)
    if digest is None:
        clocks.put_off(at)
        return _Turn(alerts=made, selection=selection, cause="one today already")
    clocks.told(at)
    if ruling.answer is Answer.NEVER:
        return _Turn(_Outcome.NOTHING, made, selection, ruling.cause)
    if channel in SAID_IN:
        digest.parameters = warn(session, clocks, at)
    return _Turn(_Outcome.DIGEST, made, selection, ruling.cause)


def _channel(session: Session, settings: Settings, preference: Preference) -> Channel:
    if preference.rhythm is Rhythm.OFF:
        return Channel.PAGE  # who wants no digests still finds the alerts there
    return reached_by(session, preference, app=bool(settings.app_url))


def _waits(ruling: Ruling, at: datetime, life: timedelta) -> bool:
    """Tell whether it is better to decide nothing yet than to store a message."""
    if ruling.answer is Answer.NEVER:
        return ruling.cause in {Cause.CONSENT, Cause.INACTIVE}
    if ruling.cause is Cause.PAUSE:
        return True
    return ruling.until is not None and ruling.until > at + life


def _select(
    session: Session,
    settings: Settings,
    patron: Patron,
    at: datetime,
    *,
    trial: Trial | None,
) -> Selection:
    branch = session.get_one(Branch, patron.branch_id)
    rows = session.execute(
        select(Match, Interest.alerts, Interest.active)
        .join(Preference, Preference.patron_id == Match.patron_id)
        .outerjoin(Interest, Interest.id == Match.interest_id)
        .where(
            Match.patron_id == patron.id,
            Match.created_at > at - FRESH,
            ~_alerted(),
            may_ride(at),
        )
        .order_by(Match.id)
    )
    candidates = [
        Candidate(
            match.work_id,
            match.score,
            match.reasons,
            match.model_version_id,
            match.interest_id,
            match.rule_id,
        )
        for match, alerts, active in rows
        if match.interest_id is None or (alerts and active)
    ]
    if trial is not None and trial.holds_out(patron.key):
        candidates = [candidate for candidate in candidates if candidate.asked_for]
    works = {candidate.work_id for candidate in candidates}
    allowance = settings.allowance if branch.allowance is None else branch.allowance
    return choose(
        candidates,
        barred=barred_works(session, patron, works, at=at),
        floor=settings.floor if branch.floor is None else branch.floor,
        allowance=allowance - _told_lately(session, patron.id, at),
    )


def _told_lately(session: Session, patron_id: int, at: datetime) -> int:
    count = session.scalar(
        select(func.count()).where(
            Alert.patron_id == patron_id, Alert.created_at > at - ALLOWANCE_WINDOW
        )
    )
    return count or 0


def _add_alerts(
    session: Session, patron_id: int, selection: Selection, at: datetime
) -> None:
    session.add_all(
        Alert(
            patron_id=patron_id,
            work_id=candidate.work_id,
            score=candidate.score,
            reasons=candidate.reasons,
            interest_id=candidate.interest_id,
            model_version_id=candidate.model_version_id,
            rule_id=candidate.rule_id,
            created_at=at,
        )
        for candidate in selection.chosen
    )
    session.flush()


def _move_on(sessions: Sessions, at: datetime, patron_id: int | None) -> None:
    """Set the next turn of those who are due and had nothing to be told."""
    nothing = or_(~_consents(), ~_has_something(at))
    idle = (
        select(Preference.patron_id)
        .join(Patron, Patron.id == Preference.patron_id)
        .where(is_past(at), nothing)
        .order_by(Preference.patron_id)
    )
    if patron_id is not None:
        idle = idle.where(Patron.id == patron_id)
    with reading(sessions) as session:
        ids = session.scalars(idle).all()
    for start in range(0, len(ids), _BATCH):
        with sessions.begin() as session:
            # Asked again under the lock: something may have come in meanwhile.
            held = session.scalars(
                select(Preference)
                .join(Patron, Patron.id == Preference.patron_id)
                .where(Patron.id.in_(ids[start : start + _BATCH]), nothing)
                .order_by(Preference.patron_id)
                .with_for_update(skip_locked=True, of=Preference)
            ).all()
            for clocks in clocks_of(session, held):
                clocks.pass_by(at)


def _count(report: AlertReport, held: Counter[str], turn: _Turn) -> None:
    report.patrons += 1
    report.alerts += turn.alerts
    report.digests += turn.outcome is _Outcome.DIGEST
    report.waiting += turn.outcome is _Outcome.WAITING
    if turn.selection:
        report.below_floor += turn.selection.below_floor
        report.over_allowance += turn.selection.over_allowance
    if turn.cause:
        held[turn.cause] += 1
