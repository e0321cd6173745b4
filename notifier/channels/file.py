"""Mail as files, where no mail server is set: one `.eml` per message."""

import os
from datetime import datetime
from pathlib import Path

from library.errors import DeliveryFailed
from notifier.channels.patience import require_time
from notifier.message import Message


class FileChannel:
    """Writes each message into a folder, under a name made from its Message-ID.

    The same message again replaces itself. It is whole on the disk before it has its
    name, so whoever reads the folder never meets half of one.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._last = ""

    def open(self) -> None:
        """Make the folder.

        Raises:
            DeliveryFailed: It cannot be made.
        """
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DeliveryFailed(f"{self._folder}: {error}", ours=True) from error

    def hand_over(self, message: Message, *, before: datetime) -> None:
        """Write one message.

        Raises:
            DeliveryFailed: The disk is full, or the folder cannot be written.
        """
        require_time(before)
        path = self._folder / file_name(message.message_id)
        draft = path.with_suffix(f".{os.getpid()}.part")
        try:
            with draft.open("wb") as file:
                file.write(message.content)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
        except OSError as error:
            raise DeliveryFailed(f"{path}: {error}", ours=True) from error
        self._last = path.name

    def answer(self) -> str:
        """Return the name of the last message's file."""
        return self._last

    def close(self) -> None:
        """There is nothing to let go of."""


def file_name(message_id: str) -> str:
    """Return the name of a message's file."""
    local = message_id.strip("<>").partition("@")[0]
    return "".join(c if c.isalnum() or c in "-_" else "-" for c in local) + ".eml"
