"""Signing a librarian in by e-mail address and password."""

from datetime import datetime

from sqlalchemy.orm import Session

from api.auth import principal
from library import audit
from library.staff import check_password


def sign_in(session: Session, email: str, password: str, *, at: datetime) -> str | None:
    """Return the token for the browser's cookie; None when the two do not fit.

    An unknown address answers as a wrong password does, and takes as long. Each
    sign-in is in the audit.
    """
    staff = check_password(session, email, password)
    if staff is None:
        return None
    by = audit.Actor(staff_id=staff.id)
    audit.record(session, "staff.signed_in", at=at, by=by)
    return principal.start(session, at=at, staff_id=staff.id)
