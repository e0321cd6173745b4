"""How fast mail may go: a rate per receiving domain, and a brake on all of it.

Counts live in the database, so that they hold over all workers.
"""

from datetime import datetime, timedelta

from sqlalchemy import func, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from library.tables import CallCount, Delivery
from library.vocabulary import Channel, DeliveryState
from notifier.message import ascii_domain

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)


def wait_for(
    session: Session, address: str, rate: int, *, at: datetime
) -> datetime | None:
    """Count one message to an address's domain; return when to try, if not now.

    Args:
        session: An open transaction.
        address: Where it goes.
        rate: Messages a minute to one domain; 0 leaves it open.
        at: Now.
    """
    if rate <= 0:
        return None
    window = at.replace(second=0, microsecond=0)
    domain = ascii_domain(address).rpartition("@")[2].lower()
    caller = f"mail:{domain}"[:120]
    return None if _count(session, caller, window) <= rate else window + MINUTE


def left_before_brake(session: Session, brake: int, *, at: datetime) -> int | None:
    """Return how many more mails may go now; None where there is no brake."""
    if brake <= 0:
        return None
    gone = session.scalar(
        select(func.count(Delivery.id)).where(
            Delivery.channel == Channel.EMAIL,
            or_(
                (Delivery.state == DeliveryState.SENT)
                & (Delivery.settled_at > at - DAY),
                Delivery.state == DeliveryState.SENDING,
            ),
        )
    )
    return max(brake - (gone or 0), 0)


def _count(session: Session, caller: str, window: datetime) -> int:
    if not session.get(CallCount, (caller, window)):
        try:
            with session.begin_nested():
                session.add(CallCount(caller=caller, window=window, calls=0))
        except IntegrityError:
            pass  # another worker was quicker to begin this minute
    calls = session.scalar(
        update(CallCount)
        .where(CallCount.caller == caller, CallCount.window == window)
        .values(calls=CallCount.calls + 1)
        .returning(CallCount.calls)
        .execution_options(synchronize_session=False)
    )
    return calls or 0
