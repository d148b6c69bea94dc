"""Blocks of lines as tapes: which value of which property is where, without a Python object.

The one module that is compiled (by numba, when first used; the machine code is kept beside the
package or in the user's cache). A line is *plain* if it is a row as Mixpanel writes rows: strict
JSON, the two keys of its kind and no other, no property twice, no value that a database would not
take as it is. Everything else is *odd*: its place is noted, and it is left to `rows`, which is slow
and exact. So nothing here repairs, guesses or fails; in doubt a line is odd.

Compiled functions take the block as an address, for an array would be counted in and out of every
call. They read up to eight bytes past a line, never past `PADDING`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, NamedTuple, TypeVar

import numpy as np
import orjson
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from .kinds import RowKind

Function = TypeVar("Function", bound=Callable[..., Any])

BOOL, BIGINT, DOUBLE, TEXT, JSON, _NULL = range(6)
"""What `Tape.kind` tells of a value."""
KINDS = 5
REWRITE = 8
"""Added to a kind: the text has escapes, or spaces between its parts."""
KIND_BITS = 7
PADDING = 16
MAX_KEYS = 8_192
"""Most properties of a block; rows with more are odd."""
MAX_DEPTH = 64
_MAX_DIGITS = 18
_MAX_NUMBER = 40
_MAX_EXPONENT = 2

_TAB, _NEWLINE, _RETURN, _SPACE, _QUOTE = (ord(c) for c in '\t\n\r "')
_PLUS, _COMMA, _MINUS, _DOT, _ZERO, _NINE, _COLON = (ord(c) for c in "+,-.09:")
_OPEN_LIST, _BACKSLASH, _CLOSE_LIST, _OPEN, _CLOSE = (ord(c) for c in "[\\]{}")
_LOWER_E, _UPPER_E, _LOWER_U = (ord(c) for c in "eEu")
_ESCAPES = tuple(ord(c) for c in '"\\/bfnrt')

_ONES = np.uint64(0x0101010101010101)
_HIGHS = np.uint64(0x8080808080808080)
_QUOTES = np.uint64(_QUOTE * 0x0101010101010101)
_BACKSLASHES = np.uint64(_BACKSLASH * 0x0101010101010101)
_SPACES = np.uint64(_SPACE * 0x0101010101010101)
_FOUR_BYTES, _FIVE_BYTES = np.uint64(0xFFFFFFFF), np.uint64(0xFFFFFFFFFF)
_TRUE, _FALSE, _NULL_WORD = (
    np.uint64(int.from_bytes(word, "little")) for word in (b"true", b"false", b"null")
)
_FNV_START, _FNV_PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)
_ONE, _FIVE, _HALF = np.uint64(1), np.uint64(5), np.uint64(32)

# what may come next inside a list or an object
_VALUE, _ITEM_OR_END, _COMMA_OR_END, _KEY, _KEY_OR_END = range(5)


class Tape(NamedTuple):
    """The plain lines of a block."""

    data: Any
    """uint8: the block, and `PADDING` bytes."""
    lines: Any
    """int32, one a row: number of its line in the block."""
    bounds: Any
    """int32, two a row: where its line starts and ends."""
    names: Any
    """int32, three a row: start and end of the name's text, and `REWRITE` or 0."""
    properties: Any
    """int32, two a row: start and end of the JSON text of the properties."""
    keys: list[str]
    """The properties, in the order they were met."""
    key: Any
    """int32: of each value the number of its property."""
    row: Any
    """int32: of each value its row, ascending for a property."""
    kind: Any
    """int8: of each value its kind, and `REWRITE` if its text cannot be taken as it is."""
    start: Any
    """int64: where its text starts; of integers and truth values the value."""
    end: Any
    """int32: where its text ends."""
    odd: list[tuple[int, bytes]]
    """Number and bytes of the lines that are not plain."""

    def line(self, row: int) -> bytes:
        """The bytes of a row."""
        start, end = self.bounds[row]
        text: bytes = self.data[start:end].tobytes()
        return text

    def without(self, dropped: Collection[int]) -> Tape:
        """The tape without the lines of those numbers."""
        left_out = frozenset(dropped)
        kept = ~np.isin(self.lines, [*left_out])
        stays = kept[self.row]
        return Tape(
            self.data,
            self.lines[kept],
            self.bounds[kept],
            self.names[kept],
            self.properties[kept],
            self.keys,
            self.key[stays],
            (np.cumsum(kept, dtype=np.int32) - 1)[self.row[stays]],
            self.kind[stays],
            self.start[stays],
            self.end[stays],
            [(number, line) for number, line in self.odd if number not in left_out],
        )

    @property
    def nbytes(self) -> int:
        """Memory it takes."""
        arrays = (part.nbytes for part in self if isinstance(part, np.ndarray))
        return sum(arrays) + sum(len(line) for _, line in self.odd)


