r"""Bytes as they come from the network, into lines, into rows.

Pure and streaming: nothing here holds more than a block. Lines end at `\n` and nowhere else, so a
U+2028 or a form feed inside a string stays where it is, and a character cut by the edge of a chunk
is whole again.

A row is read by `orjson`. What `orjson` does not take, or would change, goes through `repair_row`:
slower, rare, and counted.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from typing import Any

import orjson
from isal import isal_zlib

from .. import constants
from ..errors import TruncatedError

_DAMAGED: Any = isal_zlib.error
PIECE_BYTES = 1024 * 1024
"""Most bytes decompressed at once."""
DIGEST_BYTES = 16
INT64_END = 2**63
REPLACEMENT = "\ufffd"
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_INVALID_BYTE = re.compile("[\udc80-\udcff]")
_TERMINATED_EARLY = re.compile(rb"terminated[\W_]*early")
_ERROR_START = re.compile(rb"\s*{\s*\"error\"")
_MAX_JOINED_LINES = 1_000

Row = dict[str, Any]
Repairs = Counter[str]
"""How many values were repaired, by kind: `integer`, `not_finite`, `nul`, `surrogate`, `utf8`."""


def inflate(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Decompress a gzip stream into pieces of at most `PIECE_BYTES`.

    Raises:
        TruncatedError: if the stream is damaged or ends before its trailer.
    """
    stream = isal_zlib.decompressobj(wbits=31)
    try:
        for chunk in chunks:
            data = chunk
            while data:
                if stream.eof:
                    stream = isal_zlib.decompressobj(wbits=31)
                yield stream.decompress(data, PIECE_BYTES)
                data = stream.unused_data if stream.eof else stream.unconsumed_tail
        yield stream.flush()
    except _DAMAGED as error:
        raise TruncatedError("the gzip stream is damaged") from error
    if not stream.eof:
        raise TruncatedError("the gzip stream ends before its trailer")


def iter_row_blocks(blocks: Iterable[bytes]) -> Iterator[bytes]:
    r"""Cut bytes into blocks of whole rows, each row on one line that ends with `\n`.

    Blank lines go. Rows torn apart are joined again: events stored before Mixpanel checked its
    input may hold a raw line break inside a string, which is escaped here.

    Args:
        blocks: the bytes in pieces of any size.

    Yields:
        Blocks of `constants.BLOCK_BYTES` and the rest of a row, the same whatever the pieces.

    Raises:
        TruncatedError: at a line that is no JSON object and does not become one.
    """
    torn = _TornRow()
    for block in _iter_line_blocks(blocks):
        if not torn and _is_plain(block):
            yield block
        elif rows := torn.join(block):
            yield rows
    torn.check_ended()


def join_torn_rows(block: bytes) -> bytes:
    """A block of whole rows in which rows may still be torn apart, as `iter_row_blocks` has it."""
    torn = _TornRow()
    rows = torn.join(block)
    torn.check_ended()
    return rows


