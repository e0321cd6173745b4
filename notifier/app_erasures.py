"""The library's own app is told whom the library erased, to forget them too."""

import json
from dataclasses import replace
from datetime import datetime
from typing import Final

from sqlalchemy import delete

from library.clock import utc_now
from library.db import Sessions, reading
from library.errors import FetchFailed, NotAllowed
from library.fetching.fetch import Fetcher, Limits, post
from library.settings import Settings
from library.tables import Setting
from library.webhooks import Use, signed
from notifier.fence import Fence
from notifier.outcomes import pause_after
from profiles.untold import Untold, store, waiting

JOB: Final = "erasures"
KIND: Final = "patron.erased"
"""The `type` of what the app gets."""
_GONE: Final = 410
_LIMITS: Final = Limits(size=64 * 1024, seconds=20.0)


def tell_app(
    sessions: Sessions,
    settings: Settings,
    *,
    at: datetime,
    fetcher: Fetcher | None = None,
) -> int:
    """Tell the app of each erasure until it has taken it; return how many it took.

    One it does not take is tried again as a digest would be, for as long as it needs:
    what a patron wanted forgotten has no day after which it may be kept.
    """
    if not settings.app_url or settings.deliver_only_to:
        return 0
    if Fence(settings.home).looked_at(sessions):  # not ours to tell
        return 0
    with reading(sessions) as session:
        due = [
            one for one in waiting(session) if one.due_at is None or one.due_at <= at
        ]
    told = 0
    for one in due:
        taken = _tell(settings, one, fetcher or Fetcher.of(settings))
        with sessions.begin() as session:
            if taken:
                session.execute(delete(Setting).where(Setting.name == one.name))
            else:
                pause = pause_after(one.tries, seed=one.name)
                store(session, replace(one, tries=one.tries + 1, due_at=at + pause))
        told += taken
    return told


def _tell(settings: Settings, untold: Untold, fetcher: Fetcher) -> bool:
    now = utc_now()  # an app refuses what was signed at another time
    try:
        call = {
            "type": KIND,
            "timestamp": untold.erased_at.isoformat(),
            "data": {"patron": untold.patron(settings.secret)},
        }
        body = json.dumps(call, ensure_ascii=False).encode()
        headers = signed(settings, Use.APP, f"erased-{untold.number}", body, at=now)
        post(fetcher, settings.app_url, body, headers=headers, at=now, limits=_LIMITS)
    except FetchFailed as error:
        return error.status == _GONE  # it knows no such patron
    except NotAllowed:  # under this secret nobody can read who it was
        return False
    return True
