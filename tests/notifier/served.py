"""The service over an hour of its schedule, one part of it stopped half-way."""

from collections.abc import Callable
from datetime import datetime

from library.db import Sessions
from library.errors import DeliveryFailed
from library.settings import Settings
from library.tables import Schedule, ScheduleRun
from library.vocabulary import Channel, SlotState
from notifier.canary import set_out
from notifier.delivery import deliver_due
from tests.factories import NOON
from tests.notifier.cast import MINUTE, Outbox

EVERY = 5 * MINUTE


class ClosedDoor(Outbox):
    """A mail server that is away."""

    def open(self) -> None:
        raise DeliveryFailed("connection: refused")


def turn(sessions: Sessions, name: str, at: datetime) -> None:
    """Do a job's turn, as scheduler and worker do."""
    with sessions.begin() as session:
        session.merge(Schedule(name=name, next_at=at + EVERY))
        session.add(
            ScheduleRun(
                name=name, slot=at, due_at=at, state=SlotState.DONE, ended_at=at
            )
        )


def served(
    sessions: Sessions,
    settings: Settings,
    *,
    stopped: str = "",
    begin: int = 0,
    end: int = 60,
    after: Callable[[datetime], object] = lambda _: None,
) -> datetime:
    """Let the service run, one part of it only for the first half hour.

    Args:
        sessions: Its database.
        settings: Its settings.
        stopped: That part: schedule, alerts or mail.
        begin: The minute after NOON with which it begins.
        end: The minute at which it ends; that moment is returned.
        after: Called every five minutes.
    """
    at = NOON + begin * MINUTE
    while at < NOON + end * MINUTE:
        gone = stopped if at >= NOON + 30 * MINUTE else ""
        if gone != "schedule":
            turn(sessions, "canary", at)
            set_out(sessions, at=at)
            if gone != "alerts":
                turn(sessions, "alert", at)
            outbox = ClosedDoor() if gone == "mail" else Outbox()
            channels = {Channel.EMAIL: outbox}
            deliver_due(sessions, settings, at=at, worker="w1", channels=channels)
        after(at)
        at += EVERY
    return at
