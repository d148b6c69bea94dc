"""Encodes a response as HTTP/1.1: gzip and framing, including faulty endings."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from itertools import chain

from ..messages import Ending, Response, reason_phrase

MIN_GZIP_BYTES = 1400
"""Bodies up to this size are not compressed.

Source: https://developer.mixpanel.com/reference/raw-event-export
"""

_GZIP_WBITS = 31
_CUT_SHORT = {Ending.UNTERMINATED, Ending.RESET}


def encode(response: Response, *, accepts_gzip: bool) -> Iterator[bytes]:
    """Yield the bytes of a response in pieces; the first one contains the head.

    Args:
        response: Its delays, and the reset of its connection, are left to the caller.
        accepts_gzip: Whether the client accepts a compressed body.
    """
    if response.ending is Ending.NOTHING_SENT:
        return
    is_large, blocks = _measure(response.blocks, MIN_GZIP_BYTES)
    # an unfinished gzip stream needs a gzip stream, however small the body
    compressed = accepts_gzip and (is_large or response.ending is Ending.UNFINISHED_GZIP)
    if compressed:
        blocks = _compress(blocks, response.ending)
    if response.chunked:
        yield _head(response, compressed, "Transfer-Encoding: chunked")
        yield from _chunk(blocks, response.ending)
    else:
        body = b"".join(blocks)
        # a length one byte too large makes the client wait for more
        missing = response.ending in _CUT_SHORT
        yield _head(response, compressed, f"Content-Length: {len(body) + missing}") + body


def _head(response: Response, compressed: bool, framing: str) -> bytes:
    lines = [
        f"HTTP/1.1 {response.status} {reason_phrase(response.status)}",
        f"Content-Type: {response.content_type}",
        framing,
        *(["Content-Encoding: gzip"] if compressed else []),
        *(f"{name}: {value}" for name, value in response.headers.items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def _measure(blocks: Iterable[bytes], threshold: int) -> tuple[bool, Iterable[bytes]]:
    """Return whether the blocks exceed the threshold in bytes, and all of the blocks."""
    remaining = iter(blocks)
    read: list[bytes] = []
    size = 0
    while size <= threshold and (block := next(remaining, None)) is not None:
        read.append(block)
        size += len(block)
    return size > threshold, chain(read, remaining)


def _compress(blocks: Iterable[bytes], ending: Ending) -> Iterator[bytes]:
    compressor = zlib.compressobj(level=1, wbits=_GZIP_WBITS)
    for block in blocks:
        yield compressor.compress(block)
    # an unterminated response has a complete gzip stream: only its framing reveals the cut
    unfinished = ending in {Ending.UNFINISHED_GZIP, Ending.RESET}
    yield compressor.flush(zlib.Z_SYNC_FLUSH if unfinished else zlib.Z_FINISH)


def _chunk(blocks: Iterable[bytes], ending: Ending) -> Iterator[bytes]:
    for block in filter(None, blocks):
        yield b"%x\r\n%b\r\n" % (len(block), block)
    if ending not in _CUT_SHORT:
        yield b"0\r\n\r\n"
