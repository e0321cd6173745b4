"""What the service remembers of itself: one value to a name, the last one counts."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from library.db import insert_into
from library.tables import Setting


def remember(session: Session, name: str, value: Mapping[str, Any]) -> None:
    """Store a value under a name, in one statement: two may do so at once."""
    stored = insert_into(session, Setting).values(name=name, value=dict(value))
    session.execute(
        stored.on_conflict_do_update(
            index_elements=[Setting.name], set_={"value": stored.excluded.value}
        )
    )
