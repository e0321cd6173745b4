"""The outbox is emptied here: claim, compose, send, settle.

At least once: a claim is a lease, and what a dead worker held is claimed again when it
runs out, with the same Message-ID. `data_at` is committed before the message leaves, so
only a message whose answer never came can come twice. No transaction is open while a
server answers; to spare commits, one settles a message and lets the next go.

A worker has one message under way: a kill makes one copy at most. While the server
reads it the next is made, from facts that are read again right before it leaves.
"""

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, func, insert, select, update
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
from notifier import canary
from notifier.channels import Channels, MessageChannel
from notifier.channels.email import EmailChannel, parse_server
from notifier.channels.file import FileChannel
from notifier.channels.page import PageChannel
from notifier.composing import (
    PRIVATE,
    Composed,
    Draft,
    Facts,
    compose,
    drafts,
    facts_of,
    ruling_on,
)
from notifier.fence import SENT_BEFORE, Fence, agreed_lately
from notifier.gate import Answer, Ruling
from notifier.limits import left_before_brake, wait_for
from notifier.message import Message
from notifier.outcomes import HELD_FOR, Outcome, Result, Sent, settle, trouble_of
from notifier.signing import signer_of
from profiles import contacts, standing
from profiles.causes import Cause

logger = logging.getLogger(__name__)

LEASE = timedelta(minutes=15)
CONVERSATION = timedelta(minutes=12)
"""The longest talk with a server; DATA starts only if so much of the lease is left."""
# Where no other worker can have it, there is no lease that could end.
_NO_END = datetime.max.replace(tzinfo=UTC)
_BATCH = 25
_OPEN = (DeliveryState.PENDING, DeliveryState.SENDING)
_SETTLED = (
    "state",
    "worker",
    "due_at",
    "data_at",
    "cause",
    "settled_at",
    "parameters",
)
"""What an attempt changes in its row."""
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
    trouble: str | None = None
    """Why nothing may be sent at all; see `notifier.fence`."""


@dataclass(frozen=True)
class Claim:
    """A delivery that is ours until the lease ends."""

    delivery: Delivery
    """As it was claimed, apart from any session."""
    attempt: int
    worker: str
    until: datetime

    @property
    def channel(self) -> Channel:
        """By which it goes."""
        return self.delivery.channel


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
    fence = Fence(settings.home)
    desk.report.trouble = fence.trouble(sessions, at=at)
    if desk.report.trouble:
        with sessions.begin() as session:
            for channel in Channel:
                hold(session, channel, desk.report.trouble, until=at + HELD_FOR)
        return desk.report
    try:
        desk.work(limit, progress)
        desk.see_to_canary()
    finally:
        desk.close()
    return desk.report


def channels_for(settings: Settings) -> Channels:
    """Return the channels of an installation: mail as files where no server is set."""
    mail: MessageChannel = (
        EmailChannel(parse_server(settings.smtp_url), sign=signer_of(settings))
        if settings.smtp_url
        else FileChannel(settings.mail)
    )
    return {
        Channel.EMAIL: mail,
        Channel.PAGE: PageChannel(),
        Channel.FEED: PageChannel(),
    }


def carry_to_staff(settings: Settings, messages: Iterable[Message]) -> int:
    """Send mail about the service itself to librarians; return how many were taken.

    It is no patron's, so no gate is asked and no row kept. One that is refused stops no
    other.

    Raises:
        DeliveryFailed: None was taken.
    """
    mail = channels_for(settings)[Channel.EMAIL]
    sent, trouble = 0, None
    try:
        mail.open()
        for message in messages:
            try:
                mail.hand_over(message, before=_NO_END)
                mail.answer()
                sent += 1
            except DeliveryFailed as error:
                logger.warning("a letter to a librarian was not taken: %s", error)
                trouble = error
    finally:
        mail.close()
    if trouble is not None and not sent:
        raise trouble
    return sent


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
    rows = session.scalars(
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
        .returning(Delivery)
        .execution_options(synchronize_session=False)
    ).all()
    session.expunge_all()
    ordered = sorted(rows, key=lambda row: row.id)
    return [Claim(row, row.attempts, worker, at + LEASE) for row in ordered]


