"""Claiming what is due, and making its messages ahead of their leaving."""

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from sqlalchemy.orm import Session

from library.db import Sessions, reading
from library.errors import DeliveryFailed
from library.settings import Settings
from library.tables import Delivery
from library.vocabulary import Channel
from library.watch import Watch
from notifier.composing import Composed, Draft, Facts, facts_of, ruling_on
from notifier.fence import Fence, Trace, agreed_lately
from notifier.gate import Ruling
from notifier.limits import room
from notifier.outbox import Claim, claim_due
from notifier.outcomes import HELD_FOR
from notifier.resting import hold
from notifier.settling import AsOf, Attempt

logger = logging.getLogger(__name__)

_BATCH = 100
"""Deliveries claimed and read at once."""


class Author(Protocol):
    """Makes messages, or says why one may not go now; `notifier.composing` does."""

    def drafts(
        self,
        session: Session,
        settings: Settings,
        deliveries: Sequence[Delivery],
        facts: Sequence[Facts],
    ) -> list[Draft]:
        """Read what they say."""

    def compose(
        self, settings: Settings, draft: Draft, facts: Facts, *, at: datetime
    ) -> Composed | Ruling:
        """Write one."""


class Shift:
    """The time of one run: it goes on from a moment, and may have an end."""

    def __init__(self, at: datetime, within: timedelta | None) -> None:
        self._at, self._within = at, within
        self._began = time.monotonic()

    def now(self) -> datetime:
        """Return the moment."""
        return self._at + self._worked()

    def is_over(self) -> bool:
        """Tell whether the end has come."""
        return self._within is not None and self._worked() >= self._within

    def _worked(self) -> timedelta:
        return timedelta(seconds=time.monotonic() - self._began)


class Maker:
    """Claims deliveries for one worker and makes their messages."""

    def __init__(  # noqa: PLR0913 -- all that a worker works with
        self,
        sessions: Sessions,
        settings: Settings,
        worker: str,
        *,
        shift: Shift,
        fence: Fence,
        watch: Watch,
        open_channels: set[Channel],
        author: Author,
    ) -> None:
        self._sessions = sessions
        self._settings = settings
        self._worker = worker
        self._shift = shift
        self._fence = fence
        self._watch = watch
        self._open = open_channels
        """The worker's own: it takes out those that fail."""
        self._author = author
        self._full: set[Channel] = set()
        """Nothing more is claimed from these; what is claimed already may leave."""
        self._mails = 0
        """How many are claimed and not yet counted by `limits`."""
        self._traces: Mapping[str, Trace] | None = None
        self.more = False
        """It stopped though there may be more that is due."""

    def counted(self, attempts: Sequence[Attempt]) -> None:
        """Note that `limits` counted these, or that they do not leave."""
        self._mails -= _mails([one.claim for one in attempts])

    def coming(self, limit: int | None) -> Iterator[Attempt]:
        """Claim what is due and make it, a batch at a time, as it is asked for.

        Until none is due, `limit` were claimed, or the time is over.
        """
        left = limit
        while (left is None or left > 0) and not self._shift.is_over():
            claims = self._claim(_BATCH if left is None else min(_BATCH, left))
            if not claims:
                return
            left = None if left is None else left - len(claims)
            yield from self._made(claims)
        self.more = True

    def _claim(self, limit: int) -> list[Claim]:
        now = self._shift.now()
        with self._watch.writing() as session:
            limited = room(session, self._settings, at=now)
            left = max(limited.left - self._mails, 0) if limited else limit
            if limited and not left:
                self._full.add(Channel.EMAIL)
                if limited.alarm:
                    hold(session, Channel.EMAIL, limited.alarm, until=now + HELD_FOR)
            claims = claim_due(
                session,
                self._worker,
                at=now,
                limit=min(limit, left or limit),
                channels=frozenset(self._open - self._full),
            )
            mark = self._fence.claimed(session, len(claims))
        self._fence.keep(mark)
        self._mails += _mails(claims)
        return claims

    def now(self) -> AsOf:
        """Return what facts that are read from here on are as of."""
        return AsOf(self._shift.now(), self._watch.look())

    def make_anew(self, session: Session, attempts: Sequence[Attempt]) -> None:
        """Read and write these again: what they were made from has changed."""
        drafted = self._read(session, [one.claim for one in attempts])
        for attempt, (claim, facts, draft) in zip(attempts, drafted, strict=True):
            attempt.facts, attempt.made = facts, self._written(claim, facts, draft)

    def _made(self, claims: Sequence[Claim]) -> Iterator[Attempt]:
        """Read what a batch needs in sets; write each message when it is asked for."""
        as_of = self.now()
        try:
            with reading(self._sessions) as session:
                drafted = self._read(session, claims)
        except Exception as error:
            # One message that cannot be made must neither stop nor repeat the others.
            logger.exception("of %s deliveries one cannot be made", len(claims))
            if len(claims) == 1:
                yield Attempt(claims[0], None, _unmade(error))
                return
            for claim in claims:
                yield from self._made([claim])
            return
        traces = self._remembered(claims)
        for claim, facts, draft in drafted:
            trace = traces.get(claim.delivery.message_id)
            made = self._written(claim, facts, draft)
            yield Attempt(claim, facts, made, trace, as_of=as_of)

    def _remembered(self, claims: Sequence[Claim]) -> Mapping[str, Trace]:
        """Return what the fence says of messages whose rows do not say all.

        A worker was killed before it could settle, or the database was restored.
        """
        with reading(self._sessions) as session:
            restored = agreed_lately(session, at=self._shift.now())
        if restored:
            # One made anew keeps its Message-ID, and may be younger than its trace.
            self._traces = self._traces or self._fence.traces()
            return self._traces
        asked = [one.delivery for one in claims if one.attempt > 1]
        if not asked:
            return {}
        since = min(one.created_at for one in asked).date()
        return self._fence.traces({one.message_id for one in asked}, since=since)

    def _read(
        self, session: Session, claims: Sequence[Claim]
    ) -> list[tuple[Claim, Facts, Draft | None]]:
        deliveries = [claim.delivery for claim in claims]
        facts = facts_of(session, deliveries, at=self._shift.now())
        made = self._author.drafts(session, self._settings, deliveries, facts)
        by_id = {draft.delivery.id: draft for draft in made}
        return [
            (claim, fact, by_id.get(claim.id))
            for claim, fact in zip(claims, facts, strict=True)
        ]

    def _written(
        self, claim: Claim, facts: Facts, draft: Draft | None
    ) -> Composed | Ruling | DeliveryFailed:
        now = self._shift.now()
        if draft is None:
            return ruling_on(self._settings, claim.delivery, facts, at=now)
        try:
            made = self._author.compose(self._settings, draft, facts, at=now)
            if isinstance(made, Composed) and made.message:
                made.message.content  # noqa: B018 -- made now, while there is time
        except Exception as error:  # as in _made
            logger.exception("delivery %s could not be made", claim.id)
            return _unmade(error)
        return made


def _mails(claims: Sequence[Claim]) -> int:
    return sum(claim.channel is Channel.EMAIL for claim in claims)


def _unmade(error: Exception) -> DeliveryFailed:
    return DeliveryFailed(f"could not be made: {type(error).__name__}")
