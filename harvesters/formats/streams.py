"""Streams that are read through without being taken over."""

import io
from typing import Any, BinaryIO


class Joined(io.RawIOBase):
    """A stream put together again after its beginning was looked at.

    Closing it leaves the stream behind it open: that belongs to whoever opened it.
    """

    def __init__(self, beginning: bytes, rest: BinaryIO) -> None:
        super().__init__()
        self._beginning = io.BytesIO(beginning)
        self._rest = rest

    def readable(self) -> bool:
        """It can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer with what comes next; 0 at the end."""
        data = self._beginning.read(len(buffer)) or self._rest.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)
