"""From matches to alerts to one digest per patron, each patron in one transaction.

The patron's row of preferences is locked meanwhile, and the digest's Message-ID is
unique, so however many builders run there is one digest per patron and local day.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import ColumnElement, and_, exists, func, or_, select
from sqlalchemy.orm import Session

from library.db import Sessions, reading
from library.jobs import Progress, no_progress
from library.sealing import seal
from library.settings import Settings
from library.tables import (
    Alert,
    Branch,
    Consent,
    ContactPoint,
    Delivery,
    Interest,
    Match,
    Patron,
    Preference,
)
from library.vocabulary import (
    Channel,
    ConsentPurpose,
    DeliveryState,
    Purpose,
    Rhythm,
)
from notifier import links
from notifier.contents import barred_works
from notifier.gate import Answer, House, Ruling, may_send
from notifier.selection import Candidate, Selection, choose
from profiles import preferences
from profiles.causes import Cause
from profiles.experiments import running
from profiles.preferences import calendar_of, next_digest_at
from profiles.rhythm import end_of_day, slot_of
from profiles.standing import standing
from profiles.trials import Trial

FRESH = timedelta(days=60)
"""A match older than this is no news."""
ALLOWANCE_WINDOW = timedelta(days=7)
USEFUL_FOR = {
    Rhythm.DAILY: timedelta(hours=36),
    Rhythm.WEEKLY: timedelta(days=6),
    Rhythm.MONTHLY: timedelta(days=14),
}
"""How long a digest is worth sending; afterwards its alerts ride in the next."""
SIGN_IN_LIFE = timedelta(minutes=15)
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

    A patron who never had a digest is due at once. Run again, it finds nothing to do.

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


def queue_sign_in(
    session: Session,
    settings: Settings,
    patron_id: int,
    *,
    link: str,
    code: str,
    at: datetime,
) -> Delivery:
    """Put a sign-in message into the outbox; its link and code are sealed."""
    parameters = {
        "link": seal(settings.secret, link),
        "code": seal(settings.secret, code),
    }
    return _queue(
        session,
        settings,
        patron_id,
        Purpose.SIGN_IN,
        period=at.isoformat(),
        at=at,
        life=SIGN_IN_LIFE,
        parameters=parameters,
    )


def queue_confirm(
    session: Session, settings: Settings, point: ContactPoint, *, at: datetime
) -> Delivery:
    """Put the message that asks whether an address is right into the outbox."""
    link = links.confirm_url(settings, point.id, at=at)
    return _queue(
        session,
        settings,
        point.patron_id,
        Purpose.CONFIRM,
        period=at.isoformat(),
        at=at,
        life=links.CONFIRM_LIFE,
        parameters={
            "link": seal(settings.secret, link),
            "contact_point_id": point.id,
        },
    )


def house(settings: Settings) -> House:
    """Return what the library itself says of messages."""
    return House(settings.message_cap, settings.deliver_only_to)


def _queue(  # noqa: PLR0913 -- a delivery's own columns
    session: Session,
    settings: Settings,
    patron_id: int,
    purpose: Purpose,
    *,
    period: str,
    at: datetime,
    life: timedelta,
    parameters: Mapping[str, str | int],
) -> Delivery:
    delivery = Delivery(
        patron_id=patron_id,
        purpose=purpose,
        channel=Channel.EMAIL,
        due_at=at,
        not_after=at + life,
        message_id=links.message_id(
            settings, patron_id, purpose, period, Channel.EMAIL
        ),
        parameters=dict(parameters),
        created_at=at,
    )
    session.add(delivery)
    session.flush()
    return delivery


def _due_patrons(
    sessions: Sessions, at: datetime, patron_id: int | None
) -> Sequence[int]:
    due = (
        select(Patron.id)
        .outerjoin(Preference, Preference.patron_id == Patron.id)
        .where(
            or_(Preference.next_digest_at.is_(None), Preference.next_digest_at <= at),
            _consents(),
            or_(_has_open_match(at), _has_open_alert()),
        )
        .order_by(Patron.id)
    )
    if patron_id is not None:
        due = due.where(Patron.id == patron_id)
    with reading(sessions) as session:
        return session.scalars(due).all()


def _consents() -> ColumnElement[bool]:
    return exists().where(
        Consent.patron_id == Patron.id,
        Consent.purpose == ConsentPurpose.ALERTS,
        Consent.withdrawn_at.is_(None),
    )


def _has_open_match(at: datetime) -> ColumnElement[bool]:
    return exists().where(
        Match.patron_id == Patron.id, Match.created_at > at - FRESH, ~_alerted()
    )


def _alerted() -> ColumnElement[bool]:
    return exists().where(
        Alert.patron_id == Match.patron_id, Alert.work_id == Match.work_id
    )


def _has_open_alert() -> ColumnElement[bool]:
    return exists().where(
        Alert.patron_id == Patron.id,
        Alert.delivery_id.is_(None),
        Alert.withdrawn_at.is_(None),
        Alert.handled_at.is_(None),
    )


def _take_turn(
    session: Session,
    settings: Settings,
    patron_id: int,
    at: datetime,
    *,
    trial: Trial | None,
) -> _Turn | None:
    preference = _locked(session, patron_id, at)
    if preference is None:  # another builder is at it, or was quicker
        return None
    patron = session.get_one(Patron, patron_id)
    channel = _channel(preference)
    ruling = may_send(
        standing(session, patron_id, channel, at=at),
        Purpose.DIGEST,
        channel,
        at,
        house=house(settings),
    )
    not_after = (ruling.until or at) + _useful_for(preference)
    if _waits(ruling, at, preference):
        return _Turn(cause=ruling.cause)
    selection = _select(session, settings, patron, at, trial=trial)
    _add_alerts(session, patron_id, selection, at)
    alerts = _open_alerts(session, patron, selection, at)
    made = len(selection.chosen)
    if not alerts:
        _advance(preference, patron, at)
        return _Turn(alerts=made, selection=selection)
    if len(alerts) < preference.at_least:
        _advance(preference, patron, at)
        return _Turn(_Outcome.WAITING, made, selection)
    delivery = _new_digest(
        session, settings, preference, ruling, not_after=not_after, at=at
    )
    _advance(preference, patron, at, had_one=True)
    if delivery is None:
        return _Turn(alerts=made, selection=selection, cause="one today already")
    for alert in alerts:
        alert.delivery_id = delivery.id
    outcome = _Outcome.NOTHING if ruling.answer is Answer.NEVER else _Outcome.DIGEST
    return _Turn(outcome, made, selection, ruling.cause)


def _locked(session: Session, patron_id: int, at: datetime) -> Preference | None:
    preference = session.scalar(
        select(Preference)
        .where(Preference.patron_id == patron_id)
        .with_for_update(skip_locked=True)
    )
    if preference is None:
        if session.get(Preference, patron_id) or not session.get(Patron, patron_id):
            return None
        preference = preferences.get(session, patron_id)
        session.add(preference)
        session.flush()
    due_at = preference.next_digest_at
    return preference if due_at is None or due_at <= at else None


def _channel(preference: Preference) -> Channel:
    # Who wants no digests still finds the alerts on the page.
    return Channel.PAGE if preference.rhythm is Rhythm.OFF else preference.channel


def _useful_for(preference: Preference) -> timedelta:
    return USEFUL_FOR.get(preference.rhythm, USEFUL_FOR[Rhythm.DAILY])


def _waits(ruling: Ruling, at: datetime, preference: Preference) -> bool:
    """Tell whether it is better to decide nothing yet than to store a message."""
    if ruling.answer is Answer.NEVER:
        return ruling.cause in {Cause.CONSENT, Cause.INACTIVE}
    if ruling.cause is Cause.PAUSE:
        return True
    return ruling.until is not None and ruling.until > at + _useful_for(preference)


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
        .outerjoin(Interest, Interest.id == Match.interest_id)
        .where(Match.patron_id == patron.id, Match.created_at > at - FRESH, ~_alerted())
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


def _open_alerts(
    session: Session, patron: Patron, selection: Selection, at: datetime
) -> list[Alert]:
    alerts = session.scalars(
        select(Alert)
        .where(
            Alert.patron_id == patron.id,
            Alert.delivery_id.is_(None),
            and_(Alert.withdrawn_at.is_(None), Alert.handled_at.is_(None)),
        )
        .order_by(Alert.id)
    ).all()
    looked_at = {candidate.work_id for candidate in selection.chosen}
    older = {alert.work_id for alert in alerts} - looked_at
    barred = barred_works(session, patron, older, at=at)
    for alert in alerts:
        if alert.work_id in barred:
            alert.withdrawn_at = at
    return [alert for alert in alerts if alert.work_id not in barred]


def _new_digest(
    session: Session,
    settings: Settings,
    preference: Preference,
    ruling: Ruling,
    *,
    not_after: datetime,
    at: datetime,
) -> Delivery | None:
    """Add the digest; None when this patron has one for this local day already."""
    channel = _channel(preference)
    slot = slot_of(preference.next_digest_at or at, preference.zone)
    message_id = links.message_id(
        settings, preference.patron_id, Purpose.DIGEST, slot.isoformat(), channel
    )
    taken = select(Delivery.id).where(Delivery.message_id == message_id)
    if session.scalar(taken) is not None:
        return None
    never = ruling.answer is Answer.NEVER
    delivery = Delivery(
        patron_id=preference.patron_id,
        purpose=Purpose.DIGEST,
        channel=channel,
        state=DeliveryState.WITHHELD if never else DeliveryState.PENDING,
        due_at=ruling.until or at,
        not_after=not_after,
        message_id=message_id,
        cause=ruling.cause,
        created_at=at,
        settled_at=at if never else None,
    )
    session.add(delivery)
    session.flush()
    return delivery


def _advance(
    preference: Preference, patron: Patron, at: datetime, *, had_one: bool = False
) -> None:
    """Set when the next digest is due; who never had one stays due at once."""
    due_at = preference.next_digest_at
    if due_at is None and not had_one:
        return
    day = slot_of(due_at or at, preference.zone)
    after = max(at, end_of_day(day, preference.zone)) if had_one else at
    rhythm = preference.rhythm
    preference.next_digest_at = next_digest_at(
        Rhythm.DAILY if rhythm is Rhythm.OFF else rhythm,
        preference.weekday,
        preference.hour,
        preference.zone,
        calendar_of(patron),
        after,
    )


def _move_on(sessions: Sessions, at: datetime, patron_id: int | None) -> None:
    """Set the next turn of those who are due and had nothing to be told."""
    idle = (
        select(Preference, Patron)
        .join(Patron, Patron.id == Preference.patron_id)
        .where(
            Preference.next_digest_at <= at,
            or_(~_consents(), and_(~_has_open_match(at), ~_has_open_alert())),
        )
        .order_by(Preference.patron_id)
        .limit(_BATCH)
    )
    if patron_id is not None:
        idle = idle.where(Patron.id == patron_id)
    while True:
        with sessions.begin() as session:
            rows = session.execute(
                idle.with_for_update(skip_locked=True, of=Preference)
            ).all()
            for preference, patron in rows:
                _advance(preference, patron, at)
        if len(rows) < _BATCH:
            return


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
