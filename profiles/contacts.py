"""Where a patron is reached, and how each contact point bears up.

A patron is not an address: families share one, and a child's messages go to a guardian.
The address is read anew before each message, so a changed one also moves what waits.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from sqlalchemy import BindParameter, and_, bindparam, func, or_, select
from sqlalchemy.orm import Session, object_session

from library.addresses import is_email
from library.db import insert_into
from library.errors import InvalidInput, NotFound
from library.tables import Bounce, ContactPoint, Delivery, Guardian, Patron
from library.vocabulary import Channel, DeliveryState

LIFTED = "contact.lifted"
"""The action of the line in the audit when mail goes to a stopped one again."""
HARD_LIMIT = 2
"""At the second hard bounce a contact point is stopped."""
SOFT_LIMIT = 6
"""At the sixth soft bounce in a row too; before it, pauses of 2, 4, … 32 hours."""


_PATRON: BindParameter[int] = bindparam("patron_id")
_READER = (
    select(func.min(Guardian.guardian_id))
    .where(Guardian.patron_id == _PATRON)
    .scalar_subquery()
)
_POINTS = select(ContactPoint).where(
    ContactPoint.patron_id == func.coalesce(_READER, _PATRON),
    ContactPoint.channel == bindparam("channel"),
)


class Trouble(StrEnum):
    """What is reported of an address."""

    HARD = "hard"
    SOFT = "soft"
    COMPLAINT = "complaint"
    GONE = "gone"
    """It was given up; nothing will ever arrive there again."""


@dataclass(frozen=True)
class Stopped:
    """An e-mail address to which nothing is sent any more."""

    id: int
    """The contact point's."""
    patron_id: int
    patron: str
    """Their name, or the key they were imported by."""
    address: str
    stopped_at: datetime
    trouble: Trouble | None
    """What was reported last; None: the server refused it at once."""


@dataclass(frozen=True)
class Health:
    """How a contact point bears up."""

    hard: int = 0
    soft: int = 0
    retry_at: datetime | None = None
    stopped_at: datetime | None = None


def after_trouble(health: Health, trouble: Trouble, *, at: datetime) -> Health:
    """Return how it stands after a trouble; a stopped one stays so."""
    if health.stopped_at:
        return health
    if trouble in {Trouble.COMPLAINT, Trouble.GONE}:
        return replace(health, stopped_at=at)
    if trouble is Trouble.HARD:
        hard = health.hard + 1
        return replace(health, hard=hard, stopped_at=at if hard >= HARD_LIMIT else None)
    soft = health.soft + 1
    return replace(
        health,
        soft=soft,
        retry_at=at + timedelta(hours=2**soft),
        stopped_at=at if soft >= SOFT_LIMIT else None,
    )


def after_success(health: Health) -> Health:
    """Return how it stands after a message was taken: what was counted is forgotten."""
    return replace(health, hard=0, soft=0, retry_at=None)


def address_of(
    session: Session, patron_id: int, channel: Channel
) -> ContactPoint | None:
    """Return where to reach the patron now: the guardian's address for a child."""
    points = session.scalars(_POINTS, {"patron_id": patron_id, "channel": channel})
    return max(
        points,
        key=lambda p: fitness(p.stopped_at, p.verified_at, p.created_at, p.id),
        default=None,
    )


def fitness(
    stopped_at: datetime | None,
    verified_at: datetime | None,
    created_at: datetime | None,
    contact_point_id: int,
) -> tuple[bool, bool, datetime, int]:
    """Return what to choose the best of several contact points by.

    One that works goes before one that does not, then the newest.
    """
    since = created_at or datetime.min.replace(tzinfo=UTC)
    return stopped_at is None, verified_at is not None, since, contact_point_id


def add(
    session: Session, patron_id: int, channel: Channel, address: str, *, at: datetime
) -> ContactPoint:
    """Add a contact point, unverified; one that is there already is returned.

    Raises:
        InvalidInput: It is no address of this channel.
    """
    address = address.strip()
    if channel is Channel.EMAIL and not is_email(address):
        raise InvalidInput(f"{address!r} is no e-mail address", field="address")
    one = {"patron_id": patron_id, "channel": channel, "address": address}
    new = insert_into(session, ContactPoint).values(**one, created_at=at)
    session.execute(new.on_conflict_do_nothing())
    return session.scalars(select(ContactPoint).filter_by(**one)).one()


def ask_for(
    session: Session, patron_id: int, channel: Channel, address: str, *, at: datetime
) -> ContactPoint:
    """Add a contact point that its patron asks to be reached at.

    One that was stopped starts again and must be confirmed anew.

    Raises:
        InvalidInput: It is no address of this channel.
    """
    point = add(session, patron_id, channel, address, at=at)
    if point.stopped_at is not None:
        set_health(point, Health())
        point.verified_at = None
        session.flush()
    return point


