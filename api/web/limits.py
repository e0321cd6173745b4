"""How often a page may be asked for what costs somebody a message or lets them in."""

from flask import request
from sqlalchemy.orm import Session

from api import context
from api.auth.attempts import PER_ADDRESS, PER_IDENTITY, allowed, folded_identity
from library.clock import utc_now


def within_limits(session: Session, kind: str, identity: str) -> bool:
    """Count one try of `kind` by this visitor and for this identity.

    Tells whether both are within the hour's limits.
    """
    at, settings = utc_now(), context.settings()
    here = request.remote_addr or ""
    from_here = allowed(
        session, settings, f"{kind}-from", here, limit=PER_ADDRESS, at=at
    )
    who = folded_identity(identity)
    for_them = allowed(session, settings, f"{kind}-for", who, limit=PER_IDENTITY, at=at)
    return from_here and for_them
