"""Until when a message may be handed over."""

from datetime import datetime

from library.clock import utc_now
from library.errors import DeliveryFailed


def require_time(before: datetime) -> None:
    """Do nothing in time.

    Raises:
        DeliveryFailed: It is too late: another worker may have the message.
    """
    if utc_now() >= before:
        raise DeliveryFailed("too late: another worker may have it")
