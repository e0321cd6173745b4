"""What attempts came to, written in sets: rows, ledger, impressions, bounce states."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import bindparam, func, select, update
from sqlalchemy.orm import Session

from library.db import Pour
from library.errors import DeliveryFailed
from library.tables import Alert, Delivery, Impression, LedgerEntry
from library.vocabulary import DeliveryState
from notifier import outbox
from notifier.composing import PRIVATE, Composed, Facts
from notifier.fence import Trace
from notifier.gate import Ruling
from notifier.message import Message
from notifier.outbox import Claim
from notifier.outcomes import Outcome, Result, Sent, settle, trouble_of
from profiles import contacts
from profiles.causes import Cause
from profiles.contacts import Trouble
from profiles.devices import REPLACEABLE

_RIDE_AGAIN = frozenset(
    {Cause.EXPIRED, Cause.PAUSE, Cause.CAP, Cause.QUIET, Cause.BOUNCED}
)
"""A digest given up for these leaves its alerts to the next one."""
_NO_WAY = frozenset({Cause.STOPPED, Cause.NO_ADDRESS})
"""So does one for these, where another channel takes over."""


@dataclass(frozen=True)
class PutOff:
    """It was not tried; who claims it next may."""

    until: datetime
    cause: Cause | None = None


@dataclass(frozen=True)
class AsOf:
    """When facts were read."""

    at: datetime
    seen: str
    """What `library.watch.Watch` saw then."""


class Attempt:
    """A claimed delivery, what was read of it and made of that, and what came of it."""

    def __init__(
        self,
        claim: Claim,
        facts: Facts | None,
        made: Composed | Ruling | DeliveryFailed,
        trace: Trace | None = None,
        *,
        as_of: AsOf | None = None,
    ) -> None:
        self.claim = claim
        self.facts = facts
        self.as_of = as_of
        self.made = made
        self.went_before = trace is Trace.TAKEN
        """It must not go again."""
        self.was_out_at = None if trace is Trace.MARKED else claim.delivery.data_at
        """Since when it may be out by an earlier attempt."""
        self.result: Result | PutOff | None = None
        self.at: datetime | None = None
        """When the result came."""

    @property
    def message_id(self) -> str:
        """The delivery's."""
        return self.claim.delivery.message_id

    @property
    def message(self) -> Message | None:
        """What is to be carried, if anything is."""
        return self.made.message if isinstance(self.made, Composed) else None

    def end(self, result: Result | PutOff, *, at: datetime) -> None:
        """Say what came of it."""
        self.result, self.at = result, at

    def never_left(self) -> None:
        """Take back that it may be out by this attempt: it is known not to be."""
        self.claim.delivery.data_at = self.was_out_at


def settle_all(session: Session, attempts: Sequence[Attempt]) -> Counter[Outcome]:
    """Write what attempts came to, and count it.

    Args:
        session: An open transaction, with the patrons held.
        attempts: With their results; all still ours.
    """
    ended = [
        (one, one.result, one.at)
        for one in attempts
        if one.at is not None and one.result is not None
    ]
    failed = [one.claim.id for one, how, _ in ended if isinstance(how, DeliveryFailed)]
    failures = _failures(session, failed)
    counted = Counter[Outcome]()
    ledger: list[tuple[object, ...]] = []
    shown: list[tuple[object, ...]] = []
    freed: list[int] = []
    news: list[_News] = []
    for one, result, at in ended:
        delivery = one.claim.delivery
        if isinstance(result, PutOff):
            one.never_left()
            delivery.state, delivery.worker = DeliveryState.PENDING, None
            delivery.due_at, delivery.cause = result.until, result.cause
            counted[Outcome.HELD] += result.cause is not None
            continue
        outcome = settle(
            delivery,
            result,
            at=at,
            failures=failures.get(delivery.id, 0),
            was_out_at=one.was_out_at,
        )
        counted[outcome] += 1
        made = one.made if isinstance(one.made, Composed) else Composed(None)
        ledger.append(_ledger_entry(one.claim, made, result, outcome, at))
        news += _news(made, result, at)
        if outcome is Outcome.SENT:
            shown += _impressions(delivery, made, at)
        if outcome is Outcome.WITHHELD and one.was_out_at is None:
            freed += [delivery.id] if _rides_again(delivery) else []
    _record_health(session, news)
    outbox.store(session, [one.claim for one, _, _ in ended])
    _LEDGER.rows(session, ledger)
    _SHOWN.rows(session, shown)
    if freed:
        session.connection().execute(_FREE, {"ids": freed})
    return counted


