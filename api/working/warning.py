"""Telling librarians of sources that fail or have gone silent: mail, and a webhook.

Once when the grace is over, then daily. What was told is noted after it was taken, so
a mail server that is away delays it, and a kill in between may tell it twice.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import select

from harvesters.health import SourceWarning, due_warnings, note_warnings
from library.db import Sessions, reading
from library.fetching.fetch import Fetcher, post
from library.i18n.messages import gettext, nearest_locale, ngettext
from library.i18n.numbers import num
from library.jobs import Progress, Work
from library.runtime import Runtime
from library.settings import Settings
from library.tables import Staff
from library.webhooks import Use, signed
from notifier.staff_mail import Letter, send_letters

EMAIL, WEBHOOK = "email", "webhook"
KIND = "source.failing"


@dataclass(frozen=True)
class WarningReport:
    """Sources told of, by way."""

    email: int
    webhook: int


def warn(
    sessions: Sessions,
    settings: Settings,
    *,
    at: datetime,
    fetcher: Fetcher | None = None,
) -> WarningReport:
    """Tell librarians of the sources that are due to be told of.

    Raises:
        DeliveryFailed: No mail was taken; what was due stays due.
        FetchFailed: The webhook did not take it; likewise.
    """

    def by_webhook(warnings: Sequence[SourceWarning]) -> None:
        call(settings, warnings, fetcher or Fetcher.of(settings), at=at)

    def by_mail(warnings: Sequence[SourceWarning]) -> None:
        send_letters(settings, _letters(sessions, settings, warnings), at=at)

    called = 0
    try:
        if settings.warn_webhook:
            called = _tell(sessions, WEBHOOK, by_webhook, at=at)
    finally:  # one way that fails keeps nobody from the other
        mailed = _tell(sessions, EMAIL, by_mail, at=at)
    return WarningReport(mailed, called)


def call(
    settings: Settings,
    warnings: Sequence[SourceWarning],
    fetcher: Fetcher,
    *,
    at: datetime,
) -> None:
    """Post warnings to the webhook; tried again, the same ones have the same id.

    Raises:
        FetchFailed: They were not taken.
    """
    sources = [
        {"code": one.code, "failures": one.failures, "why": one.why} for one in warnings
    ]
    post_news(
        settings, KIND, {"sources": sources}, key=_key(warnings), fetcher=fetcher, at=at
    )


def post_news(
    settings: Settings,
    kind: str,
    data: Mapping[str, Any],
    *,
    key: str,
    fetcher: Fetcher,
    at: datetime,
) -> None:
    """Post news to the webhook of the settings, signed.

    Args:
        settings: The installation's.
        kind: What sort of news.
        data: What it says, as JSON can hold it.
        key: A hash, the same for the same news: the call's id is made of it.
        fetcher: Reaches what may be reached.
        at: Now.

    Raises:
        FetchFailed: It was not taken.
    """
    said = {"type": kind, "timestamp": at.isoformat(), "data": data}
    body = json.dumps(said, ensure_ascii=False).encode()
    headers = signed(settings, Use.WARNINGS, f"msg_{key[:24]}", body, at=at)
    post(fetcher, settings.warn_webhook, body, headers=headers, at=at)


def _tell(
    sessions: Sessions,
    way: str,
    tell: Callable[[Sequence[SourceWarning]], None],
    *,
    at: datetime,
) -> int:
    with reading(sessions) as session:
        warnings = due_warnings(session, way, at=at)
    if warnings:
        tell(warnings)
        with sessions.begin() as session:
            note_warnings(session, way, warnings)
    return len(warnings)


def _letters(
    sessions: Sessions, settings: Settings, warnings: Sequence[SourceWarning]
) -> Iterator[Letter]:
    """Yield a letter to each librarian whose sources are among these."""
    with reading(sessions) as session:
        staff = session.scalars(
            select(Staff).where(Staff.active).order_by(Staff.id)
        ).all()
    for one in staff:
        theirs = [
            warning
            for warning in warnings
            if None in {one.branch_id, warning.branch_id}
            or one.branch_id == warning.branch_id
        ]
        if theirs:
            yield _letter(one.name, one.email, one.language, theirs)
    if not staff:
        yield _letter("", settings.contact, settings.language, warnings)


def _letter(
    name: str,
    address: str,
    language: str,
    warnings: Sequence[SourceWarning],
) -> Letter:
    locale = nearest_locale(language)
    subject = ngettext(
        locale,
        "%(num)s source needs a look",
        "%(num)s sources need a look",
        len(warnings),
        num=num(len(warnings), locale),
    )
    lines = [_line(locale, warning) for warning in warnings]
    return Letter(name, address, locale, subject, lines, _key(warnings))


def _line(locale: str, warning: SourceWarning) -> str:
    # What a source is called and what a server answered runs its own way.
    code = f"\u2068{warning.code}\u2069"
    if warning.error is None:
        days = num(warning.silent_days or 0, locale)
        return gettext(
            locale, "%(source)s: nothing new for %(num)s days", source=code, num=days
        )
    return gettext(
        locale,
        "%(source)s: %(num)s failures in a row, the last: %(why)s",
        source=code,
        num=num(warning.failures, locale),
        why=f"\u2068{warning.error}\u2069",
    )


def _key(warnings: Sequence[SourceWarning]) -> str:
    told = json.dumps([(one.code, one.today) for one in warnings])
    return hashlib.sha256(told.encode()).hexdigest()


def _warn(
    runtime: Runtime,
    parameters: Mapping[str, Any],  # noqa: ARG001 -- as every work has it
    *,
    at: datetime,
    progress: Progress,  # noqa: ARG001 -- as every work has it
) -> WarningReport:
    return warn(runtime.sessions, runtime.settings, at=at)


WORK: Final[dict[str, Work]] = {"warn": _warn}
