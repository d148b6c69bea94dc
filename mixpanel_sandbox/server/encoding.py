"""A reply as bytes of HTTP/1.1: gzip, framing, and the ways to end badly."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from email.utils import formatdate
from http import HTTPStatus
from itertools import chain

from ..messages import Ending, Reply

GZIP_OVER_BYTES = 1400
"""Smaller bodies are never compressed. https://developer.mixpanel.com/reference/raw-event-export"""

_GZIP_WINDOW = 31
_CUT_SHORT = {Ending.UNTERMINATED, Ending.RESET}


def iter_wire(reply: Reply, *, accepts_gzip: bool) -> Iterator[bytes]:
    """Yield the bytes of a reply in pieces; the first one holds the head.

    Args:
        reply: What to send; its waits and the reset of its connection are not made here.
        accepts_gzip: Whether the client takes a compressed body.
    """
    if reply.ending is Ending.SILENCE:
        return
    is_large, blocks = _peek(reply.blocks, GZIP_OVER_BYTES)
    # a stream whose end is to be missing must be there, however small
    compressed = accepts_gzip and (is_large or reply.ending is Ending.OPEN_GZIP)
    if compressed:
        blocks = _compress(blocks, reply.ending)
    if reply.chunked:
        yield _head(reply, compressed, "Transfer-Encoding: chunked")
        yield from _chunk(blocks, reply.ending)
    else:
        body = b"".join(blocks)
        missing = reply.ending in _CUT_SHORT
        yield _head(reply, compressed, f"Content-Length: {len(body) + missing}") + body


def _head(reply: Reply, compressed: bool, framing: str) -> bytes:
    lines = [
        f"HTTP/1.1 {reply.status} {HTTPStatus(reply.status).phrase}",
        f"Date: {formatdate(usegmt=True)}",
        f"Content-Type: {reply.content_type}",
        framing,
        *(["Content-Encoding: gzip"] if compressed else []),
        *(f"{name}: {value}" for name, value in reply.headers.items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def _peek(blocks: Iterable[bytes], threshold: int) -> tuple[bool, Iterable[bytes]]:
    """Return whether there are more bytes than the threshold, and the blocks again."""
    remaining = iter(blocks)
    seen: list[bytes] = []
    size = 0
    while size <= threshold and (block := next(remaining, None)) is not None:
        seen.append(block)
        size += len(block)
    return size > threshold, chain(seen, remaining)


def _compress(blocks: Iterable[bytes], ending: Ending) -> Iterator[bytes]:
    packer = zlib.compressobj(level=1, wbits=_GZIP_WINDOW)
    for block in blocks:
        yield packer.compress(block)
    # the end of the gzip stream is there where only the framing shall show the cut
    is_open = ending in {Ending.OPEN_GZIP, Ending.RESET}
    yield packer.flush(zlib.Z_SYNC_FLUSH if is_open else zlib.Z_FINISH)


def _chunk(blocks: Iterable[bytes], ending: Ending) -> Iterator[bytes]:
    for block in filter(None, blocks):
        yield b"%x\r\n%b\r\n" % (len(block), block)
    if ending not in _CUT_SHORT:
        yield b"0\r\n\r\n"
