"""The keys of the rows on a tape.

They are digests of the same JSON that `identity` digests for a single line. Here this JSON is put
together from the text of the block. That is right for rows whose identifying values are of the
usual types and have no escapes; the others are left to `identity`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..json_values import DIGEST_BYTES
from .blake2b import BLOCK_BYTES, STATE_WORDS, digest_message
from .characters import CLOSE_LIST, COMMA, MINUS, OPEN_LIST, QUOTE, ZERO
from .grammar import BIGINT, TEXT
from .memory import compiled, put_word, word_at
from .tape import Tape

_NULL = np.uint64(int.from_bytes(b"null\0\0\0\0", "little"))
_SECONDS_A_DAY = 86_400
_FAR = 2**43
"""Rows with a `time` of this value or more, in either unit, are left.

Below it integer arithmetic gives the same day as the floating-point numbers of `event_time`, and
the day fits in an int32.
"""
_LONG = 4_096
"""Maximum bytes to digest; rows with more are left."""
_MESSAGE_BYTES = _LONG + 2 * BLOCK_BYTES
"""Room for the bytes to digest, for zeros after them, and for words written past the end."""
_TIME, _IDS, _INSERT_ID, _PROCESSED = 0, (1, 2, 3), 4, 5
"""Columns of the values found for each row, see `_find_values`."""
_PROPERTIES = 6


class RowKeys(NamedTuple):
    """The keys of a tape's rows, and the rest of their identities; see `identity.Identity`."""

    keys: NDArray[np.uint8]
    """Shape (rows, `DIGEST_BYTES`)."""
    days: NDArray[np.int32]
    """Days since 1970-01-01 of an event's `time`, in its window or not; 0 for profiles."""
    ranks: NDArray[np.int64]
    known: NDArray[np.bool_]
    """Whether the other arrays hold the row's values; if not, the row is left to `identity`."""


def event_keys(tape: Tape, properties: Sequence[str], *, ms_from: int) -> RowKeys:
    """The keys of events.

    Args:
        tape: of events.
        properties: names of six properties: the time; three ids that the event may have been sent
            with, of which the first that is given counts; `$insert_id`; the time of processing.
        ms_from: a time of this value or more is in milliseconds, else in seconds.
    """
    places = np.full(len(tape.keys), -1, np.int32)
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
    """Find the values of some properties.

    Args:
        keys: for each value its property, see `Tape`.
        rows: for each value its row.
        places: for each property its column in the result, or -1.
        row_count: how many rows there are.

    Returns:
        int32, shape (rows, `_PROPERTIES`): the number of each value on the tape, or -1.
    """
    found = np.full((row_count, _PROPERTIES), -1, np.int32)
    for value in range(keys.size):
        place = places[keys[value]]
        if place >= 0:
            found[rows[value], place] = value
    return found


@compiled
def _event_keys(block, names, values, kinds, starts, ends, ms_from):
    """See `RowKeys`; digested is `[name, insert_id, sent_id, day]` as compact JSON."""
    rows = names.shape[0]
    keys = np.empty((rows, DIGEST_BYTES), np.uint8)
    days, ranks = np.zeros(rows, np.int32), np.zeros(rows, np.int64)
    known = np.zeros(rows, np.bool_)
    message, state = np.zeros(_MESSAGE_BYTES, np.uint8), np.empty(STATE_WORDS, np.uint64)
    source, target = block.ctypes.data, message.ctypes.data
    for row in range(rows):
        time, insert_id, processed = (
            values[row, _TIME],
            values[row, _INSERT_ID],
            values[row, _PROCESSED],
        )
        sent_id = _first_given(values[row], kinds, starts, ends)
        # a kind with the flag REWRITE is none of these, so texts with escapes are left as well;
        # without escapes text is the same in any JSON
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
        # brackets, commas, quotes and the day have less than a block of bytes
        if size > _LONG - BLOCK_BYTES:
            continue
        # // rounds down, so times before 1970 have the right day too
        seconds = starts[time] // 1000 if abs(starts[time]) >= ms_from else starts[time]
        days[row] = seconds // _SECONDS_A_DAY
        if processed >= 0:
            ranks[row] = max(0, starts[processed])
        at = _put_text(message, 0, OPEN_LIST, source, names[row, 0], names[row, 1])
        at = _put_text(message, at, COMMA, source, starts[insert_id], ends[insert_id])
        if sent_id >= 0:
            at = _put_text(message, at, COMMA, source, starts[sent_id], ends[sent_id])
        else:
            message[at] = COMMA
            # writes eight bytes, of which four count
            put_word(target, at + 1, _NULL)
            at += 5
        message[at] = COMMA
        at = _put_integer(message, at + 1, days[row])
        message[at] = CLOSE_LIST
        digest_message(message, at + 1, state, keys[row])
        known[row] = True
    return keys, days, ranks, known


@compiled
def _profile_keys(block, names):
    """The keys, and whether they are known; digested is `[id]` as compact JSON."""
    rows = names.shape[0]
    keys = np.empty((rows, DIGEST_BYTES), np.uint8)
    known = np.zeros(rows, np.bool_)
    message, state = np.zeros(_MESSAGE_BYTES, np.uint8), np.empty(STATE_WORDS, np.uint64)
    for row in range(rows):
        start, end = names[row, 0], names[row, 1]
        if names[row, 2] == 0 and end - start <= _LONG - BLOCK_BYTES:
            at = _put_text(message, 0, OPEN_LIST, block.ctypes.data, start, end)
            message[at] = CLOSE_LIST
            digest_message(message, at + 1, state, keys[row])
            known[row] = True
    return keys, known


@compiled
def _first_given(values, kinds, starts, ends):
    """The first id that is neither missing nor empty text; the last id if all are.

    As `identity.first_given`.
    """
    for place in _IDS:
        value = values[place]
        if value >= 0 and (kinds[value] != TEXT or ends[value] > starts[value]):
            return value
    return values[_IDS[-1]]


@compiled
def _put_text(message, at, mark, source, start, end):
    """Write a character and a JSON string without escapes; returns where it ended."""
    message[at], message[at + 1] = mark, QUOTE
    at += 2
    target = message.ctypes.data
    # by words: up to seven bytes too many, which are overwritten by what follows
    for place in range(0, end - start, 8):
        put_word(target, at + place, word_at(source, start + place))
    at += end - start
    message[at] = QUOTE
    return at + 1


@compiled
def _put_integer(message, at, value):
    """Write the digits of an integer; returns where they ended."""
    if value < 0:
        message[at] = MINUS
        at += 1
        value = -value
    power = 1
    while value // power > 9:
        power *= 10
    while power > 0:
        message[at] = ZERO + value // power % 10
        at += 1
        power //= 10
    return at
