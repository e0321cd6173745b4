"""A patron whom a librarian asks for; each look is written down."""

from typing import Final

from sqlalchemy.orm import Session

from api import context
from api.auth.principal import StaffCaller
from library import audit
from library.clock import utc_now
from library.errors import NotAllowed
from library.i18n.messages import _
from library.tables import Patron
from profiles.patrons import find

NOBODY: Final = _("There is no such patron in your branch, or the number is not clear.")


def patron_asked_for(
    session: Session, caller: StaffCaller, ref: str, action: str
) -> Patron:
    """Return the patron that `ref` names, and write into the audit who looked.

    Raises:
        ServiceError: There is none, or more than one, or it is another branch's.
    """
    patron = find(session, ref)
    if caller.branch_id not in (None, patron.branch_id):
        raise NotAllowed("another branch's patron")
    audit.record(
        session,
        action,
        at=utc_now(),
        by=audit.Actor(staff_id=caller.staff_id),
        patron=audit.patron_hash(context.settings().secret, patron.id),
    )
    return patron