def compiled(function: Function) -> Function:
    """Compile a function when it is first called, and keep the machine code if there is a place."""
    try:
        return njit(cache=True, nogil=True)(function)  # type: ignore[no-any-return]
    except RuntimeError:  # neither beside this file nor in the user's cache may be written
        return njit(nogil=True)(function)  # type: ignore[no-any-return]


def scan(block: bytes, kind: RowKind) -> Tape:
    r"""Find the values in a block of lines.

    Args:
        block: lines, each ended by `\n`; at most 1 GB.
        kind: where the parts of a row are.
    """
    size = len(block)
    data = np.empty(size + PADDING, np.uint8)
    data[:size] = np.frombuffer(block, np.uint8)
    data[size:] = _NEWLINE
    colons, line_count = _count(data[:size])
    lines = np.empty(line_count, np.int32)
    bounds, names, properties = (np.empty((line_count, width), np.int32) for width in (2, 3, 2))
    odd = np.empty((line_count, 3), np.int64)
    values = _Values(
        *(np.empty(colons, kind) for kind in (np.int32, np.int32, np.int8, np.int64, np.int32))
    )
    keys = _Keys(
        *(np.empty(MAX_KEYS, np.int32) for _ in range(3)),
        np.full(MAX_KEYS, -1, np.int32),
        np.full(2 * MAX_KEYS, -1, np.int32),
    )
    wanted = [np.frombuffer(key.encode(), np.uint8) for key in (kind.name_key, kind.properties_key)]
    rows, count, key_count, odd_count = _scan_lines(
        data, *wanted, lines, bounds, names, properties, values, keys, odd
    )
    spans = zip(keys.start[:key_count].tolist(), keys.size[:key_count].tolist(), strict=True)
    return Tape(
        data,
        lines[:rows],
        bounds[:rows],
        names[:rows],
        properties[:rows],
        [orjson.loads(block[start - 1 : start + length + 1]) for start, length in spans],
        # copies, for the arrays have room for a value a colon
        *(array[:count].copy() for array in values),
        [(number, block[start:end]) for number, start, end in odd[:odd_count].tolist()],
    )


class _Values(NamedTuple):
    """The columns of `Tape` that have a line a value."""

    key: Any
    row: Any
    kind: Any
    start: Any
    end: Any


class _Keys(NamedTuple):
    """The properties met in a block."""

    start: Any
    size: Any
    last_line: Any
    """The line a property was met in last: in one row it must not be met twice."""
    next: Any
    """The property that followed last time, and mostly follows again."""
    slots: Any
    """A hash table of open addressing: the number of a property, or -1."""


def _at_address(builder: Any, arguments: Any, bits: int) -> Any:
    """A pointer to `bits` bits at the sum of two arguments."""
    return builder.inttoptr(builder.add(*arguments[:2]), ir.IntType(bits).as_pointer())