@dataclass
class _Job:
    """A claimed delivery, what was read of it, and what was made of that."""

    claim: Claim
    facts: Facts | None
    made: Composed | Ruling | DeliveryFailed
    result: Result | None = None
    """What its attempt came to; to be settled."""
    went_before: bool = False
    """The fence lists it: it must not go again."""

    @property
    def message(self) -> Message | None:
        return self.made.message if isinstance(self.made, Composed) else None


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
        self._fence = Fence(settings.home)
        self._unsettled: _Job | None = None
        self.report = DeliveryReport()

    def work(self, limit: int | None, progress: Progress) -> None:
        """Take up deliveries until none is due, or `limit` were."""
        jobs = self._jobs(limit)
        job, done = next(jobs, None), 0
        while job is not None:
            under_way = self._start(job)
            try:
                following = next(jobs, None)  # made while the server reads
            finally:  # whatever becomes of the next, this one's answer counts
                if under_way:
                    self._await(job)
            done += 1
            progress(done, limit)
            job = following

    def see_to_canary(self) -> None:
        """Take a canary that is out to the mail server's door."""
        channel = self._channels.get(Channel.EMAIL)
        if channel is None or Channel.EMAIL not in self._open:
            return
        with reading(self._sessions) as session:
            if not canary.is_out(session):
                return
        try:
            channel.open()
        except DeliveryFailed as failure:
            self._rest(Channel.EMAIL, failure)
        else:
            canary.came(self._sessions)

    def close(self) -> None:
        """Settle what is out and let go of the channels."""
        if self._unsettled is not None:
            with self._sessions.begin() as session:
                self._settle_unsettled(session)
        for channel in self._channels.values():
            channel.close()

    def _jobs(self, limit: int | None) -> Iterator[_Job]:
        left = limit
        while left is None or left > 0:
            claims = self._claim(_BATCH if left is None else min(_BATCH, left))
            if not claims:
                return
            left = None if left is None else left - len(claims)
            yield from self._made(claims)

    def _claim(self, limit: int) -> list[Claim]:
        now, brake = self._now(), self._settings.daily_brake
        with self._sessions.begin() as session:
            left = left_before_brake(session, brake, at=now)
            if left == 0:
                self._open.discard(Channel.EMAIL)
                cause = f"brake: {brake} messages in 24 hours"
                hold(session, Channel.EMAIL, cause, until=now + HELD_FOR)
            claims = claim_due(
                session,
                self._worker,
                at=now,
                limit=min(limit, left) if left else limit,
                channels=frozenset(self._open),
            )
            mark = self._fence.claimed(session, len(claims))
        self._fence.keep(mark)
        return claims

    def _made(self, claims: Sequence[Claim]) -> Iterator[_Job]:
        """Read what a batch needs in sets; write each message when it is asked for."""
        try:
            with reading(self._sessions) as session:
                drafted = self._drafted(session, claims)
        except Exception as error:
            # One message that cannot be made must neither stop nor repeat the others.
            logger.exception("of %s deliveries one cannot be made", len(claims))
            if len(claims) == 1:
                yield _Job(claims[0], None, _unmade(error))
                return
            for claim in claims:
                yield from self._made([claim])
            return
        listed = self._listed(claims)
        for claim, facts, draft in drafted:
            job = _Job(claim, facts, self._written(claim, facts, draft))
            job.went_before = claim.delivery.message_id in listed
            yield job

    def _listed(self, claims: Sequence[Claim]) -> set[str]:
        """Return the messages that went out though the database does not know it.

        A worker was killed before it could say so, or the database was restored.
        """
        asked = {one.delivery.message_id for one in claims if one.attempt > 1}
        with reading(self._sessions) as session:
            if agreed_lately(session, at=self._now()):
                asked = {one.delivery.message_id for one in claims}
        return self._fence.lists(asked) if asked else set()

    def _drafted(
        self, session: Session, claims: Sequence[Claim]
    ) -> list[tuple[Claim, Facts, Draft | None]]:
        deliveries = [claim.delivery for claim in claims]
        facts = facts_of(session, deliveries, at=self._now())
        made = drafts(session, self._settings, deliveries, facts)
        by_id = {draft.delivery.id: draft for draft in made}
        return [
            (claim, fact, by_id.get(claim.delivery.id))
            for claim, fact in zip(claims, facts, strict=True)
        ]

    def _written(
        self, claim: Claim, facts: Facts, draft: Draft | None
    ) -> Composed | Ruling | DeliveryFailed:
        now = self._now()
        if draft is None:
            return ruling_on(self._settings, claim.delivery, facts, at=now)
        try:
            made = compose(self._settings, draft, facts, at=now)
            if isinstance(made, Composed) and made.message:
                made.message.content  # noqa: B018 -- made now, while there is time
        except Exception as error:  # as in _made
            logger.exception("delivery %s could not be made", claim.delivery.id)
            return _unmade(error)
        return made

    def _start(self, job: _Job) -> bool:
        """Let a message go, if it may; tell whether an answer is to be awaited."""
        channel = self._channel_for(job)
        if channel is None or not self._may_leave(job):
            return False
        if job.message is None:
            self._note(job, Sent("shown"))
            return False
        time_left = job.claim.until - CONVERSATION - self._now()
        try:
            channel.hand_over(job.message, before=utc_now() + time_left)
        except DeliveryFailed as failure:
            self._note(job, failure)
            return False
        return True

    def _channel_for(self, job: _Job) -> MessageChannel | None:
        """Return the open channel; None where the message does not go now."""
        claim = job.claim
        if claim.channel not in self._open or self._now() > claim.until - CONVERSATION:
            self._hand_back(claim)
            return None
        if job.went_before:
            self._settle(job, Sent(SENT_BEFORE))
            return None
        channel = self._channels[claim.channel]
        try:
            channel.open()
        except DeliveryFailed as failure:
            self._rest(claim.channel, failure)
            self._settle(job, failure)
            return None
        return channel

    def _await(self, job: _Job) -> None:
        try:
            answer = self._channels[job.claim.channel].answer()
        except DeliveryFailed as failure:
            self._note(job, failure)
        else:
            self._note(job, Sent(answer))
            try:
                self._fence.sent(job.claim.delivery.message_id, at=self._now())
            except OSError:
                # It is out, and is settled with the next commit all the same.
                logger.exception("the fence could not be written")

    def _note(self, job: _Job, result: Result) -> None:
        """Keep what an attempt came to until the next commit."""
        job.result = result
        self._unsettled = job
        if isinstance(result, DeliveryFailed) and result.ours:
            self._rest(job.claim.channel, result)

    def _may_leave(self, job: _Job) -> bool:
        """Settle the message before and let this one leave, in one commit.

        Its facts are read again; where they are others than it was made from, it is
        made anew.
        """
        with self._sessions.begin() as session:
            self._hold(session, job)
            self._settle_unsettled(session)
            delivery, now = job.claim.delivery, self._now()
            if job.facts is not None:
                self._look_again(session, job)
            if not isinstance(job.made, Composed):
                self._write(session, job, job.made)
                return False
            if self._must_wait(session, job):
                return False
            delivery.data_at = now
            return _store(session, job.claim)

    def _hold(self, session: Session, job: _Job) -> None:
        """Hold the patrons of the message before and of this one, in one statement.

        Who erases a patron holds them first, and then their deliveries: so must we.
        """
        jobs = [job, self._unsettled] if self._unsettled else [job]
        standing.hold(session, {one.claim.delivery.patron_id for one in jobs})

    def _look_again(self, session: Session, job: _Job) -> None:
        claim = job.claim
        (facts,) = facts_of(session, [claim.delivery], at=self._now())
        ruling = ruling_on(self._settings, claim.delivery, facts, at=self._now())
        if ruling.answer is not Answer.SEND:
            job.made = ruling
        elif facts != job.facts or isinstance(job.made, Ruling):
            ((_, job.facts, draft),) = self._drafted(session, [claim])
            job.made = self._written(claim, job.facts, draft)

    def _must_wait(self, session: Session, job: _Job) -> bool:
        if job.message is None:
            return False
        until = wait_for(
            session,
            job.message.to.address,
            self._settings.domain_rate,
            at=self._now(),
        )
        if until is None:
            return False
        delivery = job.claim.delivery
        delivery.state, delivery.worker = DeliveryState.PENDING, None
        delivery.due_at, delivery.cause = until, Cause.RATE
        self.report.held += _store(session, job.claim)
        return True

    def _settle(self, job: _Job, result: Result) -> None:
        """Settle the message before, and this one."""
        with self._sessions.begin() as session:
            self._hold(session, job)
            self._settle_unsettled(session)
            self._write(session, job, result)

    def _settle_unsettled(self, session: Session) -> None:
        last, self._unsettled = self._unsettled, None
        if last is not None and last.result is not None:
            self._write(session, last, last.result)

    def _write(self, session: Session, job: _Job, result: Result) -> None:
        at, delivery = self._now(), job.claim.delivery
        was_out = delivery.data_at is not None
        failed = isinstance(result, DeliveryFailed)
        failures = _failures(session, delivery.id) if failed else 0
        outcome = settle(delivery, result, at=at, failures=failures)
        if not _store(session, job.claim):  # erased, or passed on
            return
        made = job.made if isinstance(job.made, Composed) else Composed(None)
        # By the tables: adding rows by the session costs more than all else here.
        connection = session.connection()
        connection.execute(_LEDGER, _ledger_entry(job.claim, made, result, outcome, at))
        _record_health(session, made, result, at)
        if outcome is Outcome.SENT and made.shown:
            connection.execute(_SHOWN, _impressions(delivery, made, at))
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
        delivery = claim.delivery
        delivery.state, delivery.worker = DeliveryState.PENDING, None
        delivery.due_at = self._now()
        with self._sessions.begin() as session:
            _store(session, claim)

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