_LEDGER = Pour(
    LedgerEntry,
    *("delivery_id", "patron_id", "attempt", "outcome"),
    *("address", "subject", "body", "reason", "at"),
)
_SHOWN = Pour(
    Impression,
    *("list_ref", "patron_id", "work_id", "alert_id", "place"),
    *("rank", "model_version_id", "rule_id", "shown_at"),
)
_FREE = (
    update(Alert)
    .where(
        Alert.delivery_id.in_(bindparam("ids", expanding=True)),
        Alert.handled_at.is_(None),
    )
    .values(delivery_id=None)
    .execution_options(synchronize_session=False)
)


def _rides_again(delivery: Delivery) -> bool:
    by_mail_next = delivery.channel in REPLACEABLE and delivery.cause in _NO_WAY
    return by_mail_next or delivery.cause in _RIDE_AGAIN


def _failures(session: Session, delivery_ids: Sequence[int]) -> Mapping[int, int]:
    """Return how often each was put off before."""
    if not delivery_ids:
        return {}
    rows = session.execute(
        select(LedgerEntry.delivery_id, func.count())
        .where(
            LedgerEntry.delivery_id.in_(delivery_ids),
            LedgerEntry.outcome == Outcome.DEFERRED,
        )
        .group_by(LedgerEntry.delivery_id)
    )
    return {delivery_id: count for delivery_id, count in rows}  # noqa: C416 -- mypy wants the tuple opened


def _ledger_entry(
    claim: Claim, composed: Composed, result: Result, outcome: Outcome, at: datetime
) -> tuple[object, ...]:
    delivery, message = claim.delivery, composed.message
    keep = message is not None and delivery.purpose not in PRIVATE
    return (
        delivery.id,
        delivery.patron_id,
        claim.attempt,
        outcome.value,
        message.to.address if message else None,
        message.subject if message else None,
        message.text if message and keep else None,
        _reason(result),
        at,
    )


def _reason(result: Result) -> str:
    if isinstance(result, Sent):
        return result.answer
    if isinstance(result, Ruling):
        return result.cause or ""
    return str(result)


@dataclass(frozen=True)
class _News:
    """What a message says of the contact point it went to."""

    contact_point_id: int
    trouble: Trouble | None
    """None: it was taken."""
    at: datetime


def _news(made: Composed, result: Result, at: datetime) -> list[_News]:
    contact = made.contact
    if contact is None or isinstance(result, Ruling):
        return []
    if isinstance(result, DeliveryFailed):
        trouble = trouble_of(result)
        return [_News(contact.id, trouble, at)] if trouble else []
    return [_News(contact.id, None, at)] if contact.troubled else []


def _record_health(session: Session, news: Sequence[_News]) -> None:
    points = contacts.hold(session, {one.contact_point_id for one in news})
    for one in news:
        point = points.get(one.contact_point_id)
        if point is None:
            continue
        if one.trouble:
            contacts.record_trouble(point, one.trouble, at=one.at)
        else:
            contacts.record_success(point)


def _impressions(
    delivery: Delivery, composed: Composed, at: datetime
) -> list[tuple[object, ...]]:
    list_ref, place = f"delivery:{delivery.id}", delivery.channel.value
    return [
        (
            list_ref,
            delivery.patron_id,
            entry.work_id,
            entry.alert_id,
            place,
            rank,
            entry.model_version_id,
            entry.rule_id,
            at,
        )
        for rank, entry in enumerate(composed.shown, 1)
    ]
