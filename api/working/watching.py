"""Watching that messages go on: librarians are told when the canary does not come out.

Every process that stays, web or worker, looks once a minute in a thread of its own, one
of them at a time, so that whoever lives tells of those that do not. By each way, mail
and webhook, trouble is told once and then daily, and the end of it where it was told.
"""

import hashlib
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Event, Thread
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.exc import DBAPIError

from api.web.words import STANDSTILLS
from api.working.warning import EMAIL, WEBHOOK, post_news
from library.clock import utc_now
from library.db import Sessions, reading
from library.errors import ServiceError
from library.fetching.fetch import Fetcher
from library.i18n.messages import gettext, nearest_locale
from library.remembering import remember
from library.runtime import Runtime
from library.settings import Settings
from library.tables import Setting, Staff
from library.vocabulary import StaffRole
from notifier.canary import PATIENCE, Standstill, standstill
from notifier.staff_mail import Letter, send_letters

EVERY: Final = timedelta(minutes=1)
AGAIN: Final = timedelta(days=1)
STANDING: Final = "service.standing"
GOING: Final = "service.going"
_BLINK: Final = timedelta(minutes=10)
"""After so long without a look nobody knows what was; the patience begins anew."""
_NAME: Final = "watch"

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class News:
    """That messages stand still, or go on again."""

    what: Standstill | None
    """None: they go on again."""
    since: datetime
    """When it was first seen."""
    today: int
    """Days since then: told again, it is other news."""

    @property
    def key(self) -> str:
        """The same for the same news, however often it is tried to be told."""
        said = f"{'going' if self.what is None else 'standing'}|{self.since}"
        return hashlib.sha256(f"{said}|{self.today}".encode()).hexdigest()


@dataclass(frozen=True)
class Seen:
    """What the looks so far came to."""

    last: datetime
    watched_since: datetime
    since: datetime | None = None
    """When the trouble that is now, or was told of, was first seen."""
    told: Mapping[str, datetime] | None = None
    """By which way trouble was told, and when last."""


def looked(
    seen: Seen | None, still: Standstill | None, at: datetime
) -> tuple[Seen, Standstill | None]:
    """Take a look into account; return what is to be believed of it. Pure.

    After a time without looks nothing is believed for as long as the canary may take:
    who just started the service anew does not have to be told that it stood.
    """
    if seen is None or at - seen.last > _BLINK:
        since, told = (seen.since, seen.told) if seen else (None, None)
        seen = Seen(at, at, since, told)
    believed = still if at - seen.watched_since >= PATIENCE else None
    began = seen.since or (at if believed else None)
    return Seen(at, seen.watched_since, began, seen.told), believed


def news(
    seen: Seen, still: Standstill | None, believed: Standstill | None, way: str
) -> News | None:
    """Return what is to be told by this way now; None when nothing is. Pure."""
    told, at = (seen.told or {}).get(way), seen.last
    if believed and seen.since and (told is None or at - told >= AGAIN):
        return News(believed, seen.since, (at - seen.since).days)
    if told and still is None and seen.since:
        return News(None, seen.since, 0)
    return None


def look(
    sessions: Sessions,
    settings: Settings,
    *,
    at: datetime,
    fetcher: Fetcher | None = None,
) -> list[News]:
    """Look whether messages go on, and tell librarians; return what was told.

    Where a way takes no news, they are told by it at a later look.
    """
    with reading(sessions) as session:
        still = standstill(session, at=at)
    noted = _note(sessions, still, at)
    if noted is None:
        return []
    seen, believed = noted
    ways: dict[str, Callable[[News], object]] = {
        EMAIL: lambda one: send_letters(
            settings, _letters(sessions, settings, one), at=at
        )
    }
    if settings.warn_webhook:
        reach = fetcher or Fetcher.of(settings)
        ways[WEBHOOK] = lambda one: _post(settings, one, reach, at)
    told = []
    for way, tell in ways.items():
        one = news(seen, still, believed, way)
        if one is None:
            continue
        try:
            tell(one)
        except ServiceError as trouble:
            logger.warning("librarians could not be told by %s: %s", way, trouble)
            continue
        _note_told(sessions, way, one, at)
        told.append(one)
    return told


