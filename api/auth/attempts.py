"""How often somebody may try to get in: counted by the hour, in the database.

The one counted is kept as a keyed hash, so that the table tells no address.
"""

import hashlib
import hmac
from datetime import datetime

from sqlalchemy import update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from library.settings import Settings
from library.tables import CallCount
from library.text import fold

PER_ADDRESS = 20
PER_IDENTITY = 10


def allowed(
    session: Session,
    settings: Settings,
    kind: str,
    who: str,
    *,
    limit: int,
    at: datetime,
) -> bool:
    """Count one try of `kind` by `who`; tell whether it is within the hour's limit."""
    caller = _caller(settings, kind, who)
    hour = at.replace(minute=0, second=0, microsecond=0)
    return _count(session, caller, hour) <= limit


def folded_identity(identity: str) -> str:
    """Return one spelling for all that reach one mailbox: dots and +tags are noise."""
    name, at_sign, domain = fold(identity).partition("@")
    if not at_sign:
        return name
    return f"{name.split('+')[0].replace('.', '')}@{domain}"


def _count(session: Session, caller: str, window: datetime) -> int:
    one_more = (
        update(CallCount)
        .where(CallCount.caller == caller, CallCount.window == window)
        .values(calls=CallCount.calls + 1)
        .returning(CallCount.calls)
    )
    if (calls := session.scalar(one_more)) is not None:
        return calls
    try:
        with session.begin_nested():
            session.add(CallCount(caller=caller, window=window, calls=1))
    except IntegrityError:  # another came first in this very moment
        return session.scalar(one_more) or 1
    return 1


def _caller(settings: Settings, kind: str, who: str) -> str:
    key = hashlib.sha256(b"attempts" + settings.secret.encode()).digest()
    return f"{kind}:{hmac.new(key, who.encode(), hashlib.sha256).hexdigest()}"
