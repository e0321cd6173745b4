"""Rows and fakes that the notifier's tests share."""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from library.db import Sessions, reading
from library.errors import DeliveryFailed
from library.settings import Settings
from library.tables import (
    Alert,
    ContactPoint,
    Delivery,
    Match,
    ModelVersion,
    Patron,
    Work,
)
from library.vocabulary import Channel, DeliveryState, ModelState, ReasonKind
from notifier.alerting import AlertReport, make_alerts
from notifier.delivery import DeliveryReport, deliver_due
from notifier.message import Message
from tests.factories import NOON, ada, make_work

MINUTE = timedelta(minutes=1)


class Outbox:
    """A mail server of few words: it keeps what it takes, and fails as told."""

    def __init__(
        self, *failures: DeliveryFailed | None, then: Callable[[], None] | None = None
    ) -> None:
        self.taken: list[Message] = []
        self._failures = list(failures)
        self._then = then

    def open(self) -> None:
        """It is always there."""

    def hand_over(self, message: Message, *, before: datetime) -> None:  # noqa: ARG002 -- as channels are asked
        failure = self._failures.pop(0) if self._failures else None
        if failure:
            raise failure
        self.taken.append(message)
        if self._then:
            self._then()

    def answer(self) -> str:
        return "250 taken"

    def close(self) -> None:
        """It stays there."""


def make_match(  # noqa: PLR0913 -- a match has many sides, each with a default
    session: Session,
    patron: Patron,
    work: Work,
    *,
    score: float = 1.0,
    interest_id: int | None = None,
    rule_id: int | None = None,
    at: datetime = NOON,
) -> Match:
    """Add a match of the model in use."""
    match = Match(
        patron_id=patron.id,
        work_id=work.id,
        model_version_id=model(session).id,
        score=score,
        rank=1,
        reasons=[reason("Cosmos")],
        interest_id=interest_id,
        rule_id=rule_id,
        created_at=at,
    )
    session.add(match)
    session.flush()
    return match


def matched(
    session: Session, patron: Patron, titles: Iterable[str], *, at: datetime = NOON
) -> list[Work]:
    """Add works that suit the patron, the first one best."""
    works = [make_work(session, title) for title in titles]
    for place, work in enumerate(works):
        make_match(session, patron, work, score=2.0 - place * 0.01, at=at)
    return works


def reason(label: str, kind: ReasonKind = ReasonKind.LOAN) -> dict[str, Any]:
    """Return a reason as matches keep it."""
    return {"kind": kind.value, "ref": 1, "label": label, "share": 0.5}


def model(session: Session) -> ModelVersion:
    """Return the model in use, made if there is none."""
    found = session.scalar(
        select(ModelVersion).where(ModelVersion.state == ModelState.CURRENT)
    )
    if found is None:
        found = ModelVersion(state=ModelState.CURRENT, seed=0, created_at=NOON)
        session.add(found)
        session.flush()
    return found


def point_of(session: Session, patron: Patron) -> ContactPoint:
    """Return the patron's one contact point."""
    return session.scalars(
        select(ContactPoint).where(ContactPoint.patron_id == patron.id)
    ).one()


def a_digest_for_ada(
    sessions: Sessions, settings: Settings, *titles: str, at: datetime = NOON
) -> int:
    """Match works to Ada and make her digest; return the delivery's id."""
    with sessions.begin() as session:
        matched(session, ada(session), titles or ("Contact",), at=at)
    alert(sessions, settings, at)
    return only(sessions).id


def alert(sessions: Sessions, settings: Settings, at: datetime = NOON) -> AlertReport:
    """Make alerts and digests of whoever is due."""
    return make_alerts(sessions, settings, at=at)


def deliver(
    sessions: Sessions,
    settings: Settings,
    outbox: Any,
    *,
    at: datetime = NOON,
    worker: str = "w1",
    limit: int | None = None,
) -> DeliveryReport:
    """Deliver what is due by e-mail through `outbox`."""
    return deliver_due(
        sessions,
        settings,
        at=at,
        worker=worker,
        limit=limit,
        channels={Channel.EMAIL: outbox},
    )


def deliveries(sessions: Sessions) -> list[Delivery]:
    """Return all deliveries in the order in which they were made."""
    with reading(sessions) as session:
        return list(session.scalars(select(Delivery).order_by(Delivery.id)))


def only(sessions: Sessions) -> Delivery:
    """Return the one delivery there is."""
    (delivery,) = deliveries(sessions)
    return delivery


def states(sessions: Sessions) -> list[DeliveryState]:
    """Return the states of all deliveries."""
    return [delivery.state for delivery in deliveries(sessions)]


def alerts(sessions: Sessions) -> list[Alert]:
    """Return all alerts in the order in which they were made."""
    with reading(sessions) as session:
        return list(session.scalars(select(Alert).order_by(Alert.id)))
