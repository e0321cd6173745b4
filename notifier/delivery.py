"""The outbox is emptied here: claim, write, check, send, settle.

At least once, and what the server took is listed on the fence before the next message
leaves: a worker has one message under way, so a kill makes one copy at most. That a
message may be out is committed before it leaves, and what became of it after; a lot of
messages shares each commit. No transaction waits for a server.

While one lot leaves, `notifier.lots` makes the next one ready beside it. All that
decides is asked again right before a message leaves, and read again whenever anybody
else committed anything since it was read.
"""

import logging
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from datetime import datetime, timedelta

from library.clock import utc_now
from library.db import Sessions, reading
from library.errors import DeliveryFailed
from library.jobs import Progress, no_progress
from library.settings import Settings
from library.vocabulary import Channel
from library.watch import watch
from notifier import canary, composing
from notifier.carriers import channels_for
from notifier.channels import Channels, MessageChannel
from notifier.composing import Composed, facts_of, ruling_on
from notifier.fence import Fence
from notifier.gate import Answer, Ruling
from notifier.lots import DeliveryReport, Lot, Lots
from notifier.making import Author, Maker, Shift
from notifier.outbox import CONVERSATION
from notifier.outcomes import HELD_FOR, Sent
from notifier.resting import hold, holds
from notifier.settling import Attempt
from profiles.privacy import repeat_erasures

__all__ = ["DeliveryReport", "deliver_due"]

logger = logging.getLogger(__name__)


def deliver_due(  # noqa: PLR0913 -- an entry point: everything is passed in
    sessions: Sessions,
    settings: Settings,
    *,
    at: datetime,
    worker: str,
    limit: int | None = None,
    within: timedelta | None = None,
    channels: Channels | None = None,
    progress: Progress = no_progress,
    author: Author = composing,
) -> DeliveryReport:
    """Send what is due.

    Args:
        sessions: Where to read and write.
        settings: The installation's.
        at: Now; time goes on from here as the run takes.
        worker: A name no other living worker has.
        limit: At most so many deliveries.
        within: After so long none leaves any more; the others can be claimed at once.
        channels: By which; those of the settings if None.
        progress: Told how many deliveries were taken up.
        author: Makes messages; who measures the sending alone has them made before.
    """
    repeat_erasures(sessions, settings, at=at)
    trouble = Fence(settings.home).trouble(sessions, at=at)
    if trouble:
        with sessions.begin() as session:
            for channel in Channel:
                hold(session, channel, trouble, until=at + HELD_FOR)
        return DeliveryReport(trouble=trouble)
    desk = _Desk(
        sessions,
        settings,
        worker,
        channels if channels is not None else channels_for(settings),
        Shift(at, within),
        author,
    )
    try:
        report = desk.work(limit, progress)
        desk.see_to_canary()
    finally:
        desk.close()
    return report