def unconfirmed(session: Session, patron_id: int) -> Sequence[ContactPoint]:
    """Return the patron's own addresses that wait to be confirmed, newest first."""
    return session.scalars(
        select(ContactPoint)
        .where(
            ContactPoint.patron_id == patron_id,
            ContactPoint.verified_at.is_(None),
            ContactPoint.stopped_at.is_(None),
        )
        .order_by(ContactPoint.id.desc())
    ).all()


def verify(session: Session, contact_point_id: int, *, at: datetime) -> ContactPoint:
    """Take it as the patron's own and working; a stopped one starts again."""
    point = restart(session, contact_point_id)
    point.verified_at = at
    return point


def stop(session: Session, contact_point_id: int, *, at: datetime) -> ContactPoint:
    """Send nothing there any more; the row and the patron stay."""
    point = _point(session, contact_point_id)
    point.stopped_at = at
    return point


def restart(session: Session, contact_point_id: int) -> ContactPoint:
    """Forget what was counted against it, and send there again."""
    point = _point(session, contact_point_id)
    set_health(point, Health())
    return point


def stopped(session: Session, *, branch_id: int | None = None) -> list[Stopped]:
    """Return the e-mail addresses that were stopped, the latest first.

    Args:
        session: An open transaction.
        branch_id: Of whose patrons; None: of all.
    """
    last = select(func.max(Bounce.id)).group_by(Bounce.contact_point_id)
    rows = (
        select(ContactPoint, Patron, Bounce.kind)
        .join(Patron, Patron.id == ContactPoint.patron_id)
        .outerjoin(
            Bounce,
            and_(Bounce.contact_point_id == ContactPoint.id, Bounce.id.in_(last)),
        )
        .where(
            ContactPoint.channel == Channel.EMAIL, ContactPoint.stopped_at.is_not(None)
        )
        .order_by(ContactPoint.stopped_at.desc(), ContactPoint.id.desc())
    )
    if branch_id is not None:
        rows = rows.where(Patron.branch_id == branch_id)
    return [
        Stopped(
            point.id,
            patron.id,
            patron.name or patron.external_id,
            point.address,
            point.stopped_at,
            Trouble(kind) if kind else None,
        )
        for point, patron, kind in session.execute(rows)
        if point.stopped_at
    ]


def hold(session: Session, ids: Collection[int]) -> Mapping[int, ContactPoint]:
    """Return contact points by id, which nobody else counts against meanwhile.

    A count goes on from what stands there: whoever reads it holds it first.
    """
    if not ids:
        return {}
    held = (
        select(ContactPoint)
        .where(ContactPoint.id.in_(ids))
        .order_by(ContactPoint.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return {point.id: point for point in session.scalars(held)}


def record_trouble(point: ContactPoint, trouble: Trouble, *, at: datetime) -> None:
    """Count a bounce or complaint against a contact point that is held."""
    set_health(point, after_trouble(health_of(point), trouble, at=at))


def record_success(point: ContactPoint) -> None:
    """Clear what was counted, as a message was taken; not while mail comes back.

    A server that takes a message may only pass it on, and say later that it failed. So
    nothing is cleared before one message was taken of which nothing came back until
    the next.
    """
    session = object_session(point)
    if session is None or not _comes_back(session, point):
        set_health(point, after_success(health_of(point)))


def health_of(point: ContactPoint) -> Health:
    """Return how a contact point stands."""
    return Health(point.hard, point.soft, point.retry_at, point.stopped_at)


def set_health(point: ContactPoint, health: Health) -> None:
    """Store how a contact point stands."""
    point.hard, point.soft = health.hard, health.soft
    point.retry_at, point.stopped_at = health.retry_at, health.stopped_at


def _comes_back(session: Session, point: ContactPoint) -> bool:
    """Tell whether a report came since the message before the one just taken."""
    reported_at = session.scalar(
        select(func.max(Bounce.at)).where(Bounce.contact_point_id == point.id)
    )
    if reported_at is None:
        return False
    wards = select(Guardian.patron_id).where(Guardian.guardian_id == point.patron_id)
    taken_before = session.scalar(
        select(func.max(Delivery.settled_at)).where(
            or_(Delivery.patron_id == point.patron_id, Delivery.patron_id.in_(wards)),
            Delivery.channel == point.channel,
            Delivery.state == DeliveryState.SENT,
        )
    )
    return taken_before is None or taken_before <= reported_at


def _point(session: Session, contact_point_id: int) -> ContactPoint:
    found = session.get(ContactPoint, contact_point_id)
    if found is None:
        raise NotFound(f"there is no contact point {contact_point_id}")
    return found
