r"""Bytes from the network into blocks of rows, one row on each line.

Pure and streaming: nothing here holds more than a block. Lines end at `\n` and nowhere else, so a
U+2028 or a form feed inside a string stays where it is, and a character split between two chunks
becomes whole again.

Events stored before Mixpanel validated its input may hold a raw line break inside a string, which
tears the row over several lines. Joining them again is done here only:

- `iter_row_blocks` joins the torn rows of small blocks, and those that cross the edge of a block.
  It does not look for them inside big blocks, where this would cost a pass over every byte.
- The reader of a big block meets their pieces as lines it cannot read, and calls `join_torn_rows`.
- `iter_rows` joins all of them, for readers that take one row after the other.
- `last_row` is for the end of a reply whose rows are not read.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from isal import isal_zlib

from .. import constants
from ..errors import RequestError, TruncatedError
from .json_values import is_whole_json, repair_row

_DAMAGED: Any = isal_zlib.error
PIECE_BYTES = 1024 * 1024
"""Maximum bytes decompressed at once."""
_TERMINATED_EARLY = re.compile(rb"terminated[\W_]*early")
_ERROR_START = re.compile(rb"\s*{\s*\"error\"")
_MAX_JOINED_LINES = 1_000
"""Maximum lines of one torn row, so that a string that never ends does not fill the memory."""


def inflate(chunks: Iterable[bytes], *, only_one: bool = False) -> Iterator[bytes]:
    """Decompress a gzip stream into pieces of at most `PIECE_BYTES`.

    Args:
        chunks: the stream, which may be several streams one after another.
        only_one: whether to refuse several streams, because only the trailer of the last one could
            tell that it is the last one.

    Raises:
        TruncatedError: the stream is damaged or ends before its trailer.
    """
    stream = isal_zlib.decompressobj(wbits=31)
    try:
        for chunk in chunks:
            data = chunk
            while data:
                if stream.eof:
                    if only_one:
                        raise TruncatedError("the reply does not say where it ends")
                    stream = isal_zlib.decompressobj(wbits=31)
                yield stream.decompress(data, PIECE_BYTES)
                data = stream.unused_data if stream.eof else stream.unconsumed_tail
        yield stream.flush()
    except _DAMAGED as error:
        raise TruncatedError("the gzip stream is damaged") from error
    if not stream.eof:
        raise TruncatedError("the gzip stream ends before its trailer")


def iter_row_blocks(pieces: Iterable[bytes]) -> Iterator[bytes]:
    r"""Cut bytes into blocks of rows, each row on one line that ends with `\n`; no blank lines.

    Args:
        pieces: the bytes, in pieces of any size.

    Yields:
        Blocks of `constants.BLOCK_BYTES` plus the rest of a row, the same whatever the pieces. Big
        blocks may still hold torn rows, see `join_torn_rows`.

    Raises:
        TruncatedError: a line is not JSON, and does not become an object with those after it.
        RequestError: a row is longer than `constants.MAX_ROW_BYTES`.
    """
    torn = _TornRow()
    for block in _iter_line_blocks(pieces):
        if not torn and _seems_whole(block):
            yield block
        elif rows := torn.join(block):
            yield rows
    torn.check_ended()


def iter_rows(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yields the rows of a reply one by one, without their line ends; all torn rows are joined.

    Raises:
        TruncatedError: see `iter_row_blocks`.
    """
    torn = _TornRow()
    for block in _iter_line_blocks(pieces):
        yield from torn.join(block).split(b"\n")[:-1]
    torn.check_ended()


def join_torn_rows(block: bytes, *, unreadable: Iterable[bytes]) -> bytes:
    """The block with its torn rows joined; the same object if it has none.

    Args:
        block: from `iter_row_blocks`.
        unreadable: its lines that are not rows as they stand. The first line of a torn row ends
            within a string; a blank line may be the middle of one.

    Raises:
        TruncatedError: see `iter_row_blocks`.
    """
    if not any(_is_in_string(line) or not line.strip() for line in unreadable):
        return block
    torn = _TornRow()
    rows = torn.join(block)
    torn.check_ended()
    return rows


def last_row(tail: bytes) -> bytes:
    """The last row at the end of a reply, with its line breaks if it is torn.

    Args:
        tail: the last bytes of a reply, which may begin in the middle of a row.

    Returns:
        The last line if it does not end a row; empty if there is none.
    """
    lines = tail.rstrip().split(b"\n")
    row = b""
    for line in reversed(lines[-_MAX_JOINED_LINES:]):
        row = line + b"\n" + row if row else line
        if line.startswith(b"{") and _is_object(row):
            return row
        # quotes are escaped inside a string, so this is a row of its own: the torn one began later
        if b'"' in line and _is_object(line):
            break
    return lines[-1]


