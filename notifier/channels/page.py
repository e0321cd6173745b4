"""The patron's own page and feed: delivered once it is there to be read."""

from datetime import datetime

from notifier.message import Message


class PageChannel:
    """Carries nothing: page and feed show a patron's alerts from the tables."""

    def open(self) -> None:
        """It is always ready."""

    def hand_over(self, message: Message, *, before: datetime) -> None:
        """Nothing travels."""

    def answer(self) -> str:
        """Say that it is there."""
        return "shown"

    def close(self) -> None:
        """There is nothing to let go of."""