@contextmanager
def watching(runtime: Runtime) -> Iterator[None]:
    """Keep looking, in a thread, until left."""
    stop = Event()
    start_watching(runtime, stop)
    try:
        yield
    finally:
        stop.set()


def start_watching(runtime: Runtime, stop: Event) -> None:
    """Start the thread that looks until `stop` is set."""
    Thread(target=keep_looking, args=(runtime, stop), name="watch", daemon=True).start()


def keep_looking(runtime: Runtime, stop: Event) -> None:
    """Look once a minute until `stop` is set; nothing here may end the thread."""
    while not stop.is_set():
        try:
            look(runtime.sessions, runtime.settings, at=utc_now())
        except DBAPIError:
            logger.warning("the database does not answer; looking again")
        except Exception:
            logger.exception("a look whether messages go on failed")
        stop.wait(EVERY.total_seconds())


def _note(
    sessions: Sessions, still: Standstill | None, at: datetime
) -> tuple[Seen, Standstill | None] | None:
    """Keep this look; None where another process looked in this minute."""
    with sessions.begin() as session:
        row = session.get(Setting, _NAME, with_for_update=True)
        before = _read(row.value) if row else None
        if before and before.last <= at < before.last + EVERY:
            return None
        seen, believed = looked(before, still, at)
        if believed and not (before and before.since):
            logger.error("messages stand still: %s", believed.value)
        if still is None and not seen.told:
            seen = Seen(seen.last, seen.watched_since)
        remember(session, _NAME, _written(seen))
    return seen, believed


def _note_told(sessions: Sessions, way: str, one: News, at: datetime) -> None:
    with sessions.begin() as session:
        row = session.get_one(Setting, _NAME, with_for_update=True)
        seen = _read(row.value)
        told = {**(seen.told or {}), way: at}
        if one.what is None:
            del told[way]
        since = seen.since if told else None
        row.value = _written(Seen(seen.last, seen.watched_since, since, told))


def _read(value: Mapping[str, Any]) -> Seen:
    since = value["since"]
    return Seen(
        datetime.fromisoformat(value["last"]),
        datetime.fromisoformat(value["watched_since"]),
        datetime.fromisoformat(since) if since else None,
        {way: datetime.fromisoformat(at) for way, at in value["told"].items()},
    )


def _written(seen: Seen) -> dict[str, Any]:
    return {
        "last": seen.last.isoformat(),
        "watched_since": seen.watched_since.isoformat(),
        "since": seen.since.isoformat() if seen.since else None,
        "told": {way: at.isoformat() for way, at in (seen.told or {}).items()},
    }


def _letters(sessions: Sessions, settings: Settings, one: News) -> Iterator[Letter]:
    """Yield a letter to each systems librarian; where there is none, to each librarian.

    Where there is nobody at all, one to the address of the settings.
    """
    with reading(sessions) as session:
        staff = session.scalars(
            select(Staff).where(Staff.active).order_by(Staff.id)
        ).all()
    systems = [member for member in staff if member.role is StaffRole.SYSTEMS]
    for member in systems or staff:
        yield _letter(member.name, member.email, member.language, one)
    if not staff:
        yield _letter("", settings.contact, settings.language, one)


def _letter(name: str, address: str, language: str, one: News) -> Letter:
    locale = nearest_locale(language)
    if one.what is None:
        subject = gettext(locale, "Messages go out again")
        lines = [gettext(locale, "What had waited goes out now; nothing is lost.")]
    else:
        command = "\u2068hamkhan doctor\u2069"
        subject = gettext(locale, "No messages go out")
        lines = [
            gettext(locale, STANDSTILLS[one.what]),
            gettext(locale, "%(command)s says what to do.", command=command),
        ]
    return Letter(name, address, locale, subject, lines, one.key)


def _post(settings: Settings, one: News, fetcher: Fetcher, at: datetime) -> None:
    data = {"since": one.since.isoformat()}
    kind = GOING if one.what is None else STANDING
    if one.what is not None:
        data |= {"part": one.what.name.lower(), "why": one.what.value}
    post_news(settings, kind, data, key=one.key, fetcher=fetcher, at=at)