class _Desk:
    """One worker at the outbox."""

    def __init__(
        self,
        sessions: Sessions,
        settings: Settings,
        worker: str,
        channels: Channels,
        shift: Shift,
        author: Author,
    ) -> None:
        self._sessions = sessions
        self._settings = settings
        self._channels = channels
        self._now = shift.now
        resting = _resting(sessions, shift.now())
        self._open = set(channels) - resting.keys()
        self._fence = Fence(settings.home)
        self._watch = watch(sessions)
        self._maker = Maker(
            sessions,
            settings,
            worker,
            shift=shift,
            fence=self._fence,
            watch=self._watch,
            open_channels=self._open,
            author=author,
        )
        self._lots = Lots(
            settings,
            self._maker,
            shift=shift,
            fence=self._fence,
            watch=self._watch,
            open_channels=self._open,
            rest=self._rest,
        )
        self._lots.report.resting = resting

    def work(self, limit: int | None, progress: Progress) -> DeliveryReport:
        """Take up deliveries until none is due, or `limit` were.

        While one lot leaves, the next is made ready beside it.
        """
        lots = self._lots
        coming = self._maker.coming(limit)
        with ThreadPoolExecutor(1, thread_name_prefix="desk") as beside:
            lot = lots.make_ready(coming, ())
            while lot is not None:
                next_lot = beside.submit(lots.make_ready, coming, tuple(lot))
                self._send(lot, next_lot)
                progress(lots.done, limit)
                lot = next_lot.result()
                if lots.has_failed():
                    lots.settle()
        lots.settle()
        lots.report.more |= self._maker.more
        return lots.report

    def see_to_canary(self) -> None:
        """Take a canary that is out to the mail server's door."""
        channel = self._channels.get(Channel.EMAIL)
        if channel is None or Channel.EMAIL not in self._open:
            return
        with reading(self._sessions) as session:
            if not canary.is_out(session):
                return
        try:
            channel.open()
        except DeliveryFailed as failure:
            self._rest(Channel.EMAIL, failure)
        else:
            canary.came(self._sessions)

    def close(self) -> None:
        """Settle what is out and let go of channels and files."""
        try:
            self._lots.settle()
        finally:
            self._watch.close()
            self._fence.close()
            for channel in self._channels.values():
                channel.close()

    def _send(self, lot: deque[Attempt], next_lot: Future[Lot]) -> None:
        """Let a lot go, one after another, each on facts that hold then."""
        at_once = len(lot)
        while lot:
            at_once = self._sent_some(lot, at_once)
            if lot and self._lots.has_waited():
                wait([next_lot])
                self._lots.settle()

    def _sent_some(self, leaving: deque[Attempt], at_once: int) -> int:
        """Let up to `at_once` messages go; return how many to check at once next time.

        The first always goes, or a busy database would keep us checking for ever.
        """
        checked = self._checked(
            [leaving.popleft() for _ in range(min(at_once, len(leaving)))]
        )
        gone = 0
        while checked and (gone == 0 or self._lots.is_fresh(checked[0])):
            self._let_go(checked.popleft())
            gone += 1
        leaving.extendleft(reversed(checked))
        return 2 * (gone if checked else at_once)

    def _checked(self, attempts: Sequence[Attempt]) -> deque[Attempt]:
        """Ask the gate again, on facts that hold now; return those that may leave."""
        stale = [one for one in attempts if not self._lots.is_fresh(one)]
        if stale:
            self._read_again(stale)
        now = self._now()
        for one in attempts:
            if one.facts is None:
                continue
            ruling = ruling_on(self._settings, one.claim.delivery, one.facts, at=now)
            if ruling.answer is not Answer.SEND:
                one.made = ruling
        return deque(one for one in attempts if self._is_to_leave(one))

    def _read_again(self, attempts: Sequence[Attempt]) -> None:
        """Read the facts of these again, and make anew what they change."""
        as_of = self._maker.now()
        with reading(self._sessions) as session:
            deliveries = [one.claim.delivery for one in attempts]
            found = facts_of(session, deliveries, at=as_of.at)
            changed = []
            for attempt, facts in zip(attempts, found, strict=True):
                attempt.as_of = as_of
                if facts != attempt.facts or isinstance(attempt.made, Ruling):
                    changed.append(attempt)
            if changed:
                self._maker.make_anew(session, changed)

    def _is_to_leave(self, attempt: Attempt) -> bool:
        if not isinstance(attempt.made, Composed):
            attempt.never_left()
            self._lots.end(attempt, attempt.made)
        return attempt.result is None

    def _let_go(self, attempt: Attempt) -> None:
        """Hand one message over and wait for the answer."""
        channel = self._handed_over(attempt)
        if channel is not None:
            self._await(attempt, channel)
        self._fence.sync()

    def _handed_over(self, attempt: Attempt) -> MessageChannel | None:
        """Return the channel whose answer is to be awaited, if it is."""
        claim, message = attempt.claim, attempt.message
        if claim.channel not in self._open or self._lots.is_late(claim):
            self._lots.put_back(attempt)
            return None
        if message is None:
            self._lots.end(attempt, Sent("shown"))
            return None
        channel = self._channels[claim.channel]
        try:
            channel.open()
        except DeliveryFailed as failure:
            self._rest(claim.channel, failure)
            self._lots.end(attempt, failure)
            return None
        time_left = claim.until - CONVERSATION - self._now()
        try:
            self._fence.leaving(attempt.message_id, at=self._now())
        except OSError as error:  # nothing may leave unwritten
            self._failed(attempt, DeliveryFailed(f"fence: {error}", ours=True))
            return None
        try:
            channel.hand_over(message, before=utc_now() + time_left)
        except DeliveryFailed as failure:
            self._failed(attempt, failure)
            return None
        return channel

    def _await(self, attempt: Attempt, channel: MessageChannel) -> None:
        try:
            answer = channel.answer()
        except DeliveryFailed as failure:
            self._failed(attempt, failure)
            return
        self._lots.end(attempt, Sent(answer))
        try:
            self._fence.sent(attempt.message_id, at=self._now())
        except OSError:
            # It is out, and is settled with the next commit all the same.
            logger.exception("the fence could not be written")

    def _failed(self, attempt: Attempt, failure: DeliveryFailed) -> None:
        self._lots.end(attempt, failure)
        if failure.ours:
            self._rest(attempt.claim.channel, failure)

    def _rest(self, channel: Channel, failure: DeliveryFailed) -> None:
        """Use the channel no more in this run; if the fault is ours, nobody does."""
        if channel not in self._open:
            return
        self._open.remove(channel)
        self._lots.report.resting[channel] = str(failure)
        logger.warning("%s rests: %s", channel, failure)
        if failure.ours:
            with self._sessions.begin() as session:
                hold(session, channel, str(failure), until=self._now() + HELD_FOR)


def _resting(sessions: Sessions, at: datetime) -> dict[Channel, str]:
    with reading(sessions) as session:
        return holds(session, at=at)
