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
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import orjson

from .errors import TruncatedError

BLOCK_BYTES = 2 * 1024 * 1024
INT64_END = 2**63
REPLACEMENT = "\ufffd"
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_MAX_JOINED_LINES = 64

Row = dict[str, Any]
Repairs = Counter[str]
"""How many values were repaired, by kind: `integer`, `not_finite`, `nul`, `surrogate`, `utf8`."""


def inflate(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Decompress a gzip stream into blocks of at most `BLOCK_BYTES`.

    Raises:
        TruncatedError: if the stream is damaged or ends before its trailer.
    """
    stream = zlib.decompressobj(wbits=31)
    try:
        for chunk in chunks:
            data = chunk
            while data:
                if stream.eof:
                    stream = zlib.decompressobj(wbits=31)
                yield stream.decompress(data, BLOCK_BYTES)
                data = stream.unused_data if stream.eof else stream.unconsumed_tail
        yield stream.flush()
    except zlib.error as error:
        raise TruncatedError("the gzip stream is damaged") from error
    if not stream.eof:
        raise TruncatedError("the gzip stream ends before its trailer")


def iter_line_blocks(blocks: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Split blocks into lists of whole lines without their ends; blank lines are left out."""
    rest: list[bytes] = []
    for block in blocks:
        head, newline, tail = block.rpartition(b"\n")
        if not newline:
            rest.append(block)
            continue
        lines = b"".join((*rest, head)).split(b"\n")
        rest = [tail]
        yield [line for line in lines if line and not line.isspace()]
    last = b"".join(rest)
    if last.strip():
        yield [last]


def iter_whole_lines(blocks: Iterable[bytes]) -> Iterator[list[bytes]]:
    """As `iter_line_blocks`, with rows that raw line breaks had torn apart joined again.

    Events stored before Mixpanel checked its input may hold a raw line break inside a string, and
    are then served on several lines.

    Raises:
        TruncatedError: at a line that is no JSON object and does not become one.
    """
    torn: list[bytes] = []
    for lines in iter_line_blocks(blocks):
        whole: list[bytes] = []
        for line in lines:
            if not torn and line.startswith(b"{") and line.endswith((b"}", b"}\r")):
                whole.append(line)
                continue
            torn.append(line)
            joined = b"\n".join(torn)
            if _is_object(joined):
                whole.append(joined)
                torn = []
            elif not torn[0].startswith(b"{") or len(torn) > _MAX_JOINED_LINES:
                raise TruncatedError(describe_bad_line(joined))
        yield whole
    if torn:
        raise TruncatedError(describe_bad_line(b"\n".join(torn)))


def describe_bad_line(line: bytes) -> str:
    """Why a line is no row, in words that show none of its content."""
    text = line.lower()
    if b"terminated early" in text:
        return "Mixpanel ended the reply with 'terminated early'"
    if b"<html" in text or b"<!doctype" in text:
        return "the reply is an HTML page"
    if line.startswith(b'{"error"'):
        return "the reply ends with an error message"
    return "the reply holds a line that is not a whole JSON object"


def repair_row(line: bytes, repairs: Repairs) -> Row:
    """Read a row that holds what no database takes, changing as little as can be.

    Integers of 2^63 and more, NaN and the infinities become text; NUL, lone surrogates and bytes
    that are no UTF-8 become U+FFFD. Integers inside lists and objects stay as they are, for JSON
    columns hold them. What was changed is added to `repairs`.

    Raises:
        ValueError: if the line is not JSON at all.
    """
    text = line.decode("utf-8", "surrogateescape")

    def parse_float(literal: str) -> float | str:
        value = float(literal)
        if math.isfinite(value):
            return value
        repairs["not_finite"] += 1
        return literal

    read = json.loads(text, strict=False, parse_float=parse_float)
    if not isinstance(read, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004 - one kind of error for callers
    row: Row = _repair(read, repairs)
    for properties in (row, *(value for value in row.values() if isinstance(value, dict))):
        for name, value in properties.items():
            if type(value) is int and not -INT64_END <= value < INT64_END:
                properties[name] = str(value)
                repairs["integer"] += 1
    return row


def dump_json(value: object) -> str:
    """JSON text of a value; integers of any size, characters as themselves."""
    try:
        return orjson.dumps(value).decode()
    except TypeError:  # an integer beyond 64 bits
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _is_object(text: bytes) -> bool:
    try:
        return isinstance(repair_row(text, Counter()), dict)
    except ValueError:
        return False


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
        kind = "nul" if character == "\x00" else "surrogate"
        repairs["utf8" if "\udc80" <= character <= "\udcff" else kind] += 1
    return _UNSTORABLE.sub(REPLACEMENT, text)