def _unmade(error: Exception) -> DeliveryFailed:
    return DeliveryFailed(f"could not be made: {type(error).__name__}")


_LEDGER = insert(LedgerEntry)
_SHOWN = insert(Impression)
_OURS = (
    update(Delivery)
    .where(
        Delivery.id == bindparam("own_id"),
        Delivery.state == DeliveryState.SENDING,
        Delivery.worker == bindparam("own_worker"),
        Delivery.attempts == bindparam("own_attempt"),
    )
    .values({name: bindparam(name) for name in _SETTLED})
    .execution_options(synchronize_session=False)
)


def _store(session: Session, claim: Claim) -> bool:
    """Store a claimed row as it is now; tell whether it was still ours."""
    delivery = claim.delivery
    given = {name: getattr(delivery, name) for name in _SETTLED}
    own = {
        "own_id": delivery.id,
        "own_worker": claim.worker,
        "own_attempt": claim.attempt,
    }
    stored = session.connection().execute(_OURS, {**given, **own})
    return stored.rowcount == 1


def _failures(session: Session, delivery_id: int) -> int:
    count = session.scalar(
        select(func.count()).where(
            LedgerEntry.delivery_id == delivery_id,
            LedgerEntry.outcome == Outcome.DEFERRED,
        )
    )
    return count or 0


