"""Must this patron not be shown this?"""

import re
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from library.errors import InvalidInput, NotFound
from library.tables import Suppression, Work
from library.text import canon, squash
from library.vocabulary import SuppressionKind
from profiles.patrons import hold_still

Wish = tuple[SuppressionKind, str]
"""What is not wanted: its kind, and a work's id as text or the squash of a name."""


def suppressed_by(
    names: Mapping[SuppressionKind, Collection[str]], wishes: Iterable[Wish]
) -> Wish | None:
    """Return the first wish that speaks against a work; None when none does.

    Args:
        names: The work's id as text, and the squashes of its creators, subjects and
            series, by kind.
        wishes: The patron's.
    """
    return next(
        (wish for wish in wishes if wish[1] in names.get(wish[0], ())),
        None,
    )


def is_suppressed(
    names: Mapping[SuppressionKind, Collection[str]], wishes: Iterable[Wish]
) -> bool:
    """Tell whether a wish speaks against the work; see `suppressed_by`."""
    return suppressed_by(names, wishes) is not None


def suppress(
    session: Session,
    patron_id: int,
    kind: SuppressionKind,
    target: str,
    label: str,
    at: datetime,
) -> Suppression:
    """Keep that the patron never wants this; a wish that is there stays.

    Args:
        session: An open transaction.
        patron_id: Whose wish.
        kind: What `target` is.
        target: A work's id as text, or a name in any spelling.
        label: How the list of wishes shows it; empty: as the target is.
        at: When it was said.

    Raises:
        InvalidInput: The target has no letter or digit, or is no work's id.
        NotFound: No such patron or work.
    """
    hold_still(session, patron_id)
    key, shown = _checked(session, kind, target, label)
    there = find(session, patron_id, kind, key)
    if there:
        return there
    wish = Suppression(
        patron_id=patron_id, kind=kind, target=key, label=shown, created_at=at
    )
    session.add(wish)
    session.flush()
    return wish


def lift(session: Session, patron_id: int, suppression_id: int) -> None:
    """End one of the patron's wishes.

    Raises:
        NotFound: The patron has no such wish.
    """
    wish = session.get(Suppression, suppression_id)
    if wish is None or wish.patron_id != patron_id:
        raise NotFound(f"no suppression {suppression_id}")
    session.delete(wish)


def lift_work(session: Session, patron_id: int, work_id: int) -> None:
    """Let a work be shown again; safe where it was not hidden."""
    wish = find(session, patron_id, SuppressionKind.WORK, str(work_id))
    if wish:
        session.delete(wish)


def find(
    session: Session, patron_id: int, kind: SuppressionKind, key: str
) -> Suppression | None:
    """Return the patron's wish about this; None when there is none."""
    return session.scalar(
        select(Suppression).where(
            Suppression.patron_id == patron_id,
            Suppression.kind == kind,
            Suppression.target == key,
        )
    )


def list_suppressions(session: Session, patron_id: int) -> list[Suppression]:
    """Return the patron's wishes, the newest first."""
    mine = select(Suppression).where(Suppression.patron_id == patron_id)
    newest = (Suppression.created_at.desc(), Suppression.id.desc())
    return list(session.scalars(mine.order_by(*newest)))


def _checked(
    session: Session, kind: SuppressionKind, target: str, label: str
) -> tuple[str, str]:
    if kind is not SuppressionKind.WORK:
        key = squash(target)
        if not key:
            raise InvalidInput("a name needs a letter or digit", field="target")
        return key, canon(label or target)
    if not re.fullmatch("[0-9]{1,18}", target):
        raise InvalidInput(f"{target!r} is no work's id", field="target")
    work = session.get(Work, int(target))
    if work is None:
        raise NotFound(f"no work {target}")
    return str(work.id), label or work.title
