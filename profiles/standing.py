"""All the gate needs to know of patrons, read at once."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    BindParameter,
    Row,
    Select,
    SQLColumnExpression,
    String,
    bindparam,
    cast,
    func,
    literal,
    null,
    or_,
    select,
    union_all,
)
from sqlalchemy.orm import Session

from library.db import UtcDateTime
from library.errors import NotFound
from library.tables import (
    Branch,
    Consent,
    ContactPoint,
    Delivery,
    Guardian,
    Patron,
    Pause,
    Preference,
)
from library.vocabulary import (
    Channel,
    ConsentPurpose,
    DeliveryState,
    Purpose,
    Rhythm,
)
from profiles.contacts import fitness
from profiles.preferences import get, pause_end
from profiles.rhythm import is_over

CAP_WINDOW = timedelta(days=7)
CAPPED = frozenset(
    {Purpose.DIGEST, Purpose.CAMPAIGN, Purpose.SURVEY, Purpose.AVAILABLE}
)
"""What a patron did not ask for at this moment, and may get too much of."""

SHOWN = frozenset({Channel.PAGE, Channel.FEED})
"""Channels a patron comes to; nothing is carried, so nothing can disturb."""


@dataclass(frozen=True)
class ContactStanding:
    """How a contact point stands."""

    id: int
    address: str
    verified: bool = True
    stopped: bool = False
    retry_at: datetime | None = None
    troubled: bool = False
    """Bounces are counted against it; a success clears them."""
    others: tuple[str, ...] = ()
    """Where else the patron can be reached on this channel, the fittest first."""


@dataclass(frozen=True)
class Reader:
    """Whom a message is for, and how they read."""

    patron_id: int
    name: str | None
    language: str
    digits: str | None
    category: str | None
    branch_id: int
    discreet: bool


@dataclass(frozen=True)
class Asked:
    """Of whom to tell how we stand, and on which channel."""

    patron_id: int
    channel: Channel
    besides: int | None = None
    """A delivery not counted as sent: the one asked for."""
    contact_point_id: int | None = None
    """Where exactly, when it is not for us to choose."""


@dataclass(frozen=True)
class Standing:
    """How we stand with one patron on one channel, at one moment."""

    patron_id: int
    active: bool = True
    rhythm: Rhythm = Rhythm.WEEKLY
    zone: str = "UTC"
    quiet_from: int | None = None
    quiet_to: int | None = None
    consents: frozenset[ConsentPurpose] = frozenset()
    pauses: dict[str, datetime] = field(default_factory=dict)
    """Until when each scope is paused; over ones are left out."""
    contact: ContactStanding | None = None
    recent: tuple[datetime, ...] = ()
    """When capped messages went out in the last week, in order."""
    reader: Reader | None = None
    """The gate does not ask; whoever writes the message does."""


def standing(
    session: Session,
    patron_id: int,
    channel: Channel,
    *,
    at: datetime,
    besides: int | None = None,
    contact_point_id: int | None = None,
) -> Standing:
    """Read how we stand with one patron; see `Asked`.

    Raises:
        NotFound: There is no such patron any more.
    """
    asked = Asked(patron_id, channel, besides, contact_point_id)
    (found,) = standings(session, [asked], at=at)
    if found is None:
        raise NotFound(f"there is no patron {patron_id}")
    return found


def standings(
    session: Session, asked: Sequence[Asked], *, at: datetime
) -> list[Standing | None]:
    """Read how we stand with many patrons, in two statements however many they are.

    Args:
        session: An open transaction.
        asked: Of whom.
        at: The moment of telling.

    Returns:
        One for each asked, in their order; None where the patron is gone.
    """
    ids = list({one.patron_id for one in asked})
    session.flush()
    connection = (
        session.connection()
    )  # plain rows: the session's own cost twice as much
    rows: Iterable[Row[Any]] = connection.execute(_PEOPLE, {"ids": ids})
    people = {row.id: row for row in rows}
    facts: dict[int, list[Row[Any]]] = defaultdict(list)
    for fact in connection.execute(_FACTS, {"ids": ids, "since": at - CAP_WINDOW}):
        facts[fact.patron_id].append(fact)
    return [
        _standing(session, person, facts[one.patron_id], one, at)
        if (person := people.get(one.patron_id))
        else None
        for one in asked
    ]


def hold(session: Session, patron_ids: Collection[int]) -> None:
    """Hold patrons until the transaction ends.

    So two workers cannot pass the cap of one, and none is erased half-way. On SQLite
    one transaction writes at a time, and nothing is to be done.
    """
    connection = session.connection()
    if connection.dialect.name != "sqlite":
        connection.execute(_HELD, {"ids": list(patron_ids)}).all()


# Asked before every message: made once, so that only the values are new each time.
_IDS: BindParameter[int] = bindparam("ids", expanding=True)
_PEOPLE = (
    select(
        Patron.id,
        Patron.name,
        Patron.language,
        Patron.digits,
        Patron.category,
        Patron.branch_id,
        Patron.expires_on,
        Branch.zone.label("branch_zone"),
        Preference.rhythm,
        Preference.zone,
        Preference.quiet_from,
        Preference.quiet_to,
        Preference.discreet,
    )
    .join(Branch, Branch.id == Patron.branch_id)
    .outerjoin(Preference, Preference.patron_id == Patron.id)
    .where(Patron.id.in_(_IDS))
)
_HELD = (
    select(Patron.id)
    .where(Patron.id.in_(_IDS))
    .order_by(Patron.id)
    .with_for_update(key_share=True)
)


def _arm(  # noqa: PLR0913 -- the columns of a union
    kind: str,
    patron_id: SQLColumnExpression[Any],
    *,
    ref: SQLColumnExpression[Any] | None = None,
    word: SQLColumnExpression[Any] | None = None,
    channel: SQLColumnExpression[Any] | None = None,
    moments: Sequence[SQLColumnExpression[Any]] = (),
    counted: SQLColumnExpression[Any] | None = None,
) -> Select[Any]:
    nothing = cast(null(), UtcDateTime)
    four = [*moments, nothing, nothing, nothing, nothing][:4]
    return select(
        literal(kind).label("kind"),
        patron_id.label("patron_id"),
        (literal(0) if ref is None else ref).label("ref"),
        (literal("") if word is None else word).label("word"),
        (literal("") if channel is None else channel).label("channel"),
        *(moment.label(name) for moment, name in zip(four, _MOMENTS, strict=True)),
        (literal(0) if counted is None else counted).label("counted"),
    )


_MOMENTS = ("first", "second", "third", "fourth")


def _points(kind: str, patron_id: SQLColumnExpression[Any]) -> Select[Any]:
    return _arm(
        kind,
        patron_id,
        ref=ContactPoint.id,
        word=ContactPoint.address,
        channel=cast(ContactPoint.channel, String),
        moments=[
            ContactPoint.verified_at,
            ContactPoint.stopped_at,
            ContactPoint.retry_at,
            ContactPoint.created_at,
        ],
        counted=ContactPoint.hard + ContactPoint.soft,
    )


_WENT_AT = func.coalesce(Delivery.settled_at, Delivery.data_at)
_FIRST_GUARDIAN = (
    select(func.min(Guardian.guardian_id).label("id"), Guardian.patron_id)
    .where(Guardian.patron_id.in_(_IDS))
    .group_by(Guardian.patron_id)
    .subquery()
)
_FACTS = union_all(
    # One that may be out (data_at) counts as out, or two workers would pass the cap.
    _arm("out", Delivery.patron_id, ref=Delivery.id, moments=[_WENT_AT]).where(
        Delivery.patron_id.in_(_IDS),
        Delivery.purpose.in_(CAPPED),
        Delivery.channel.not_in(SHOWN),
        or_(Delivery.state == DeliveryState.SENT, Delivery.data_at.is_not(None)),
        bindparam("since", type_=UtcDateTime) < _WENT_AT,
    ),
    _arm("consent", Consent.patron_id, word=cast(Consent.purpose, String)).where(
        Consent.patron_id.in_(_IDS), Consent.withdrawn_at.is_(None)
    ),
    _arm("pause", Pause.patron_id, word=Pause.scope, moments=[Pause.until]).where(
        Pause.patron_id.in_(_IDS)
    ),
    _points("own", ContactPoint.patron_id).where(ContactPoint.patron_id.in_(_IDS)),
    _arm("guarded", _FIRST_GUARDIAN.c.patron_id, ref=_FIRST_GUARDIAN.c.id),
    _points("guardian's", _FIRST_GUARDIAN.c.patron_id).join(
        _FIRST_GUARDIAN, _FIRST_GUARDIAN.c.id == ContactPoint.patron_id
    ),
)


def _standing(
    session: Session,
    person: Row[Any],
    facts: Sequence[Row[Any]],
    asked: Asked,
    at: datetime,
) -> Standing:
    own = person if person.rhythm is not None else get(session, person.id)
    by_kind: dict[str, list[Row[Any]]] = defaultdict(list)
    for fact in facts:
        by_kind[fact.kind].append(fact)
    ends = ((pause.word, pause_end(pause.first)) for pause in by_kind["pause"])
    recent = (out.first for out in by_kind["out"] if out.ref != asked.besides)
    return Standing(
        patron_id=person.id,
        active=not is_over(person.expires_on, person.branch_zone, at=at),
        rhythm=own.rhythm,
        zone=own.zone,
        quiet_from=own.quiet_from,
        quiet_to=own.quiet_to,
        consents=frozenset(ConsentPurpose(one.word) for one in by_kind["consent"]),
        pauses={scope: until for scope, until in ends if until > at},
        contact=_contact(by_kind, asked),
        recent=tuple(sorted(recent)),
        reader=Reader(
            person.id,
            person.name,
            person.language,
            person.digits,
            person.category,
            person.branch_id,
            own.discreet,
        ),
    )


def _contact(
    facts: Mapping[str, Sequence[Row[Any]]], asked: Asked
) -> ContactStanding | None:
    if asked.channel in SHOWN:
        return None
    if asked.contact_point_id is not None:
        points = [one for one in facts["own"] if one.ref == asked.contact_point_id]
    else:
        whose = facts["guardian's"] if facts["guarded"] else facts["own"]
        points = [one for one in whose if one.channel == asked.channel]
    if not points:
        return None
    best, *rest = sorted(
        points,
        key=lambda p: fitness(p.second, p.first, p.fourth, p.ref),
        reverse=True,
    )
    return ContactStanding(
        best.ref,
        best.word,
        verified=best.first is not None,
        stopped=best.second is not None,
        retry_at=best.third,
        troubled=bool(best.counted),
        others=tuple(p.word for p in rest if p.first and p.second is None),
    )
