"""The branches of a library: what their patrons' messages say, and when they come."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, TypedDict, Unpack
from zoneinfo import available_timezones

from sqlalchemy import select
from sqlalchemy.orm import Session

from library import audit
from library.addresses import is_email
from library.errors import InvalidInput, NotFound
from library.i18n.zones import weekend
from library.tables import Branch, Patron, Preference
from profiles import preferences

CHANGED: Final = "branch.changed"
"""The action of the line in the audit."""
_HIGHEST: Final = 100
"""Of a floor, in standard deviations: beyond it all or nothing is told anyway."""
_ADDRESSES: Final = frozenset({"sender", "reply_to"})


class Changes(TypedDict, total=False):
    """What may be set of a branch; None takes a thing away."""

    name: str
    name_fa: str | None
    zone: str
    weekend: str | None
    sender: str | None
    reply_to: str | None
    postal_address: str | None
    floor: float | None
    allowance: int | None


def all_branches(session: Session) -> Sequence[Branch]:
    """Return the branches, the first one first."""
    return session.scalars(select(Branch).order_by(Branch.id)).all()


def change(
    session: Session, code: str, *, at: datetime, **fields: Unpack[Changes]
) -> Branch:
    """Set some of what a branch says and does.

    Patrons whose times were those of the branch move with it to another time zone.

    Raises:
        InvalidInput: A value cannot be used; `field` names it.
        NotFound: There is no such branch.
    """
    branch = session.scalar(select(Branch).where(Branch.code == code))
    if branch is None:
        raise NotFound(f"there is no branch {code}")
    for name, value in fields.items():
        _check(name, value)
    new = {name: v for name, v in fields.items() if getattr(branch, name) != v}
    before = {name: getattr(branch, name) for name in new}
    for name, value in new.items():
        setattr(branch, name, value)
    if "zone" in new:
        _move(session, branch, before["zone"], at)
    if new:
        audit.record(
            session,
            CHANGED,
            at=at,
            table="branch",
            row_id=branch.id,
            before=before,
            after=new,
        )
    session.flush()
    return branch


def _check(name: str, value: Any) -> None:
    fault = None
    if name == "zone" and value not in available_timezones():
        fault = "is no time zone; one is called as Asia/Tehran"
    elif name == "weekend" and value is not None and not _are_days(value):
        fault = "names no days; two are named as thu,fri"
    elif name == "name" and not value:
        fault = "may not be empty"
    elif name == "floor" and value is not None and not -_HIGHEST <= value <= _HIGHEST:
        fault = f"has to be from -{_HIGHEST} to {_HIGHEST}"
    elif name == "allowance" and value is not None and value < 0:
        fault = "may not be below 0"
    elif isinstance(value, str) and not value.isprintable():
        fault = "has to be one line"
    elif name in _ADDRESSES and value and not is_email(value):
        fault = "is no e-mail address"
    if fault:
        raise InvalidInput(f"{name}: {value!r} {fault}", field=name)


def _are_days(value: str) -> bool:
    try:
        return bool(weekend("UTC", value))
    except ValueError:
        return False


def _move(session: Session, branch: Branch, zone: str, at: datetime) -> None:
    moved = select(Preference.patron_id).join(Patron, Patron.id == Preference.patron_id)
    moved = moved.where(Patron.branch_id == branch.id, Preference.zone == zone)
    for patron_id in session.scalars(moved).all():
        preferences.change(session, patron_id, at=at, zone=branch.zone)
