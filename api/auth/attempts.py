"""How often somebody may try to get in: counted by the hour, in the database.

The one counted is kept as a keyed hash, so that the table tells no address.
"""

import hashlib
import hmac
from datetime import datetime

from sqlalchemy.orm import Session

from library.counting import count_calls
from library.settings import Settings
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
    return count_calls(session, caller, hour) <= limit


def folded_identity(identity: str) -> str:
    """Return one spelling for all that reach one mailbox: dots and +tags are noise."""
    name, at_sign, domain = fold(identity).partition("@")
    if not at_sign:
        return name
    return f"{name.split('+')[0].replace('.', '')}@{domain}"


def _caller(settings: Settings, kind: str, who: str) -> str:
    key = hashlib.sha256(b"attempts" + settings.secret.encode()).digest()
    return f"{kind}:{hmac.new(key, who.encode(), hashlib.sha256).hexdigest()}"
