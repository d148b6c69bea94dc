"""JSON text into Python values and back, with values that no database stores repaired.

Pure. `orjson` reads what it can. Text that it refuses or would change goes through `repair_row`,
which is slower, rarely needed, and counts what it changes.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from contextlib import suppress
from hashlib import blake2b
from typing import Any, NamedTuple

import orjson

from ..errors import TruncatedError
from .value_types import Row

DIGEST_BYTES = 16
INT64_END = 2**63
REPLACEMENT = "\ufffd"
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_STRING_OR_SPACE = re.compile(r'"(?:[^"\\]|\\.)*"|[ \t\r\n]+', re.DOTALL)
_ESCAPED_OR_CONTROL = re.compile(r"[\\\x00-\x1f]")
_INVALID_BYTE = re.compile("[\udc80-\udcff]")
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_NOT_A_BRACKET = re.compile(rb"[^][{}]+")


MAX_DEPTH = 350
"""Maximum lists and objects inside each other. Python allows about 1,000 calls inside each other,
and decodes each level of such a row with two. The limit is checked beforehand: whatever runs while
Python is at its own limit fails too, above all the finalizers of the garbage collector."""


class TooDeepError(ValueError):
    """JSON that has more levels than `MAX_DEPTH`."""


Repairs = Counter[str]
"""Number of repaired values by kind: `integer`, `not_finite`, `nul`, `surrogate`, `utf8`."""


def read_json(body: bytes, repairs: Repairs) -> Any:  # noqa: ANN401 - any JSON value
    """The JSON value of a whole reply, repaired like a row.

    Args:
        body: JSON text.
        repairs: counts the repaired values.

    Raises:
        TruncatedError: `body` is not JSON.
    """
    with suppress(orjson.JSONDecodeError):
        # orjson reads an escaped NUL without complaint, and no database stores it
        if b"\\u0000" not in body:
            return orjson.loads(body)
    try:
        return repair_row(b'{"reply":%b}' % body, repairs)["reply"]
    except ValueError:
        raise TruncatedError("the reply is not JSON") from None


def repair_row(line: bytes, repairs: Repairs) -> Row:
    """Read a row with values that no database stores, changing as little as possible.

    Integers outside [-2^63, 2^63), NaN and the infinities become text; NUL, lone surrogates and
    bytes that are not UTF-8 become U+FFFD. Integers inside lists and objects keep their value,
    because JSON columns hold any integer, unless they have more digits than Python converts.

    Args:
        line: JSON text of one row.
        repairs: counts the repaired values.

    Raises:
        ValueError: the line is not a JSON object, or has more levels than `MAX_DEPTH`.
    """
    row: Row = repair_value(line, repairs)
    if not isinstance(row, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004 - one kind of error for callers
    for properties in (row, *(value for value in row.values() if isinstance(value, dict))):
        for name, value in properties.items():
            if type(value) is int and not -INT64_END <= value < INT64_END:
                properties[name] = str(value)
                repairs["integer"] += 1
    return row


def repair_value(text: bytes, repairs: Repairs) -> Any:  # noqa: ANN401 - any JSON value
    """Read a JSON value of any type, repaired like a row, except for integers.

    Args:
        text: JSON text.
        repairs: counts the repaired values.

    Raises:
        TooDeepError: it has more levels than `MAX_DEPTH`.
        ValueError: it is not JSON.
    """
    if is_too_deep(text):
        raise TooDeepError("nested too deeply")
    return _load(repair_utf8(text, repairs), repairs)


def repair_utf8(text: bytes, repairs: Repairs) -> str:
    """Decode UTF-8; bytes that are not valid become U+FFFD, and are counted in `repairs`."""
    # each invalid byte decodes to a surrogate of its own, which the pattern finds
    decoded, invalid_bytes = _INVALID_BYTE.subn(
        REPLACEMENT, text.decode("utf-8", "surrogateescape")
    )
    if invalid_bytes:
        repairs["utf8"] += invalid_bytes
    return decoded


def load_json(text: str, *, max_depth: int = MAX_DEPTH) -> Any:  # noqa: ANN401 - any JSON value
    """Read a JSON value with Python's own reader, which takes NaN and control characters too.

    Args:
        text: JSON text.
        max_depth: maximum lists and objects inside each other; Python reads about 900.

    Raises:
        TooDeepError: it has more levels than `max_depth`.
        ValueError: it is not JSON.
    """
    if is_too_deep(text.encode("utf-8", "surrogatepass"), max_depth):
        raise TooDeepError("nested too deeply")
    return json.loads(text, strict=False)


def is_whole_json(text: bytes) -> bool:
    """Whether text is a JSON value, and not one that was cut short.

    Of a value that has more levels than `MAX_DEPTH` only the brackets are checked.
    """
    try:
        repair_value(text, Counter())
    except TooDeepError:
        return _find_nesting(text).is_closed
    except ValueError:
        return False
    return True


def is_too_deep(text: bytes, max_depth: int = MAX_DEPTH) -> bool:
    """Whether JSON text has more than `max_depth` levels, also if it was cut short."""
    if sum(map(text.count, (b"[", b"{"))) <= max_depth:
        return False
    return _find_nesting(text).levels > max_depth


class _Nesting(NamedTuple):
    levels: int
    """The maximum number of lists and objects inside each other, up to a bracket that is wrong."""
    is_closed: bool
    """Whether each bracket has its counterpart."""


def _find_nesting(text: bytes) -> _Nesting:
    levels, opened = 0, bytearray()
    for bracket in _NOT_A_BRACKET.sub(b"", _STRING.sub(b"", text)):
        if bracket in b"[{":
            opened.append(bracket)
            levels = max(levels, len(opened))
        # the codes of opening and closing brackets differ by two
        elif not opened or bracket - opened.pop() != 2:  # noqa: PLR2004
            return _Nesting(levels, is_closed=False)
    return _Nesting(levels, is_closed=not opened)


def dump_json(value: object) -> str:
    """Compact JSON text of a value; integers of any size, non-ASCII characters unescaped."""
    try:
        return orjson.dumps(value).decode()
    except TypeError:  # an integer beyond 64 bits
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def compact_json(text: bytes) -> str:
    """JSON text without spaces between its parts and without needless escapes.

    The same as `scan.unescape` makes of it. Numbers and the order of keys stay as they are.

    Args:
        text: valid JSON in which nothing has to be repaired; line breaks in strings are allowed.
    """
    return _STRING_OR_SPACE.sub(_compact_part, text.decode())


def _compact_part(found: re.Match[str]) -> str:
    part = found[0]
    if not part.startswith('"'):
        return ""
    if not _ESCAPED_OR_CONTROL.search(part):
        return part
    return orjson.dumps(json.loads(part, strict=False)).decode()


def content_digest(value: object) -> bytes:
    """A digest of `DIGEST_BYTES` bytes of a JSON value, independent of the order of its keys."""
    try:
        text = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except TypeError:  # an integer beyond 64 bits
        text = json.dumps(value, sort_keys=True).encode()
    return blake2b(text, digest_size=DIGEST_BYTES).digest()


def _load(text: str, repairs: Repairs) -> Any:  # noqa: ANN401 - any JSON value
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
    return _repair(read, repairs)


def _repair(value: Any, repairs: Repairs) -> Any:  # noqa: ANN401 - any JSON value
    if isinstance(value, str):
        return repair_text(value, repairs)
    if isinstance(value, float) and not math.isfinite(value):
        repairs["not_finite"] += 1
        return {math.inf: "Infinity", -math.inf: "-Infinity"}.get(value, "NaN")
    if isinstance(value, list):
        return [_repair(item, repairs) for item in value]
    if isinstance(value, dict):
        return {repair_text(name, repairs): _repair(item, repairs) for name, item in value.items()}
    return value


def repair_text(text: str, repairs: Repairs) -> str:
    """The text with NUL and lone surrogates as U+FFFD, counted in `repairs`."""
    if not _UNSTORABLE.search(text):
        return text
    for character in _UNSTORABLE.findall(text):
        repairs["nul" if character == "\x00" else "surrogate"] += 1
    return _UNSTORABLE.sub(REPLACEMENT, text)