def _iter_line_blocks(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Gathers pieces into blocks of whole lines; the last line may lack its end.

    A block ends with the first line that reaches `BLOCK_BYTES`. So whatever pieces the bytes come
    in, from the network or from the disk, the blocks are the same.
    """
    pieces: list[bytes] = []
    size = 0
    for block in blocks:
        piece = block
        while cut := piece.find(b"\n", max(0, constants.BLOCK_BYTES - 1 - size)) + 1:
            pieces.append(piece[:cut])
            yield b"".join(pieces)
            piece = piece[cut:]
            pieces, size = [], 0
        pieces.append(piece)
        size += len(piece)
    yield b"".join(pieces)


def _is_plain(block: bytes) -> bool:
    """Whether a big block seems to begin and end with whole rows; `decode` looks between them."""
    return (
        len(block) >= constants.SMALL_BLOCK_BYTES
        and block.startswith(b"{")
        and block.endswith(b"}\n")
    )


class _TornRow:
    """The lines so far of a row that is torn apart."""

    def __init__(self) -> None:
        self._joined = b""
        self._lines = 0

    def __bool__(self) -> bool:
        return self._lines > 0

    def join(self, block: bytes) -> bytes:
        """The whole rows of a block that follows, one a line."""
        whole: list[bytes] = []
        for line in block.split(b"\n"):
            if not self._lines and _looks_whole(line):
                whole.append(line + b"\n")
            elif self._lines or line.strip():
                self._append(line)
                if _is_object(self._joined):
                    whole.append(self._joined + b"\n")
                    self._joined, self._lines = b"", 0
                elif not self._joined.startswith(b"{") or self._lines > _MAX_JOINED_LINES:
                    raise TruncatedError(describe_bad_line(self._joined))
        return b"".join(whole)

    def check_ended(self) -> None:
        """Raise TruncatedError if the row is still not whole."""
        if self._lines:
            raise TruncatedError(describe_bad_line(self._joined))

    def _append(self, line: bytes) -> None:
        if self._lines:
            self._joined += b"\\n" if is_in_string(self._joined) else b" "
        self._joined += line
        self._lines += 1


def describe_bad_line(line: bytes) -> str:
    """Why a line is no row, in words that show none of its content."""
    text = line.lower()
    if _TERMINATED_EARLY.search(text):
        return "Mixpanel ended the reply with 'terminated early'"
    if b"<html" in text or b"<!doctype" in text:
        return "the reply is an HTML page"
    if _ERROR_START.match(line):
        return "the reply ends with an error message"
    return "the reply holds a line that is not a whole JSON object"


def repair_row(line: bytes, repairs: Repairs) -> Row:
    """Read a row that holds what no database takes, changing as little as can be.

    Integers of 2^63 and more, NaN and the infinities become text; NUL, lone surrogates and bytes
    that are no UTF-8 become U+FFFD. Integers inside lists and objects stay as they are, for JSON
    columns hold them, unless they have more digits than Python reads. What was changed is added to
    `repairs`.

    Raises:
        ValueError: if the line is no JSON object, or nested deeper than Python reads.
    """
    text, invalid_bytes = _INVALID_BYTE.subn(REPLACEMENT, line.decode("utf-8", "surrogateescape"))
    if invalid_bytes:
        repairs["utf8"] += invalid_bytes
    try:
        row = _load(text, repairs)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    for properties in (row, *(value for value in row.values() if isinstance(value, dict))):
        for name, value in properties.items():
            if type(value) is int and not -INT64_END <= value < INT64_END:
                properties[name] = str(value)
                repairs["integer"] += 1
    return row


def _load(text: str, repairs: Repairs) -> Row:
    def parse_float(literal: str) -> float | str:
        value = float(literal)
        if math.isfinite(value):
            return value
        repairs["not_finite"] += 1
        return literal

    def parse_int(literal: str) -> int | str:
        try:
            return int(literal)
        except ValueError:  # Python limits the digits it converts
            repairs["integer"] += 1
            return literal

    read = json.loads(text, strict=False, parse_float=parse_float, parse_int=parse_int)
    if not isinstance(read, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004 - one kind of error for callers
    row: Row = _repair(read, repairs)
    return row


def dump_json(value: object) -> str:
    """JSON text of a value; integers of any size, characters as themselves."""
    try:
        return orjson.dumps(value).decode()
    except TypeError:  # an integer beyond 64 bits
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def content_digest(value: object) -> bytes:
    """`DIGEST_BYTES` bytes that tell a JSON value from others, whatever the order of its keys."""
    try:
        text = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except TypeError:  # an integer beyond 64 bits
        text = json.dumps(value, sort_keys=True).encode()
    return blake2b(text, digest_size=DIGEST_BYTES).digest()


def _looks_whole(line: bytes) -> bool:
    return line.startswith(b"{") and line.endswith((b"}", b"}\r")) and not is_in_string(line)


def is_in_string(text: bytes) -> bool:
    """Whether JSON text that begins outside a string ends within one."""
    if b"\\" not in text:
        return text.count(b'"') % 2 == 1
    unpaired = text.replace(b"\\\\", b"")
    return (unpaired.count(b'"') - unpaired.count(b'\\"')) % 2 == 1


def _is_object(text: bytes) -> bool:
    if is_in_string(text):
        return False
    try:
        repair_row(text, Counter())
    except ValueError:
        return False
    return True


def _repair(value: Any, repairs: Repairs) -> Any:  # noqa: ANN401 - any JSON value
    if isinstance(value, str):
        return _repair_text(value, repairs)
    if isinstance(value, float) and not math.isfinite(value):
        repairs["not_finite"] += 1
        return {math.inf: "Infinity", -math.inf: "-Infinity"}.get(value, "NaN")
    if isinstance(value, list):
        return [_repair(item, repairs) for item in value]
    if isinstance(value, dict):
        return {_repair_text(name, repairs): _repair(item, repairs) for name, item in value.items()}
    return value


def _repair_text(text: str, repairs: Repairs) -> str:
    if not _UNSTORABLE.search(text):
        return text
    for character in _UNSTORABLE.findall(text):
        repairs["nul" if character == "\x00" else "surrogate"] += 1
    return _UNSTORABLE.sub(REPLACEMENT, text)
