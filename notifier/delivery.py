"""The outbox is emptied here: claim, compose, send, settle.

At least once: a claim is a lease, and what a dead worker held is claimed again when it
runs out, with the same Message-ID. `data_at` is committed before the message leaves, so
only a message whose answer never came can come twice. No transaction is open while a
server answers; to spare commits, one settles a message and prepares the next.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from library.clock import utc_now
from library.db import Sessions, reading
from library.errors import DeliveryFailed
from library.jobs import Progress, no_progress
from library.settings import Settings
from library.tables import (
    Alert,
    ContactPoint,
    Delivery,
    Impression,
    LedgerEntry,
    Setting,
)
from library.vocabulary import Channel, DeliveryState
from notifier.channels import Channels, MessageChannel
from notifier.channels.email import EmailChannel, parse_server
from notifier.channels.file import FileChannel
from notifier.channels.page import PageChannel
from notifier.composing import PRIVATE, Composed, compose
from notifier.gate import Ruling
from notifier.limits import left_before_brake, wait_for
from notifier.outcomes import HELD_FOR, Outcome, Result, Sent, settle, trouble_of
from profiles import contacts
from profiles.causes import Cause

logger = logging.getLogger(__name__)

LEASE = timedelta(minutes=15)
CONVERSATION = timedelta(minutes=12)
"""The longest talk with a server; DATA starts only if so much of the lease is left."""
_BATCH = 20
_OPEN = (DeliveryState.PENDING, DeliveryState.SENDING)
_RIDE_AGAIN = frozenset(
    {Cause.EXPIRED, Cause.PAUSE, Cause.CAP, Cause.QUIET, Cause.BOUNCED}
)
"""A digest given up for these leaves its alerts to the next one."""


@dataclass
class DeliveryReport:
    """What one run did."""

    sent: int = 0
    withheld: int = 0
    """Never to go, with its cause."""
    retried: int = 0
    """Put off after a failure, to be tried again."""
    abandoned: int = 0
    held: int = 0
    """Waiting for the gate: quiet hours, pause, cap."""


@dataclass(frozen=True)
class Claim:
    """A delivery that is ours until the lease ends."""

    delivery_id: int
    attempt: int
    channel: Channel
    worker: str
    until: datetime

    def still_holds(self, delivery: Delivery) -> bool:
        """Tell whether nobody else has claimed it since."""
        return (
            delivery.state is DeliveryState.SENDING
            and delivery.worker == self.worker
            and delivery.attempts == self.attempt
        )


def deliver_due(  # noqa: PLR0913 -- an entry point: everything is passed in
    sessions: Sessions,
    settings: Settings,
    *,
    at: datetime,
    worker: str,
    limit: int | None = None,
    channels: Channels | None = None,
    progress: Progress = no_progress,
) -> DeliveryReport:
    """Send what is due.

    Args:
        sessions: Where to read and write.
        settings: The installation's.
        at: Now; time goes on from here as the run takes.
        worker: A name no other living worker has.
        limit: At most so many deliveries.
        channels: By which; those of the settings if None.
        progress: Told how many deliveries were taken up.
    """
    started = time.monotonic()
    desk = _Desk(
        sessions,
        settings,
        worker,
        channels if channels is not None else channels_for(settings),
        lambda: at + timedelta(seconds=time.monotonic() - started),
    )
    try:
        desk.work(limit, progress)
    finally:
        desk.close()
    return desk.report


def channels_for(settings: Settings) -> Channels:
    """Return the channels of an installation: mail as files where no server is set."""
    mail: MessageChannel = (
        EmailChannel(parse_server(settings.smtp_url))
        if settings.smtp_url
        else FileChannel(settings.mail)
    )
    return {
        Channel.EMAIL: mail,
        Channel.PAGE: PageChannel(),
        Channel.FEED: PageChannel(),
    }


def claim_due(
    session: Session,
    worker: str,
    *,
    at: datetime,
    limit: int,
    channels: frozenset[Channel],
) -> list[Claim]:
    """Claim up to `limit` deliveries that are due, the longest due first.

    One conditional UPDATE: of two workers that ask at once each row goes to one.
    """
    due = (
        select(Delivery.id)
        .where(
            Delivery.state.in_(_OPEN),
            Delivery.due_at <= at,
            Delivery.channel.in_(channels),
        )
        .order_by(Delivery.due_at, Delivery.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
        # Made once: PostgreSQL may run a plain subquery again and claim beyond `limit`.
        .cte("due")
        .prefix_with("MATERIALIZED", dialect="postgresql")
    )
    rows = session.execute(
        update(Delivery)
        .where(
            Delivery.id.in_(select(due.c.id)),
            Delivery.state.in_(_OPEN),
            Delivery.due_at <= at,
        )
        .values(
            state=DeliveryState.SENDING,
            worker=worker,
            attempts=Delivery.attempts + 1,
            due_at=at + LEASE,
        )
        .returning(Delivery.id, Delivery.attempts, Delivery.channel)
        .execution_options(synchronize_session=False)
    )
    return [Claim(*row, worker, at + LEASE) for row in sorted(rows)]


@dataclass
class _Unsettled:
    claim: Claim
    composed: Composed
    result: Result


class _Desk:
    """One worker at the outbox."""

    def __init__(
        self,
        sessions: Sessions,
        settings: Settings,
        worker: str,
        channels: Channels,
        now: Callable[[], datetime],
    ) -> None:
        self._sessions = sessions
        self._settings = settings
        self._worker = worker
        self._channels = channels
        self._now = now
        self._open = set(channels) - _resting(sessions, now())
        self._unsettled: _Unsettled | None = None
        self.report = DeliveryReport()

    def work(self, limit: int | None, progress: Progress) -> None:
        """Take up deliveries until none is due, or `limit` were."""
        done = 0
        while limit is None or done < limit:
            claims = self._claim(_BATCH if limit is None else min(_BATCH, limit - done))
            if not claims:
                return
            for claim in claims:
                self._take(claim)
                done += 1
                progress(done, limit)
            self._settle_last()

    def close(self) -> None:
        """Settle what is out and let go of the channels."""
        self._settle_last()
        for channel in self._channels.values():
            channel.close()

    def _claim(self, limit: int) -> list[Claim]:
        now, brake = self._now(), self._settings.daily_brake
        with self._sessions.begin() as session:
            left = left_before_brake(session, brake, at=now)
            if left == 0:
                self._open.discard(Channel.EMAIL)
                cause = f"brake: {brake} messages in 24 hours"
                hold(session, Channel.EMAIL, cause, until=now + HELD_FOR)
            return claim_due(
                session,
                self._worker,
                at=now,
                limit=min(limit, left) if left else limit,
                channels=frozenset(self._open),
            )

    def _take(self, claim: Claim) -> None:
        if claim.channel not in self._open or self._now() > claim.until - CONVERSATION:
            self._hand_back(claim)
            return
        channel = self._channels[claim.channel]
        try:
            channel.open()
        except DeliveryFailed as failure:
            self._rest(claim.channel, failure)
            self._finish(claim, Composed(None), failure)
            return
        composed = self._compose(claim)
        if composed is None:
            return
        result = self._send(channel, claim, composed)
        if isinstance(result, DeliveryFailed) and result.ours:
            self._rest(claim.channel, result)
        self._unsettled = _Unsettled(claim, composed, result)

    def _send(
        self, channel: MessageChannel, claim: Claim, composed: Composed
    ) -> Sent | DeliveryFailed:
        if composed.message is None:
            return Sent("shown")
        time_left = claim.until - CONVERSATION - self._now()
        try:
            return Sent(channel.send(composed.message, before=utc_now() + time_left))
        except DeliveryFailed as failure:
            return failure

    def _compose(self, claim: Claim) -> Composed | None:
        """Settle the message before and make this one ready to leave, in one commit."""
        with self._sessions.begin() as session:
            self._settle_unsettled(session)
            delivery = _locked(session, claim)
            if delivery is None:  # erased, or passed on
                return None
            made = self._composed(session, delivery)
            if isinstance(made, Composed):
                if self._must_wait(session, delivery, made):
                    return None
                delivery.data_at = self._now()
                return made
            self._write(session, claim, delivery, Composed(None), made)
            return None

    def _must_wait(self, session: Session, delivery: Delivery, made: Composed) -> bool:
        if made.message is None:
            return False
        until = wait_for(
            session,
            made.message.to.address,
            self._settings.domain_rate,
            at=self._now(),
        )
        if until is None:
            return False
        delivery.state, delivery.worker = DeliveryState.PENDING, None
        delivery.due_at, delivery.cause = until, Cause.RATE
        self.report.held += 1
        return True

    def _composed(
        self, session: Session, delivery: Delivery
    ) -> Composed | Ruling | DeliveryFailed:
        try:
            with session.begin_nested():
                return compose(session, self._settings, delivery, at=self._now())
        except Exception as error:
            # One message that cannot be made must neither stop nor repeat the others.
            logger.exception("delivery %s could not be made", delivery.id)
            return DeliveryFailed(f"could not be made: {type(error).__name__}")

    def _finish(self, claim: Claim, composed: Composed, result: Result) -> None:
        self._settle_last()
        self._unsettled = _Unsettled(claim, composed, result)
        self._settle_last()

    def _settle_last(self) -> None:
        if self._unsettled is not None:
            with self._sessions.begin() as session:
                self._settle_unsettled(session)

    def _settle_unsettled(self, session: Session) -> None:
        last, self._unsettled = self._unsettled, None
        if last is None:
            return
        delivery = _locked(session, last.claim)
        if delivery is not None:
            self._write(session, last.claim, delivery, last.composed, last.result)

    def _write(
        self,
        session: Session,
        claim: Claim,
        delivery: Delivery,
        composed: Composed,
        result: Result,
    ) -> None:
        at = self._now()
        was_out = delivery.data_at is not None
        failed = isinstance(result, DeliveryFailed)
        failures = _failures(session, delivery.id) if failed else 0
        outcome = settle(delivery, result, at=at, failures=failures)
        session.add(_ledger_entry(delivery, claim, composed, result, outcome, at))
        _record_health(session, composed, result, at)
        if outcome is Outcome.SENT:
            session.add_all(_impressions(delivery, composed, at))
        if outcome is Outcome.WITHHELD and not was_out:
            _free_alerts(session, delivery)
        self._count(outcome)

    def _count(self, outcome: Outcome) -> None:
        report = self.report
        report.sent += outcome is Outcome.SENT
        report.withheld += outcome is Outcome.WITHHELD
        report.abandoned += outcome is Outcome.ABANDONED
        report.held += outcome is Outcome.HELD
        report.retried += outcome in {Outcome.DEFERRED, Outcome.UNKNOWN}

    def _hand_back(self, claim: Claim) -> None:
        with self._sessions.begin() as session:
            delivery = _locked(session, claim)
            if delivery is not None:
                delivery.state, delivery.worker = DeliveryState.PENDING, None
                delivery.due_at = self._now()

    def _rest(self, channel: Channel, failure: DeliveryFailed) -> None:
        """Use the channel no more in this run; if the fault is ours, nobody does."""
        self._open.discard(channel)
        logger.warning("%s rests: %s", channel, failure)
        if failure.ours:
            with self._sessions.begin() as session:
                hold(session, channel, str(failure), until=self._now() + HELD_FOR)


def hold(session: Session, channel: Channel, cause: str, *, until: datetime) -> None:
    """Let a channel rest, and say why; `hamkhan doctor` and the console show it."""
    value = {"until": until.isoformat(), "cause": cause[:500]}
    session.merge(Setting(name=f"hold:{channel}", value=value))


def holds(session: Session, *, at: datetime) -> dict[Channel, str]:
    """Return the channels that rest now, and why."""
    rows = session.scalars(select(Setting).where(Setting.name.startswith("hold:")))
    return {
        Channel(row.name.removeprefix("hold:")): str(row.value["cause"])
        for row in rows
        if datetime.fromisoformat(row.value["until"]) > at
    }


def _resting(sessions: Sessions, at: datetime) -> set[Channel]:
    with reading(sessions) as session:
        return set(holds(session, at=at))


def _locked(session: Session, claim: Claim) -> Delivery | None:
    delivery = session.scalar(
        select(Delivery).where(Delivery.id == claim.delivery_id).with_for_update()
    )
    return delivery if delivery and claim.still_holds(delivery) else None


def _failures(session: Session, delivery_id: int) -> int:
    count = session.scalar(
        select(func.count()).where(
            LedgerEntry.delivery_id == delivery_id,
            LedgerEntry.outcome == Outcome.DEFERRED,
        )
    )
    return count or 0


def _ledger_entry(
    delivery: Delivery,
    claim: Claim,
    composed: Composed,
    result: Result,
    outcome: Outcome,
    at: datetime,
) -> LedgerEntry:
    message = composed.message
    keep = message is not None and delivery.purpose not in PRIVATE
    return LedgerEntry(
        delivery_id=delivery.id,
        patron_id=delivery.patron_id,
        attempt=claim.attempt,
        outcome=outcome.value,
        address=message.to.address if message else None,
        subject=message.subject if message else None,
        body=message.text if message and keep else None,
        reason=_reason(result),
        at=at,
    )


def _reason(result: Result) -> str:
    if isinstance(result, Sent):
        return result.answer
    if isinstance(result, Ruling):
        return result.cause or ""
    return str(result)


def _record_health(
    session: Session, composed: Composed, result: Result, at: datetime
) -> None:
    contact = composed.contact
    if contact is None or isinstance(result, Ruling):
        return
    trouble = trouble_of(result) if isinstance(result, DeliveryFailed) else None
    if trouble is None and (isinstance(result, DeliveryFailed) or not contact.troubled):
        return
    point = session.get(ContactPoint, contact.id)
    if point is None:
        return
    if trouble:
        contacts.record_trouble(point, trouble, at=at)
    else:
        contacts.record_success(point)


def _impressions(
    delivery: Delivery, composed: Composed, at: datetime
) -> list[Impression]:
    return [
        Impression(
            list_ref=f"delivery:{delivery.id}",
            patron_id=delivery.patron_id,
            work_id=entry.work_id,
            alert_id=entry.alert_id,
            place=delivery.channel.value,
            rank=rank,
            model_version_id=entry.model_version_id,
            rule_id=entry.rule_id,
            shown_at=at,
        )
        for rank, entry in enumerate(composed.shown, 1)
    ]


def _free_alerts(session: Session, delivery: Delivery) -> None:
    if delivery.cause in _RIDE_AGAIN:
        session.execute(
            update(Alert)
            .where(Alert.delivery_id == delivery.id, Alert.handled_at.is_(None))
            .values(delivery_id=None)
        )
