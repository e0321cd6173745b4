"""The rows of the outbox: whose they are for a while, and what became of them.

A claim is a lease. What a dead worker held is claimed again when it runs out, with the
same Message-ID.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import BindParameter, bindparam, select, update
from sqlalchemy.orm import Session

from library.tables import Delivery
from library.vocabulary import Channel, DeliveryState, Purpose
from notifier.gate import ASKED_FOR
from profiles.standing import CAPPED

LEASE = timedelta(minutes=15)
CONVERSATION = timedelta(minutes=12)
"""The longest talk with a server; DATA starts only if so much of the lease is left."""

OPEN = (DeliveryState.PENDING, DeliveryState.SENDING)

_CHANGED = (
    "state",
    "worker",
    "due_at",
    "data_at",
    "cause",
    "settled_at",
    "parameters",
)
"""What an attempt changes in its row."""


@dataclass(frozen=True)
class Claim:
    """A delivery that is ours until the lease ends."""

    delivery: Delivery
    """As it was claimed, apart from any session."""
    attempt: int
    worker: str
    until: datetime

    @property
    def id(self) -> int:
        """The delivery's."""
        return self.delivery.id

    @property
    def channel(self) -> Channel:
        """By which it goes."""
        return self.delivery.channel


def claim_due(
    session: Session,
    worker: str,
    *,
    at: datetime,
    limit: int,
    channels: frozenset[Channel],
) -> list[Claim]:
    """Claim up to `limit` deliveries that are due, the longest due first.

    What patrons wait for goes before all else. One conditional UPDATE each: of two
    workers that ask at once each row goes to one.
    """
    waited_for = _claim(session, worker, at, limit, channels, ASKED_FOR)
    if len(waited_for) == limit:
        return waited_for
    left = limit - len(waited_for)
    return [*waited_for, *_claim(session, worker, at, left, channels)]


def _claim(
    session: Session,
    worker: str,
    at: datetime,
    limit: int,
    channels: frozenset[Channel],
    purposes: frozenset[Purpose] = frozenset(),
) -> list[Claim]:
    due = (
        select(Delivery.id)
        .where(
            Delivery.state.in_(OPEN),
            Delivery.due_at <= at,
            Delivery.channel.in_(channels),
        )
        .order_by(Delivery.due_at, Delivery.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    if purposes:
        due = due.where(Delivery.purpose.in_(purposes))
    # Made once: PostgreSQL may run a plain subquery again and claim beyond `limit`.
    found = due.cte("due").prefix_with("MATERIALIZED", dialect="postgresql")
    rows = session.scalars(
        update(Delivery)
        .where(
            Delivery.id.in_(select(found.c.id)),
            Delivery.state.in_(OPEN),
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


def ours(session: Session, claims: Iterable[Claim]) -> set[int]:
    """Return the deliveries that are still ours, and hold them for this transaction.

    One that is not was erased, or its lease ran out and another worker has it.
    """
    by_id = {claim.id: claim for claim in claims}
    if not by_id:
        return set()
    rows = session.connection().execute(_HELD, {"ids": list(by_id)})
    return {
        row.id
        for row in rows
        if (row.worker, row.attempts) == (by_id[row.id].worker, by_id[row.id].attempt)
    }


def under_way(session: Session, claims: Collection[Claim]) -> set[int]:
    """Return the patrons to whom another message may be leaving right now.

    To be asked with the patrons held. Two that leave at once would pass a cap of one.
    """
    given = {
        "patron_ids": list({claim.delivery.patron_id for claim in claims}),
        "ids": [claim.id for claim in claims],
    }
    rows = session.connection().execute(_LEAVING, given)
    return set(rows.scalars())


def mark(session: Session, claims: Collection[Claim], *, at: datetime) -> None:
    """Store of deliveries that are ours that from here on they may be out."""
    for claim in claims:
        claim.delivery.data_at = at
    ids = [claim.id for claim in claims]
    session.connection().execute(_MARK, {"ids": ids, "at": at})


def store(session: Session, claims: Iterable[Claim]) -> None:
    """Store rows that are ours as they are now."""
    rows = [
        {"own_id": one.id} | {name: getattr(one.delivery, name) for name in _CHANGED}
        for one in claims
    ]
    if rows:
        session.connection().execute(_STORE, rows)


# Made once, so that only the values are new each time.
_IDS: BindParameter[int] = bindparam("ids", expanding=True)
_HELD = (
    select(Delivery.id, Delivery.worker, Delivery.attempts)
    .where(Delivery.id.in_(_IDS), Delivery.state == DeliveryState.SENDING)
    .order_by(Delivery.id)
    .with_for_update()
)
_LEAVING = select(Delivery.patron_id).where(
    Delivery.patron_id.in_(bindparam("patron_ids", expanding=True)),
    Delivery.state == DeliveryState.SENDING,
    Delivery.data_at.is_not(None),
    Delivery.purpose.in_(CAPPED),
    Delivery.id.not_in(_IDS),
)
_MARK = (
    update(Delivery)
    .where(Delivery.id.in_(_IDS))
    .values(data_at=bindparam("at"))
    .execution_options(synchronize_session=False)
)
_STORE = (
    update(Delivery)
    .where(Delivery.id == bindparam("own_id"))
    .values({name: bindparam(name) for name in _CHANGED})
    .execution_options(synchronize_session=False)
)