def _ledger_entry(
    claim: Claim, composed: Composed, result: Result, outcome: Outcome, at: datetime
) -> dict[str, Any]:
    delivery, message = claim.delivery, composed.message
    keep = message is not None and delivery.purpose not in PRIVATE
    return {
        "delivery_id": delivery.id,
        "patron_id": delivery.patron_id,
        "attempt": claim.attempt,
        "outcome": outcome.value,
        "address": message.to.address if message else None,
        "subject": message.subject if message else None,
        "body": message.text if message and keep else None,
        "reason": _reason(result),
        "at": at,
    }


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
) -> list[dict[str, Any]]:
    return [
        {
            "list_ref": f"delivery:{delivery.id}",
            "patron_id": delivery.patron_id,
            "work_id": entry.work_id,
            "alert_id": entry.alert_id,
            "place": delivery.channel.value,
            "rank": rank,
            "model_version_id": entry.model_version_id,
            "rule_id": entry.rule_id,
            "shown_at": at,
        }
        for rank, entry in enumerate(composed.shown, 1)
    ]


def _free_alerts(session: Session, delivery: Delivery) -> None:
    if delivery.cause in _RIDE_AGAIN:
        session.execute(
            update(Alert)
            .where(Alert.delivery_id == delivery.id, Alert.handled_at.is_(None))
            .values(delivery_id=None)
        )
