"""What leaves next is made ready here in lots, and what left is settled.

One transaction settles what ended and stores of the next lot that it may be out. It may
run while another lot leaves: so never two to the same patron, and what decides over
those to come but was written by us is noted, as no `library.watch.Watch` tells it.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice

from sqlalchemy.orm import Session

from library.errors import DeliveryFailed
from library.settings import Settings
from library.vocabulary import Channel
from library.watch import Watch
from notifier import outbox
from notifier.fence import SENT_BEFORE, Fence
from notifier.gate import ASKED_FOR
from notifier.limits import waits
from notifier.making import Maker, Shift
from notifier.outbox import CONVERSATION, Claim
from notifier.outcomes import Outcome, Result, Sent
from notifier.settling import Attempt, PutOff, settle_all
from profiles import standing
from profiles.causes import Cause

TOGETHER = 25
"""Messages of a lot, at most: they are marked, checked and settled together."""
FRESH = timedelta(seconds=1)
"""Quiet hours begin and time runs out though nothing is committed."""
SETTLED_WITHIN = timedelta(seconds=5)
"""After so long what ended is settled, though others are still to leave."""
_ONE_BY_ONE = timedelta(minutes=1)
"""How long a message waits while another leaves for the same patron."""


@dataclass
class DeliveryReport:
    """What one run did."""

    sent: int = 0
    withheld: int = 0
    """Never to go, with its cause."""
    retried: int = 0
    """Put off after a failure, to be tried again."""
    abandoned: int = 0
    held: int = 0
    """Waiting for the gate: quiet hours, pause, cap."""
    more: bool = False
    """It ended by its limits, and there may be more to send."""
    resting: dict[Channel, str] = field(default_factory=dict)
    """Channels that were not used, or no longer, and why; their messages wait."""
    trouble: str | None = None
    """Why nothing may be sent at all; see `notifier.fence`."""


Lot = deque[Attempt] | None
"""Attempts that may leave, none to the same patron; None: there are no more."""


class Lots:
    """The lots of one worker."""

    def __init__(  # noqa: PLR0913 -- all that a worker works with
        self,
        settings: Settings,
        maker: Maker,
        *,
        shift: Shift,
        fence: Fence,
        watch: Watch,
        open_channels: set[Channel],
        rest: Callable[[Channel, DeliveryFailed], None],
    ) -> None:
        self._settings = settings
        self._maker = maker
        self._now, self._is_over = shift.now, shift.is_over
        self._fence = fence
        self._watch = watch
        self._open = open_channels
        self._rest = rest
        self._ready: deque[Attempt] = deque()
        """Made, and not yet marked."""
        self._ended: list[Attempt] = []
        """To be settled with the next commit."""
        self._touched: dict[int, datetime] = {}
        """To whom something left lately, and when that was stored."""
        self._failed_at: datetime | None = None
        """When a failure was stored: an address may be suppressed since."""
        self._settled = 0
        self.report = DeliveryReport()

    @property
    def done(self) -> int:
        """How many deliveries came to an end."""
        return self._settled + len(self._ended)

    def make_ready(self, coming: Iterator[Attempt], leaving: Sequence[Attempt]) -> Lot:
        """Take and mark what leaves next; settle what ended before.

        Args:
            coming: Made, one after another; see `Maker.coming`.
            leaving: The lot that leaves now. Who gets one of these waits until it is
                settled.

        Returns:
            None where there is no more; empty where all that is ready has to wait.
        """
        self._ready.extend(islice(coming, TOGETHER - len(self._ready)))
        if not self._ready:
            return None
        busy = {one.claim.delivery.patron_id for one in leaving}
        return self._marked(_one_a_patron(self._ready, busy))

    def settle(self) -> None:
        """Settle what has ended; never while another lot is being made ready."""
        if self._ended:
            self._marked(())

    def _marked(self, attempts: Sequence[Attempt]) -> deque[Attempt]:
        """Settle what ended, and store that these may be out, in one commit."""
        can_leave = [one for one in attempts if self._can_leave(one)]
        ended = [*self._ended]
        with self._watch.writing() as session:
            kept = self._held(session, [*ended, *can_leave])
            counted = settle_all(session, _among(kept, ended))
            leaving = self._without_those_that_wait(session, _among(kept, can_leave))
            trouble = self._listed(leaving)
            if not trouble:
                outbox.mark(session, [one.claim for one in leaving], at=self._now())
        self._touch(ended)
        self._forget_facts_touched(leaving)
        self._touch(leaving)
        self._maker.counted(attempts)
        del self._ended[: len(ended)]  # some may have come to it since
        self._settled += len(ended)
        self._count(counted)
        if trouble:
            for one in leaving:
                self.end(one, trouble)
                self._rest(one.claim.channel, trouble)
        return deque(one for one in leaving if one.result is None)

    def _touch(self, attempts: Sequence[Attempt]) -> None:
        """Note what we wrote ourselves that decides over others: no `Watch` tells it.

        Of two messages to one patron the first counts in the facts of the second.
        """
        now = self._now()
        if any(isinstance(one.result, DeliveryFailed) for one in attempts):
            self._failed_at = now
        lately = {p: at for p, at in self._touched.items() if now - at <= FRESH}
        of_these = {one.claim.delivery.patron_id: now for one in attempts}
        self._touched = lately | of_these

    def _forget_facts_touched(self, attempts: Sequence[Attempt]) -> None:
        for one in attempts:
            touched = self._touched.get(one.claim.delivery.patron_id)
            if one.as_of and touched and touched >= one.as_of.at:
                one.as_of = None

    def _listed(self, leaving: Sequence[Attempt]) -> DeliveryFailed | None:
        """Write on the fence which are to leave; tell why not, if that fails."""
        try:
            self._fence.marked([one.message_id for one in leaving], at=self._now())
        except OSError as error:
            return DeliveryFailed(f"fence: {error}", ours=True)
        return None

    def _held(self, session: Session, attempts: Sequence[Attempt]) -> set[int]:
        """Hold what is still ours, and return it.

        Who erases a patron holds them first, and then their deliveries: so must we.
        """
        claims = [one.claim for one in attempts]
        standing.hold(session, {claim.delivery.patron_id for claim in claims})
        return outbox.ours(session, claims)

    def _can_leave(self, attempt: Attempt) -> bool:
        """Tell whether its channel is ready for it; say what comes of it if not."""
        claim = attempt.claim
        if self.is_late(claim) or claim.channel not in self._open:
            self.put_back(attempt)
        elif attempt.went_before:  # says the fence
            self.end(attempt, Sent(SENT_BEFORE))
        elif isinstance(attempt.made, DeliveryFailed):
            self.end(attempt, attempt.made)
        return attempt.result is None

    def put_back(self, attempt: Attempt) -> None:
        """Let whoever comes next have it."""
        self.end(attempt, PutOff(self._now()))
        if self._is_over():  # set and never taken back: two threads come here
            self.report.more = True

    def is_late(self, claim: Claim) -> bool:
        """Tell whether it must not leave any more: time or its lease is over."""
        return self._is_over() or self._now() > claim.until - CONVERSATION

    def _without_those_that_wait(
        self, session: Session, attempts: Sequence[Attempt]
    ) -> list[Attempt]:
        """Leave out what would make two messages to a patron, or too many a minute."""
        now = self._now()
        at_work = outbox.under_way(session, [one.claim for one in attempts])
        addresses = [
            one.message.to.address
            if one.message and one.claim.channel is Channel.EMAIL
            else ""
            for one in attempts
        ]
        until = waits(session, self._settings, addresses, at=now)
        leaving = []
        for attempt, later in zip(attempts, until, strict=True):
            delivery = attempt.claim.delivery
            if later is not None:
                self.end(attempt, PutOff(later, Cause.RATE))
            elif delivery.patron_id in at_work and delivery.purpose not in ASKED_FOR:
                self.end(attempt, PutOff(now + _ONE_BY_ONE))
            else:
                leaving.append(attempt)
        return leaving

    def is_fresh(self, attempt: Attempt) -> bool:
        """Tell whether nothing that decides has changed since its facts were read."""
        as_of = attempt.as_of
        if as_of is None or self._now() - as_of.at > FRESH:
            return False
        if self._failed_at is not None and self._failed_at >= as_of.at:
            return False
        return not self._watch.has_changed(as_of.seen)

    def has_waited(self) -> bool:
        """Tell whether something is long unsettled: with a slow server, leases end."""
        since = self._ended[0].at if self._ended else None
        return since is not None and self._now() - since > SETTLED_WITHIN

    def has_failed(self) -> bool:
        """Tell whether what ended may decide over what leaves next."""
        return any(isinstance(one.result, DeliveryFailed) for one in self._ended)

    def end(self, attempt: Attempt, result: Result | PutOff) -> None:
        """Say what came of it; it is settled with the next commit."""
        attempt.end(result, at=self._now())
        self._ended.append(attempt)

    def _count(self, counted: Counter[Outcome]) -> None:
        report = self.report
        report.sent += counted[Outcome.SENT]
        report.withheld += counted[Outcome.WITHHELD]
        report.abandoned += counted[Outcome.ABANDONED]
        report.held += counted[Outcome.HELD]
        report.retried += counted[Outcome.DEFERRED] + counted[Outcome.UNKNOWN]


def _among(kept: set[int], attempts: Sequence[Attempt]) -> list[Attempt]:
    return [one for one in attempts if one.claim.id in kept]


def _one_a_patron(ready: deque[Attempt], busy: set[int]) -> list[Attempt]:
    """Take from the front as many as go to different patrons, none of them busy."""
    taken: list[Attempt] = []
    patrons = set(busy)
    while ready and ready[0].claim.delivery.patron_id not in patrons:
        patrons.add(ready[0].claim.delivery.patron_id)
        taken.append(ready.popleft())
    return taken
