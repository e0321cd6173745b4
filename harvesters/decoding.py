"""Content encodings undone with a cap, so that a bomb never unfolds."""

import zlib
from collections.abc import Callable, Iterable

import brotli

from library.errors import FetchFailed

ACCEPTED = "gzip, br, deflate"

_STEP = 64 * 1024
_Decode = Callable[[bytes], Iterable[bytes]]


def decode(chunks: Iterable[bytes], encoding: str, *, limit: int) -> bytes:
    """Return the whole body, decoded.

    Args:
        chunks: As they come from the wire.
        encoding: The header `Content-Encoding`; empty for none.
        limit: Bytes at most after decoding.

    Raises:
        FetchFailed: The body is larger, broken, or in an encoding we did not ask for.
    """
    step = _decoder(encoding)
    body = bytearray()
    try:
        for chunk in chunks:
            for piece in step(chunk):
                body += piece
                if len(body) > limit:
                    raise FetchFailed(f"more than {limit} bytes", cause="too_large")
    except (zlib.error, brotli.error) as error:
        raise FetchFailed(f"broken {encoding}: {error}", cause="encoding") from error
    return bytes(body)


def _decoder(encoding: str) -> _Decode:
    match encoding.strip().lower():
        case "" | "identity":
            return lambda chunk: (chunk,)
        case "gzip" | "x-gzip":
            return _Inflate(zlib.MAX_WBITS | 32)
        case "deflate":
            return _Inflate(zlib.MAX_WBITS)
        case "br":
            return _unbrotli(brotli.Decompressor())
    # Several layers are a bomb's way: we ask for one.
    raise FetchFailed(f"unknown encoding {encoding[:80]!r}", cause="encoding")


class _Inflate:
    """gzip or deflate; some servers send deflate without its header."""

    def __init__(self, window: int) -> None:
        self._inflate = zlib.decompressobj(window)
        self._begun = window != zlib.MAX_WBITS

    def __call__(self, chunk: bytes) -> Iterable[bytes]:
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


def _unbrotli(decompressor: brotli.Decompressor) -> _Decode:
    def step(chunk: bytes) -> Iterable[bytes]:
        yield decompressor.process(chunk, output_buffer_limit=_STEP)
        while not decompressor.can_accept_more_data():
            yield decompressor.process(b"", output_buffer_limit=_STEP)

    return step
