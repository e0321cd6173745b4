"""From deliveries to their messages: the facts as they are now, and the gate once more.

A batch is read in sets and its messages are made ahead; right before each leaves, its
facts are read again, alone, and must be the same.
"""

import secrets
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from library.sealing import unseal
from library.settings import Settings
from library.tables import Alert, Branch, Delivery
from library.vocabulary import Purpose
from notifier.as_data import RENDERED, named
from notifier.contents import (
    Entry,
    Wish,
    barred,
    entries,
    interest_labels,
    own_rhythms,
)
from notifier.digest import Digest, arrange
from notifier.endings import endings
from notifier.gate import Answer, House, Ruling, may_send
from notifier.message import Message
from notifier.outcomes import carrier_of
from notifier.rendering import (
    Recipient,
    recipient,
    render_confirm,
    render_digest,
    render_sign_in,
)
from profiles.causes import Cause
from profiles.standing import SHOWN, Asked, ContactStanding, Standing, standings

PRIVATE = frozenset({Purpose.SIGN_IN, Purpose.CONFIRM})
"""Messages that open doors: their words are kept nowhere."""

_ALERTS = (
    select(Alert.delivery_id, Alert.id, Alert.work_id)
    .where(
        Alert.delivery_id.in_(bindparam("carriers", expanding=True)),
        Alert.withdrawn_at.is_(None),
    )
    .order_by(Alert.id)
)
_GONE = Ruling(Answer.NEVER, Cause.GONE)


@dataclass(frozen=True)
class Facts:
    """All that decides whether a delivery may go, and of what it tells."""

    standing: Standing | None
    """None: the patron is gone."""
    told: tuple[int, ...] = ()
    """Alerts, in their order."""


@dataclass(frozen=True)
class Draft:
    """A message that may go, not yet written."""

    delivery: Delivery
    to: Recipient
    digest: Digest[Entry] | None = None
    labels: Mapping[int, str] | None = None


@dataclass(frozen=True)
class Composed:
    """A message that may go now, and what it shows."""

    message: Message | None
    """None on a channel that a patron comes to."""
    contact: ContactStanding | None = None
    shown: tuple[Entry, ...] = ()


def facts_of(
    session: Session, deliveries: Sequence[Delivery], *, at: datetime
) -> list[Facts]:
    """Read what decides over deliveries, in four statements however many they are.

    Consent, pause, address, loans and verdicts are read here and nowhere earlier: what
    changed since the digest was made counts.
    """
    found = standings(session, [_asked(one) for one in deliveries], at=at)
    alerts = _alerts_of(session, deliveries)
    wishes = [
        _wish(stands, alerts[carrier_of(one)])
        for one, stands in zip(deliveries, found, strict=True)
    ]
    bars = barred(session, wishes, at=at)
    return [
        Facts(
            stands,
            tuple(
                alert_id
                for alert_id, work_id in alerts[carrier_of(one)]
                if work_id not in bar
            ),
        )
        for one, stands, bar in zip(deliveries, found, bars, strict=True)
    ]


def ruling_on(
    settings: Settings, delivery: Delivery, facts: Facts, *, at: datetime
) -> Ruling:
    """Say whether a delivery may go now, later or never. Pure."""
    if at > delivery.not_after:
        return Ruling(Answer.NEVER, Cause.EXPIRED)
    stands = facts.standing
    if stands is None:
        return _GONE
    house = House.of(settings)
    ruling = may_send(stands, delivery.purpose, delivery.channel, at, house=house)
    if ruling.answer is Answer.SEND and not _has_something(delivery, facts):
        return Ruling(Answer.NEVER, Cause.NOTHING_LEFT)
    return ruling


def drafts(
    session: Session,
    settings: Settings,
    deliveries: Sequence[Delivery],
    facts: Sequence[Facts],
) -> list[Draft]:
    """Read what the messages of these deliveries say, in sets; each may go."""
    branches: dict[int, dict[int, list[int]]] = defaultdict(dict)
    to: dict[int, Recipient] = {}
    own = own_rhythms(session, {one.patron_id for one in deliveries})
    for delivery, fact in zip(deliveries, facts, strict=True):
        stands = fact.standing
        if stands is None or stands.reader is None:
            continue
        branch = session.get_one(Branch, stands.reader.branch_id)
        to[delivery.id] = recipient(settings, stands, branch, own[stands.patron_id])
        branches[branch.id][delivery.id] = list(fact.told)
    told = {one: _entries(session, ids, branch_id=one) for one, ids in branches.items()}
    ending = endings(session, deliveries)
    digests = {
        delivery_id: replace(
            arrange(of_branch[delivery_id], limit=settings.digest_limit),
            ending=ending.get(delivery_id, ()),
        )
        for of_branch in told.values()
        for delivery_id in of_branch
    }
    interests = {e.interest_id for one in digests.values() for e in one.shown}
    labels = interest_labels(session, interests)
    return [
        Draft(one, to[one.id], digests[one.id], labels)
        if one.purpose is Purpose.DIGEST
        else Draft(one, to[one.id])
        for one in deliveries
        if one.id in to
    ]