def is_message(line: bytes, value: object) -> bool:
    """Whether a line is a message of Mixpanel about the reply, instead of a row.

    Args:
        line: JSON text.
        value: that it is the text of.
    """
    if not isinstance(value, dict):
        return _TERMINATED_EARLY.search(line.lower()) is not None
    if "event" in value or "properties" in value:
        return False
    is_error = "error" in value or value.get("status") == "error"
    return is_error or _TERMINATED_EARLY.search(line.lower()) is not None


def describe_bad_line(line: bytes) -> str:
    """Why a line is not a row, without any of its content."""
    text = line.lower()
    if _TERMINATED_EARLY.search(text):
        return "Mixpanel ended the reply with 'terminated early'"
    if b"<html" in text or b"<!doctype" in text:
        return "the reply is an HTML page"
    if _ERROR_START.match(line):
        return "the reply ends with an error message"
    return "the reply holds a line that is not a whole JSON object"


def _iter_line_blocks(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Gathers pieces into blocks of whole lines; the last line may lack its end.

    A block ends with the line that reaches `BLOCK_BYTES`. So the blocks are the same whether the
    bytes come from the network or, in other pieces, from the disk.
    """
    gathered: list[bytes] = []
    size = 0
    # a block goes on past `BLOCK_BYTES` only as long as its last row
    limit = constants.BLOCK_BYTES + constants.MAX_ROW_BYTES
    for given in pieces:
        piece = given
        while cut := piece.find(b"\n", max(0, constants.BLOCK_BYTES - 1 - size)) + 1:
            if size + cut > limit:
                raise _too_long()
            gathered.append(piece[:cut])
            yield b"".join(gathered)
            piece = piece[cut:]
            gathered, size = [], 0
        gathered.append(piece)
        size += len(piece)
        if size > limit:
            raise _too_long()
    yield b"".join(gathered)


def _too_long() -> RequestError:
    return RequestError(
        f"a row of the reply has more than {constants.MAX_ROW_BYTES:,} bytes. Mixpanel takes no "
        "event of more than a megabyte, so check the proxy or gateway that the reply came through."
    )


def _seems_whole(block: bytes) -> bool:
    """Whether a block is big, and its first and last row seem whole."""
    return (
        len(block) >= constants.SMALL_BLOCK_BYTES
        and block.startswith(b"{")
        and block.endswith(b"}\n")
    )


class _TornRow:
    """The lines so far of a torn row, over the edges of blocks."""

    def __init__(self) -> None:
        self._joined = b""
        self._lines = 0

    def __bool__(self) -> bool:
        return self._lines > 0

    def join(self, block: bytes) -> bytes:
        """The rows that end in the next block, one on each line."""
        whole: list[bytes] = []
        for line in block.split(b"\n"):
            if not self._lines and _looks_whole(line):
                whole.append(line + b"\n")
            elif self._lines or line.strip():
                self._append(line)
                if _is_object(self._joined) or _is_other_value(self._joined):
                    whole.append(self._joined + b"\n")
                    self._joined, self._lines = b"", 0
                elif not self._joined.startswith(b"{") or self._lines > _MAX_JOINED_LINES:
                    raise TruncatedError(describe_bad_line(self._joined))
        return b"".join(whole)

    def check_ended(self) -> None:
        """Raise TruncatedError if the last row lacks its end."""
        if self._lines:
            raise TruncatedError(describe_bad_line(self._joined))

    def _append(self, line: bytes) -> None:
        if self._lines:
            # a raw line break is not allowed in a string; between values it is a space
            self._joined += b"\\n" if _is_in_string(self._joined) else b" "
        self._joined += line
        self._lines += 1
        if len(self._joined) > constants.MAX_ROW_BYTES:
            raise _too_long()


def _looks_whole(line: bytes) -> bool:
    return line.startswith(b"{") and line.endswith((b"}", b"}\r")) and not _is_in_string(line)


def _is_in_string(text: bytes) -> bool:
    """Whether JSON text that begins outside a string ends within one: has an odd quote."""
    if b"\\" not in text:
        return text.count(b'"') % 2 == 1
    # without the escaped backslashes, a backslash before a quote escapes it
    unpaired = text.replace(b"\\\\", b"")
    return (unpaired.count(b'"') - unpaired.count(b'\\"')) % 2 == 1


def _is_other_value(text: bytes) -> bool:
    """Whether text is a JSON value other than an object, and no message of Mixpanel."""
    if text.startswith(b"{") or _TERMINATED_EARLY.search(text.lower()):
        return False
    return is_whole_json(text)


def _is_object(text: bytes) -> bool:
    if _is_in_string(text):
        return False
    try:
        repair_row(text, Counter())
    except ValueError:
        return False
    return True
