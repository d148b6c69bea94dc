"""The keys of the rows of a tape.

What is hashed is the JSON that `identity` hashes, and so is how (BLAKE2b
with a digest of 16 bytes, RFC 7693): put together from the text of the block, for a row whose parts
are what they mostly are. Other rows are left to `identity`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numba import njit

from ..json_values import DIGEST_BYTES
from .grammar import BIGINT, TEXT
from .memory import compiled, put_word, word_at
from .tape import Tape

_BLOCK = 128
_PARAMETERS = np.uint64(0x01010000 | DIGEST_BYTES)
_IV = np.array(
    [
        0x6A09E667F3BCC908,
        0xBB67AE8584CAA73B,
        0x3C6EF372FE94F82B,
        0xA54FF53A5F1D36F1,
        0x510E527FADE682D1,
        0x9B05688C2B3E6C1F,
        0x1F83D9ABFB41BD6B,
        0x5BE0CD19137E2179,
    ],
    np.uint64,
)
_SIGMA = np.array(
    [
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
        [14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3],
        [11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4],
        [7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8],
        [9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13],
        [2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9],
        [12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11],
        [13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10],
        [6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5],
        [10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0],
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
        [14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3],
    ],
    np.int64,
)
_QUOTE, _COMMA, _OPEN, _CLOSE, _ZERO, _MINUS = (ord(c) for c in '",[]0-')
_NULL = np.uint64(int.from_bytes(b"null\0\0\0\0", "little"))
_SECONDS_A_DAY = 86_400
_FAR = 2**43
"""Times of this much, in either unit, are left."""
_LONG = 4_096
"""Bytes of what is hashed; rows with more are left."""
_TIME, _IDS, _INSERT_ID, _PROCESSED = 0, (1, 2, 3), 4, 5
_PROPERTIES = 6


class RowKeys(NamedTuple):
    """The keys of a tape's rows, and what else makes an identity; see `identity.Identity`."""

    keys: Any
    """uint8, `KEY_BYTES` a row."""
    days: Any
    """int32, one a row; of events the day of `time`, wherever that lies."""
    ranks: Any
    """int64, one a row."""
    known: Any
    """bool, one a row: whether the other three hold, or the row has to be looked at."""


def event_keys(tape: Tape, properties: Sequence[str], *, ms_from: int) -> RowKeys:
    """The keys of events.

    Args:
        tape: of events.
        properties: names of the properties that are: the time, three ids the event may have been
            sent with, of which the first that is given counts, `$insert_id`, time of processing.
        ms_from: a time of this much is in milliseconds.
    """
    places = np.full(len(tape.keys) + 1, -1, np.int32)
    for place, name in enumerate(properties):
        if name in tape.keys:
            places[tape.keys.index(name)] = place
    values = _find_values(tape.key, tape.row, places, len(tape.lines))
    spans = tape.kind, tape.start, tape.end
    return RowKeys(*_event_keys(tape.data, tape.names, values, *spans, ms_from))


def profile_keys(tape: Tape) -> RowKeys:
    """The keys of profiles; they have no day and no rank."""
    keys, known = _profile_keys(tape.data, tape.names)
    rows = len(tape.lines)
    return RowKeys(keys, np.zeros(rows, np.int32), np.zeros(rows, np.int64), known)


@compiled
def _find_values(keys, rows, places, row_count):
    """For each row the numbers of its values of some properties, or -1."""
    found = np.full((row_count, _PROPERTIES), -1, np.int32)
    for value in range(keys.size):
        place = places[keys[value]]
        if place >= 0:
            found[rows[value], place] = value
    return found


@compiled
def _event_keys(block, names, values, kinds, starts, ends, ms_from):
    """See `RowKeys`."""
    rows = names.shape[0]
    keys = np.empty((rows, DIGEST_BYTES), np.uint8)
    days, ranks = np.zeros(rows, np.int32), np.zeros(rows, np.int64)
    known = np.zeros(rows, np.bool_)
    message, state = np.zeros(_LONG + 2 * _BLOCK, np.uint8), np.empty(24, np.uint64)
    source, target = block.ctypes.data, message.ctypes.data
    for row in range(rows):
        time, insert_id, processed = (
            values[row, _TIME],
            values[row, _INSERT_ID],
            values[row, _PROCESSED],
        )
        sent_id = _first_given(values[row], kinds, starts, ends)
        if (
            names[row, 2] != 0
            or time < 0
            or kinds[time] != BIGINT
            or not -_FAR < starts[time] < _FAR
            or insert_id < 0
            or kinds[insert_id] != TEXT
            or ends[insert_id] == starts[insert_id]
            or (sent_id >= 0 and kinds[sent_id] != TEXT)
            or (processed >= 0 and kinds[processed] != BIGINT)
        ):
            continue
        size = names[row, 1] - names[row, 0] + ends[insert_id] - starts[insert_id]
        if sent_id >= 0:
            size += ends[sent_id] - starts[sent_id]
        if size > _LONG - _BLOCK:
            continue
        seconds = starts[time] // 1000 if abs(starts[time]) >= ms_from else starts[time]
        days[row] = seconds // _SECONDS_A_DAY
        if processed >= 0:
            ranks[row] = max(0, starts[processed])
        at = _put_text(message, 0, _OPEN, source, names[row, 0], names[row, 1])
        at = _put_text(message, at, _COMMA, source, starts[insert_id], ends[insert_id])
        if sent_id >= 0:
            at = _put_text(message, at, _COMMA, source, starts[sent_id], ends[sent_id])
        else:
            message[at] = _COMMA
            put_word(target, at + 1, _NULL)
            at += 5
        message[at] = _COMMA
        at = _put_integer(message, at + 1, days[row])
        message[at] = _CLOSE
        _digest(message, at + 1, state, keys[row])
        known[row] = True
    return keys, days, ranks, known


