"""Who calls by a key: the account behind it, and what it lets into."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.orm import Session

from library.audit import Actor
from library.errors import NotAllowed
from library.staff import find_key
from library.tables import ApiKey, Patron, Staff

_SEEN_EVERY: Final = timedelta(minutes=5)


@dataclass(frozen=True)
class KeyCaller:
    """Another system, acting for a librarian; without a branch, for all branches."""

    key_id: int
    staff_id: int
    scopes: frozenset[str]
    branch_id: int | None

    @property
    def name(self) -> str:
        """The caller's name in counts and kept answers."""
        return f"key {self.key_id}"

    @property
    def actor(self) -> Actor:
        """Who the audit says it was."""
        return Actor(self.staff_id, self.key_id)

    def needs(self, scope: str) -> None:
        """Let pass only with this scope.

        Raises:
            NotAllowed: The key lacks it.
        """
        if scope not in self.scopes:
            raise NotAllowed(f"the key lacks the scope {scope}")

    def sees_branch(self, branch_id: int | None) -> bool:
        """Tell whether rows of this branch are the caller's business."""
        return self.branch_id is None or self.branch_id == branch_id

    def needs_branch(self, branch_id: int | None) -> None:
        """Let pass only to rows of the caller's branch; None is of all branches.

        Raises:
            NotAllowed: They belong to another.
        """
        if not self.sees_branch(branch_id):
            raise NotAllowed("this belongs to another branch")

    def needs_patron(self, session: Session, patron_id: int) -> Patron | None:
        """Let pass only to a patron of the caller's branch; None if there is none.

        Raises:
            NotAllowed: The patron is of another branch.
        """
        patron = session.get(Patron, patron_id)
        if patron is not None:
            self.needs_branch(patron.branch_id)
        return patron


def caller_of(session: Session, token: str, *, at: datetime) -> KeyCaller | None:
    """Return who calls with this key, and note that it was used."""
    key = find_key(session, token, at=at)
    if key is None:
        return None
    if key.last_used_at is None or at - key.last_used_at > _SEEN_EVERY:
        key.last_used_at = at
    return KeyCaller(
        key_id=key.id,
        staff_id=key.staff_id,
        scopes=frozenset(key.scopes),
        branch_id=_branch(session.get_one(Staff, key.staff_id), key),
    )


def _branch(staff: Staff, key: ApiKey) -> int | None:
    # The account's branch may have been set after the key was made.
    return staff.branch_id or key.branch_id
