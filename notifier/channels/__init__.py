"""What carries messages: one module per channel, all of this shape."""

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

    def send(self, message: Message, *, before: datetime) -> str:
        """Carry one message; return what the other side answered.

        Args:
            message: The message.
            before: It must not be handed over after this moment: another worker may
                have it then.

        Raises:
            DeliveryFailed: It was not taken, or nobody knows whether it was.
        """

    def close(self) -> None:
        """Let go of connections; it can be opened again."""


Channels = Mapping[Channel, MessageChannel]
