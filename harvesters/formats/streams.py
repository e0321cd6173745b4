"""Streams that are read through without being taken over."""

import io
from typing import Any, BinaryIO

from library.errors import MalformedRecord

_LARGEST = 64 * 1024 * 1024


def whole(stream: BinaryIO) -> bytes:
    """Return all of a stream, for formats that cannot be read piece by piece.

    Raises:
        MalformedRecord: It is too large to be held in memory.
    """
    body = stream.read(_LARGEST + 1)
    if len(body) > _LARGEST:
        raise MalformedRecord(f"more than {_LARGEST} bytes")
    return body


class Capped(io.RawIOBase):
    """A stream that must not go on for ever, such as one that is being unzipped.

    Reading raises MalformedRecord beyond what can be held in memory.
    """

    def __init__(self, stream: BinaryIO, size: int = _LARGEST) -> None:
        super().__init__()
        self._stream = stream
        self._size = self._left = size

    def readable(self) -> bool:
        """It can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer with what comes next; 0 at the end."""
        data = self._stream.read(len(buffer))
        self._left -= len(data)
        if self._left < 0:
            raise MalformedRecord(f"more than {self._size} bytes")
        buffer[: len(data)] = data
        return len(data)


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
