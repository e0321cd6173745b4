"""Content encodings undone with a cap, so that a bomb never unfolds."""

import zlib
from collections.abc import Iterable
from typing import Protocol

import brotli

from library.errors import FetchFailed

ACCEPTED = "gzip, br, deflate"

_STEP = 64 * 1024


def decode(chunks: Iterable[bytes], encoding: str, *, limit: int) -> bytes:
    """Return the whole body, decoded.

    Args:
        chunks: As they come from the wire.
        encoding: The header `Content-Encoding`; empty for none.
        limit: Bytes at most after decoding.

    Raises:
        FetchFailed: The body is larger, broken, or in an encoding we did not ask for.
    """
    decoder = _decoder(encoding)
    body = bytearray()
    try:
        for chunk in chunks:
            for piece in decoder.feed(chunk):
                body += piece
                if len(body) > limit:
                    raise FetchFailed(f"more than {limit} bytes", cause="too_large")
    except (zlib.error, brotli.error) as error:
        raise FetchFailed(f"broken {encoding}: {error}", cause="encoding") from error
    if not decoder.is_whole():
        raise FetchFailed(f"the {encoding} breaks off", cause="encoding")
    return bytes(body)


class _Decoder(Protocol):
    def feed(self, chunk: bytes) -> Iterable[bytes]: ...
    def is_whole(self) -> bool: ...


def _decoder(encoding: str) -> _Decoder:
    match encoding.strip().lower():
        case "" | "identity":
            return _Plain()
        case "gzip" | "x-gzip":
            return _Inflate(zlib.MAX_WBITS | 32)
        case "deflate":
            return _Inflate(zlib.MAX_WBITS)
        case "br":
            return _Unbrotli()
    # Several layers are a bomb's way: we ask for one.
    raise FetchFailed(f"unknown encoding {encoding[:80]!r}", cause="encoding")


class _Plain:
    def feed(self, chunk: bytes) -> Iterable[bytes]:
        return (chunk,)

    def is_whole(self) -> bool:
        return True


class _Inflate:
    """gzip or deflate; some servers send deflate without its header."""

    def __init__(self, window: int) -> None:
        self._inflate = zlib.decompressobj(window)
        self._begun = window != zlib.MAX_WBITS

    def feed(self, chunk: bytes) -> Iterable[bytes]:
        try:
            piece = self._inflate.decompress(chunk, _STEP)
        except zlib.error:
            if self._begun:
                raise
            self._inflate = zlib.decompressobj(-zlib.MAX_WBITS)
            piece = self._inflate.decompress(chunk, _STEP)
        self._begun = True
        yield piece
        while self._inflate.unconsumed_tail:
            yield self._inflate.decompress(self._inflate.unconsumed_tail, _STEP)

    def is_whole(self) -> bool:
        return self._inflate.eof


class _Unbrotli:
    def __init__(self) -> None:
        self._decompressor = brotli.Decompressor()

    def feed(self, chunk: bytes) -> Iterable[bytes]:
        yield self._decompressor.process(chunk, output_buffer_limit=_STEP)
        while not self._decompressor.can_accept_more_data():
            yield self._decompressor.process(b"", output_buffer_limit=_STEP)

    def is_whole(self) -> bool:
        return bool(self._decompressor.is_finished())
