"""One `Idempotency-Key` makes one change: the same again gets the same answer.

The key is stored in the transaction of the change itself, so that a crash leaves both
or neither. A second request with the key waits for the first, then replays its answer.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Select, delete, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from library.errors import InvalidInput
from library.tables import IdempotencyKey

KEPT: Final = timedelta(hours=24)
_LONGEST: Final = 200


@dataclass(frozen=True)
class Request:
    """A request as far as it must be the same to get the same answer."""

    caller: str
    key: str
    route: str
    body: bytes

    @property
    def body_hash(self) -> str:
        """The body, in short."""
        return hashlib.sha256(self.body).hexdigest()


@dataclass(frozen=True)
class Answer:
    """What was answered."""

    status: int
    headers: dict[str, str]
    body: Any


def begin(session: Session, request: Request, *, at: datetime) -> Answer | None:
    """Take the key, or return the answer that was given under it.

    Raises:
        InvalidInput: The key is blank or too long, or was used for another request.
    """
    if not request.key.strip() or len(request.key) > _LONGEST:
        raise InvalidInput(
            f"an Idempotency-Key has 1 to {_LONGEST} characters",
            field="Idempotency-Key",
        )
    session.execute(delete(IdempotencyKey).where(IdempotencyKey.expires_at <= at))
    if _took(session, request, at):
        return None
    kept = session.scalars(_find(request)).one()
    if (kept.route, kept.body_hash) != (request.route, request.body_hash):
        raise InvalidInput(
            "this Idempotency-Key was used for another request", field="Idempotency-Key"
        )
    return Answer(**(kept.answer or {}))


def finish(session: Session, request: Request, answer: Answer) -> None:
    """Keep the answer beside the change."""
    session.scalars(_find(request)).one().answer = vars(answer)


def _took(session: Session, request: Request, at: datetime) -> bool:
    row = IdempotencyKey(
        caller=request.caller,
        key=request.key,
        route=request.route,
        body_hash=request.body_hash,
        expires_at=at + KEPT,
    )
    try:
        with session.begin_nested():
            session.add(row)
    except IntegrityError:
        return False
    return True


def _find(request: Request) -> Select[IdempotencyKey]:
    return select(IdempotencyKey).where(
        IdempotencyKey.caller == request.caller, IdempotencyKey.key == request.key
    )
