"""What carries messages: one module per channel, all of this shape.

`docs/channels.md` tells how to add one; `tests/notifier/test_channels.py` holds it.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

from library.vocabulary import Channel
from notifier.message import Message


class MessageChannel(Protocol):
    """Carries messages, one after another."""

    def open(self) -> None:
        """Be ready for a message; nothing is done where it is ready.

        Raises:
            DeliveryFailed: The channel cannot be used now; no message is out.
        """

    def hand_over(self, message: Message, *, before: datetime) -> None:
        """Hand one message over; the other side may still be reading it.

        Args:
            message: The message.
            before: It must not be handed over after this moment: another worker may
                have it then.

        Raises:
            DeliveryFailed: It was not taken, or nobody knows whether it was.
        """

    def answer(self) -> str:
        """Wait for what the other side answers to the message handed over last.

        Raises:
            DeliveryFailed: It was not taken, or nobody knows whether it was.
        """

    def close(self) -> None:
        """Let go of connections; it can be opened again."""


Channels = Mapping[Channel, MessageChannel]