def compose(
    settings: Settings, draft: Draft, facts: Facts, *, at: datetime
) -> Composed | Ruling:
    """Write a message, or say why it may not go now; the gate is asked first."""
    ruling = ruling_on(settings, draft.delivery, facts, at=at)
    if ruling.answer is not Answer.SEND:
        return ruling
    delivery, to, digest = draft.delivery, draft.to, draft.digest
    contact = facts.standing.contact if facts.standing else None
    if delivery.channel in SHOWN:
        return Composed(None)
    if digest is None:
        return Composed(_private(settings, delivery, to, at=at), contact)
    render = RENDERED.get(delivery.channel, render_digest)
    message = render(settings, delivery, to, digest, draft.labels or {}, at=at)
    return Composed(message, contact, named(delivery, to, digest))


def preview(
    session: Session, settings: Settings, delivery: Delivery, *, at: datetime
) -> Message | None:
    """Return a digest's message as it would be now, to be looked at by a librarian.

    Nobody is told by it, so the gate is not asked; its links are dead, so whoever looks
    at it cannot answer in the patron's place. None where nothing is left to tell.
    """
    facts = facts_of(session, [delivery], at=at)
    dead = replace(settings, secret=secrets.token_hex())
    for draft in drafts(session, dead, [delivery], facts):
        if draft.digest and draft.digest.total:
            return render_digest(
                dead, delivery, draft.to, draft.digest, draft.labels or {}, at=at
            )
    return None


def _private(
    settings: Settings, delivery: Delivery, to: Recipient, *, at: datetime
) -> Message:
    sealed = delivery.parameters
    link = unseal(settings.secret, sealed["link"])
    if delivery.purpose is Purpose.CONFIRM:
        return render_confirm(settings, delivery, to, link=link, at=at)
    code = unseal(settings.secret, sealed["code"])
    return render_sign_in(settings, delivery, to, link=link, code=code, at=at)


def _asked(delivery: Delivery) -> Asked:
    where = delivery.parameters.get("contact_point_id")
    return Asked(delivery.patron_id, delivery.channel, delivery.id, where)


def _has_something(delivery: Delivery, facts: Facts) -> bool:
    if delivery.purpose is Purpose.DIGEST:
        return bool(facts.told)
    return delivery.purpose in PRIVATE and "link" in delivery.parameters


def _wish(stands: Standing | None, alerts: Sequence[tuple[int, int]]) -> Wish:
    reader = stands.reader if stands else None
    if reader is None:
        return Wish(0, 0, None, frozenset())
    works = frozenset(work_id for _, work_id in alerts)
    return Wish(reader.patron_id, reader.branch_id, reader.category, works)


def _alerts_of(
    session: Session, deliveries: Sequence[Delivery]
) -> Mapping[int, list[tuple[int, int]]]:
    """Return alert and work by the delivery that carries them."""
    carriers = {carrier_of(one) for one in deliveries if one.purpose is Purpose.DIGEST}
    found: dict[int, list[tuple[int, int]]] = defaultdict(list)
    if not carriers:
        return found
    rows = session.connection().execute(_ALERTS, {"carriers": list(carriers)})
    for carrier, alert_id, work_id in rows:
        found[carrier or 0].append((alert_id, work_id))
    return found


def _entries(
    session: Session, told: Mapping[int, Sequence[int]], *, branch_id: int
) -> dict[int, list[Entry]]:
    """Return the entries of each delivery, by the ids of its alerts."""
    ids = {alert_id for alerts in told.values() for alert_id in alerts}
    found = {
        entry.alert_id: entry for entry in entries(session, ids, branch_id=branch_id)
    }
    return {
        delivery_id: [found[one] for one in alerts_told if one in found]
        for delivery_id, alerts_told in told.items()
    }