@compiled
def _profile_keys(block, names):
    """The keys, and whether they hold."""
    rows = names.shape[0]
    keys = np.empty((rows, DIGEST_BYTES), np.uint8)
    known = np.zeros(rows, np.bool_)
    message, state = np.zeros(_LONG + 2 * _BLOCK, np.uint8), np.empty(24, np.uint64)
    for row in range(rows):
        start, end = names[row, 0], names[row, 1]
        if names[row, 2] == 0 and end - start <= _LONG - _BLOCK:
            at = _put_text(message, 0, _OPEN, block.ctypes.data, start, end)
            message[at] = _CLOSE
            _digest(message, at + 1, state, keys[row])
            known[row] = True
    return keys, known


@compiled
def _first_given(values, kinds, starts, ends):
    """The value of the first id that is neither missing nor empty, or else that of the last."""
    for place in _IDS:
        value = values[place]
        if value >= 0 and (kinds[value] != TEXT or ends[value] > starts[value]):
            return value
    return values[_IDS[-1]]


@compiled
def _put_text(message, at, mark, source, start, end):
    """Write a character and a JSON string; where that ends."""
    message[at], message[at + 1] = mark, _QUOTE
    at += 2
    target = message.ctypes.data
    for place in range(0, end - start, 8):
        put_word(target, at + place, word_at(source, start + place))
    at += end - start
    message[at] = _QUOTE
    return at + 1


@compiled
def _put_integer(message, at, value):
    """Write the digits of an integer; where they end."""
    if value < 0:
        message[at] = _MINUS
        at += 1
        value = -value
    power = 1
    while value // power > 9:
        power *= 10
    while power > 0:
        message[at] = _ZERO + value // power % 10
        at += 1
        power //= 10
    return at


@compiled
def _digest(message, size, state, digest):
    """Hash the first `size` bytes of a message that has room for a block more."""
    source, target = message.ctypes.data, digest.ctypes.data
    for place in range(size, size + _BLOCK, 8):
        put_word(source, place, np.uint64(0))
    for word in range(8):
        state[word] = _IV[word]
    state[0] ^= _PARAMETERS
    done = 0
    while size - done > _BLOCK:
        _compress(source, done, np.uint64(done + _BLOCK), np.uint64(0), state)
        done += _BLOCK
    _compress(source, done, np.uint64(size), ~np.uint64(0), state)
    put_word(target, 0, state[0])
    put_word(target, 8, state[1])


@compiled
def _compress(source, at, count, last, state):
    """Mix a block into the first eight words of `state`; the others are for the work."""
    work = state[8:]
    for word in range(8):
        work[word], work[word + 8] = state[word], _IV[word]
    work[12] ^= count
    work[14] ^= last
    for turn in range(12):
        order = _SIGMA[turn]
        for half in range(2):
            for lane in range(4):
                place = half * 8 + lane * 2
                _mix(
                    work,
                    lane,
                    4 + (lane + half) % 4,
                    8 + (lane + 2 * half) % 4,
                    12 + (lane + 3 * half) % 4,
                    word_at(source, at + order[place] * 8),
                    word_at(source, at + order[place + 1] * 8),
                )
    for word in range(8):
        state[word] ^= work[word] ^ work[word + 8]


@njit(nogil=True, inline="always")
def _mix(work, a, b, c, d, one, other):
    work[a] += work[b] + one
    work[d] = _rotated(work[d] ^ work[a], 32)
    work[c] += work[d]
    work[b] = _rotated(work[b] ^ work[c], 24)
    work[a] += work[b] + other
    work[d] = _rotated(work[d] ^ work[a], 16)
    work[c] += work[d]
    work[b] = _rotated(work[b] ^ work[c], 63)


@njit(nogil=True, inline="always")
def _rotated(word, by):
    return word >> np.uint64(by) | word << np.uint64(64 - by)
