"""Erased patrons of whom the library's own app is still to be told.

Who they are to the app stands sealed, and only until it has taken the news.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from library.remembering import remember
from library.sealing import seal, unseal
from library.settings import Settings
from library.tables import ContactPoint, Patron, Setting
from library.vocabulary import Channel

_PREFIX: Final = "untold:"


@dataclass(frozen=True)
class Untold:
    """One erasure that the app has not taken yet."""

    number: str
    """Of the erasure's receipt."""
    erased_at: datetime
    sealed: str
    tries: int = 0
    due_at: datetime | None = None
    """When to try again; None: at once."""

    @property
    def name(self) -> str:
        """Under which it is kept."""
        return _PREFIX + self.number

    def patron(self, secret: str) -> dict[str, str]:
        """Return the patron as the app knows them.

        Raises:
            NotAllowed: The secret has changed since.
        """
        system, key = json.loads(unseal(secret, self.sealed))
        return {"system": system, "id": key}


def leave_word(
    session: Session, settings: Settings, patron: Patron, number: str, *, at: datetime
) -> None:
    """Leave word for the app of a patron who is being erased, if it knows them."""
    known = select(ContactPoint.id).where(
        ContactPoint.patron_id == patron.id, ContactPoint.channel == Channel.WEBHOOK
    )
    if settings.app_url and session.scalar(known.limit(1)) is not None:
        said = json.dumps([patron.system, patron.external_id])
        store(session, Untold(number, at, seal(settings.secret, said)))


def store(session: Session, untold: Untold) -> None:
    """Keep what is to be told, and when it is tried again."""
    value = {
        "erased_at": untold.erased_at.isoformat(),
        "sealed": untold.sealed,
        "tries": untold.tries,
        "due_at": untold.due_at.isoformat() if untold.due_at else None,
    }
    remember(session, untold.name, value)


def waiting(session: Session) -> Iterator[Untold]:
    """Yield the erasures that the app has not taken, by number."""
    rows = session.scalars(
        select(Setting)
        .where(Setting.name.startswith(_PREFIX, autoescape=True))
        .order_by(Setting.name)
    )
    for row in rows:
        due_at = row.value["due_at"]
        yield Untold(
            row.name.removeprefix(_PREFIX),
            datetime.fromisoformat(row.value["erased_at"]),
            row.value["sealed"],
            row.value["tries"],
            datetime.fromisoformat(due_at) if due_at else None,
        )