@intrinsic
def byte_at(_context: Any, data: Any, at: Any) -> Any:
    """The byte at an offset from an address, as an int64."""

    def generate(_target: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.zext(builder.load(_at_address(builder, arguments, 8)), ir.IntType(64))

    return types.int64(types.int64, types.int64), generate


@intrinsic
def word_at(_context: Any, data: Any, at: Any) -> Any:
    """The eight bytes at an offset from an address, the first of them lowest."""

    def generate(_target: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        word = builder.load(_at_address(builder, arguments, 64))
        word.align = 1
        return word

    return types.uint64(types.int64, types.int64), generate


@intrinsic
def put_word(_context: Any, data: Any, at: Any, word: Any) -> Any:
    """Write eight bytes at an offset from an address."""

    def generate(target: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        builder.store(arguments[2], _at_address(builder, arguments, 64)).align = 1
        return target.get_dummy_value()

    return types.void(types.int64, types.int64, types.uint64), generate


@intrinsic
def _trailing_zeros(_context: Any, word: Any) -> Any:
    def generate(_target: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.uint64), generate


@compiled
def _count(data):
    """How many colons and how many line ends there are."""
    colons = lines = 0
    for byte in data:
        colons += byte == _COLON
        lines += byte == _NEWLINE
    return colons, lines


@compiled
def _skip_spaces(data, at):
    byte = byte_at(data, at)
    while byte == _SPACE or byte == _TAB or byte == _RETURN:
        at += 1
        byte = byte_at(data, at)
    return at


@compiled
def _string_end(data, at):
    """Where the string that starts at `at` has its closing quote, or -1; whether it has escapes."""
    escaped = False
    while at >= 0:
        word = word_at(data, at)
        quotes, backslashes = word ^ _QUOTES, word ^ _BACKSLASHES
        hits = (quotes - _ONES) & ~quotes | (backslashes - _ONES) & ~backslashes
        hits = (hits | (word - _SPACES) | word) & _HIGHS
        if hits == 0:
            at += 8
            continue
        # a borrow may mark bytes that are no hit, but never one before the first
        at += _trailing_zeros(hits) >> 3
        byte = byte_at(data, at)
        if byte == _QUOTE:
            return at, escaped
        if byte == _BACKSLASH:
            escaped = True
            at = _escape_end(data, at + 1)
        else:
            at = _character_end(data, at)
    return -1, escaped


@compiled
def _escape_end(data, at):
    """Past the escape whose letter is at `at`, or -1 if it stands for what cannot be stored."""
    letter = byte_at(data, at)
    if letter == _LOWER_U:
        code = hex_code(data, at + 1)
        if 0xD800 <= code < 0xDC00 and byte_at(data, at + 5) == _BACKSLASH:
            low = hex_code(data, at + 7)
            return at + 11 if byte_at(data, at + 6) == _LOWER_U and 0xDC00 <= low < 0xE000 else -1
        return at + 5 if 0 < code < 0xD800 or code >= 0xE000 else -1
    for known in _ESCAPES:
        if letter == known:
            return at + 1
    return -1


@compiled
def hex_code(data, at):
    """The number that the four hexadecimal digits at `at` are, or -1."""
    code = 0
    for place in range(at, at + 4):
        byte = byte_at(data, place)
        if _ZERO <= byte <= _NINE:
            code = code * 16 + byte - _ZERO
        else:
            letter = (byte | 32) - 97
            if not 0 <= letter < 6:
                return -1
            code = code * 16 + letter + 10
    return code


@compiled
def _character_end(data, at):
    """Past the character of several bytes at `at`, or -1 if it is no UTF-8."""
    first, second = byte_at(data, at), byte_at(data, at + 1)
    if not 0xC2 <= first <= 0xF4:
        return -1
    too_long = (first == 0xE0 and second < 0xA0) or (first == 0xF0 and second < 0x90)
    surrogate = first == 0xED and second > 0x9F
    too_big = first == 0xF4 and second > 0x8F
    if too_long or surrogate or too_big:
        return -1
    end = at + 2 + (first >= 0xE0) + (first >= 0xF0)
    for place in range(at + 1, end):
        if byte_at(data, place) & 0xC0 != 0x80:
            return -1
    return end


@compiled
def _digits_end(data, at):
    while _ZERO <= byte_at(data, at) <= _NINE:
        at += 1
    return at


@compiled
def _number_end(data, at):
    """Past the number at `at`, or -1; its kind; its value if it is an integer."""
    start = at
    negative = byte_at(data, at) == _MINUS
    first = at + negative
    at = _digits_end(data, first)
    digits = at - first
    if digits == 0 or digits > _MAX_DIGITS or (digits > 1 and byte_at(data, first) == _ZERO):
        return -1, BIGINT, 0
    byte = byte_at(data, at)
    if byte != _DOT and byte != _LOWER_E and byte != _UPPER_E:
        value = 0
        for place in range(first, at):
            value = value * 10 + byte_at(data, place) - _ZERO
        return at, BIGINT, -value if negative else value
    if byte == _DOT:
        fraction = at + 1
        at = _digits_end(data, fraction)
        if at == fraction:
            return -1, DOUBLE, 0
        byte = byte_at(data, at)
    if byte == _LOWER_E or byte == _UPPER_E:
        sign = byte_at(data, at + 1)
        exponent = at + 2 if sign == _PLUS or sign == _MINUS else at + 1
        at = _digits_end(data, exponent)
        if at == exponent or at - exponent > _MAX_EXPONENT:
            return -1, DOUBLE, 0
    return (at if at - start <= _MAX_NUMBER else -1), DOUBLE, 0


@compiled
def _literal_end(data, at):
    """Past `true`, `false` or `null` at `at`, or -1; its kind; 1 if it is true."""
    word = word_at(data, at)
    if word & _FOUR_BYTES == _TRUE:
        return at + 4, BOOL, 1
    if word & _FIVE_BYTES == _FALSE:
        return at + 5, BOOL, 0
    if word & _FOUR_BYTES == _NULL_WORD:
        return at + 4, _NULL, 0
    return -1, _NULL, 0


@compiled
def _scalar_end(data, at):
    """Past the number or literal at `at`, or -1; its kind; its value."""
    byte = byte_at(data, at)
    if byte == _MINUS or _ZERO <= byte <= _NINE:
        return _number_end(data, at)
    return _literal_end(data, at)


@compiled
def _nested_end(data, at):
    """Past the list or object at `at`, or -1; whether its text has to be rewritten."""
    state, depth, rewrite = _VALUE, 0, False
    objects = np.uint64(0)  # a bit for each level, the innermost lowest: 1 for an object
    while True:
        byte = byte_at(data, at)
        if byte == _SPACE or byte == _TAB or byte == _RETURN:
            at += 1
            rewrite = True
        elif state == _COMMA_OR_END and byte == _COMMA:
            at += 1
            state = _KEY if objects & _ONE else _VALUE
        elif (
            byte == (_CLOSE if objects & _ONE else _CLOSE_LIST)
            and depth
            and (state == _COMMA_OR_END or state == _ITEM_OR_END or state == _KEY_OR_END)
        ):
            at += 1
            depth -= 1
            objects >>= _ONE
            state = _COMMA_OR_END
            if depth == 0:
                return at, rewrite
        elif byte == _QUOTE and state != _COMMA_OR_END:
            at, escaped = _string_end(data, at + 1)
            if at < 0:
                return -1, rewrite
            rewrite |= escaped
            at += 1
            if state == _KEY or state == _KEY_OR_END:
                colon = _skip_spaces(data, at)
                if byte_at(data, colon) != _COLON:
                    return -1, rewrite
                rewrite |= colon > at
                at = colon + 1
                state = _VALUE
            else:
                state = _COMMA_OR_END
        elif state != _VALUE and state != _ITEM_OR_END:
            return -1, rewrite
        elif byte == _OPEN or byte == _OPEN_LIST:
            if depth == MAX_DEPTH:
                return -1, rewrite
            at += 1
            depth += 1
            objects = objects << _ONE | np.uint64(byte == _OPEN)
            state = _KEY_OR_END if byte == _OPEN else _ITEM_OR_END
        else:
            at, _, _ = _scalar_end(data, at)
            if at < 0:
                return -1, rewrite
            state = _COMMA_OR_END


@compiled
def _same(data, one, other, size):
    """Whether `size` bytes at `one` are those at `other`."""
    while size >= 8:
        if word_at(data, one) != word_at(data, other):
            return False
        one += 8
        other += 8
        size -= 8
    difference = word_at(data, one) ^ word_at(data, other)
    return size == 0 or difference << np.uint64(64 - 8 * size) == 0


@compiled
def _slot(data, at, end, keys):
    """The slot in which the property named between `at` and `end` is, or may be put."""
    digest = _FNV_START
    for place in range(at, end):
        digest = (digest ^ np.uint64(byte_at(data, place))) * _FNV_PRIME
    last = keys.slots.size - 1
    slot = np.int64(digest >> _HALF) & last
    while True:
        key = keys.slots[slot]
        if key < 0 or (keys.size[key] == end - at and _same(data, at, keys.start[key], end - at)):
            return slot
        slot = (slot + 1) & last


@njit(nogil=True, inline="always")
def _find_key(data, at, line, keys, count, previous):
    """The property named at `at`, or -1; where its name ends; how many properties there are."""
    key = keys.next[previous]
    if key >= 0:
        end = at + keys.size[key]
        if byte_at(data, end) != _QUOTE or not _same(data, at, keys.start[key], keys.size[key]):
            key = -1
    if key < 0:
        end, _ = _string_end(data, at)
        if end >= 0:
            slot = _slot(data, at, end, keys)
            key = keys.slots[slot]
            if key < 0 and count < MAX_KEYS:
                key = count
                count += 1
                keys.slots[slot] = key
                keys.start[key], keys.size[key], keys.last_line[key] = at, end - at, -1
            if key >= 0:
                keys.next[previous] = key
    if key >= 0:
        if keys.last_line[key] == line:
            key = -1
        else:
            keys.last_line[key] = line
    return key, end, count


@compiled
def _scan_properties(data, at, line, row, values, count, keys, key_count):
    """Past the object at `at`, or -1; how many values and how many properties there are."""
    at = _skip_spaces(data, at + 1)
    if byte_at(data, at) == _CLOSE:
        return at + 1, count, key_count
    key = 0
    while byte_at(data, at) == _QUOTE:
        key, at, key_count = _find_key(data, at + 1, line, keys, key_count, key)
        if key < 0:
            break
        at = _skip_spaces(data, at + 1)
        if byte_at(data, at) != _COLON:
            break
        at = start = _skip_spaces(data, at + 1)
        byte = byte_at(data, at)
        if byte == _QUOTE:
            end, rewrite = _string_end(data, at + 1)
            kind, start, at = TEXT, at + 1, end + 1 if end >= 0 else -1
        elif byte == _OPEN or byte == _OPEN_LIST:
            end, rewrite = _nested_end(data, at)
            kind, at = JSON, end
        else:
            end, kind, value = _scalar_end(data, at)
            rewrite, at = False, end
            if kind != DOUBLE:
                start = value
        if at < 0:
            break
        if kind != _NULL:
            values.key[count] = key
            values.row[count] = row
            values.kind[count] = kind | REWRITE if rewrite else kind
            values.start[count] = start
            values.end[count] = end
            count += 1
        at = _skip_spaces(data, at)
        byte = byte_at(data, at)
        if byte == _CLOSE:
            return at + 1, count, key_count
        if byte != _COMMA:
            break
        at = _skip_spaces(data, at + 1)
    return -1, count, key_count


@compiled
def _is_key(data, at, end, key):
    if end - at != key.size:
        return False
    for place in range(key.size):
        if byte_at(data, at + place) != key[place]:
            return False
    return True


@compiled
def _scan_row(
    data, at, line, row, name_key, properties_key, names, properties, values, count, keys, key_count
):
    """Past the row at `at`, or -1; how many values and how many properties there are."""
    has_name = has_properties = False
    first = count
    byte = byte_at(data, at)
    while byte == (_COMMA if has_name or has_properties else _OPEN):
        at = _skip_spaces(data, at + 1)
        if byte_at(data, at) != _QUOTE:
            break
        key = at + 1
        key_end, _ = _string_end(data, key)
        if key_end < 0:
            break
        at = _skip_spaces(data, key_end + 1)
        if byte_at(data, at) != _COLON:
            break
        at = start = _skip_spaces(data, at + 1)
        byte = byte_at(data, at)
        if byte == _QUOTE and not has_name and _is_key(data, key, key_end, name_key):
            end, escaped = _string_end(data, at + 1)
            if end < 0:
                break
            names[row, 0], names[row, 1], names[row, 2] = at + 1, end, REWRITE if escaped else 0
            at = end + 1
            has_name = True
        elif byte == _OPEN and not has_properties and _is_key(data, key, key_end, properties_key):
            at, count, key_count = _scan_properties(
                data, at, line, row, values, count, keys, key_count
            )
            if at < 0:
                break
            properties[row, 0], properties[row, 1] = start, at
            has_properties = True
        else:
            break
        at = _skip_spaces(data, at)
        byte = byte_at(data, at)
        if byte == _CLOSE and has_name and has_properties:
            at = _skip_spaces(data, at + 1)
            if byte_at(data, at) == _NEWLINE:
                return at + 1, count, key_count
            break
    return -1, first, key_count


@compiled
def _line_end(data, at):
    while byte_at(data, at) != _NEWLINE:
        at += 1
    return at


@compiled
def _scan_lines(
    block, name_key, properties_key, lines, bounds, names, properties, values, keys, odd
):
    """How many rows, values, properties and odd lines there are."""
    data = block.ctypes.data
    rows = count = key_count = odd_count = at = 0
    for line in range(lines.size):
        end, count, key_count = _scan_row(
            data,
            at,
            line,
            rows,
            name_key,
            properties_key,
            names,
            properties,
            values,
            count,
            keys,
            key_count,
        )
        if end >= 0:
            lines[rows], bounds[rows, 0], bounds[rows, 1] = line, at, end - 1
            rows += 1
        else:
            end = _line_end(data, at)
            odd[odd_count, 0], odd[odd_count, 1], odd[odd_count, 2] = line, at, end
            odd_count += 1
            end += 1
        at = end
    return rows, count, key_count, odd_count
