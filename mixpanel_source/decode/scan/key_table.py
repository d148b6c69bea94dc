"""The names of the properties met in a block: each gets a number, found by guessing or by hashing.

The rows of an event mostly have the same properties in the same order. So the table remembers which
property followed which in rows of that name, and compares the next name with that guess, which is
faster than to find the end of the name and hash it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit

from .characters import QUOTE
from .memory import byte_at, compiled, int_at, put_int32, word_at
from .strings import string_end

MAX_KEYS = 8_192
"""Maximum properties of a block; rows with others are odd."""
MAX_KEY_BYTES = 255
"""Maximum bytes of a property's name; rows with longer ones are odd.

A guessed name is compared without a check whether the block goes on that far: see `memory.PADDING`.
"""
SLOTS = 2 * MAX_KEYS
"""Slots of the hash table: a power of two, and twice the keys, so that a free slot is never far."""
GUESSES = 1 << 14
"""Places for guesses: a power of two. Guesses that share a place overwrite each other, which costs
time only, because every guess is compared with the text."""

_TRIES = 2
"""Guesses before a name is looked up."""
_SPREAD = 40_503
"""Odd, so that consecutive keys get different places, and about 2^16 divided by the golden ratio,
so that these are far apart (Knuth's multiplicative hashing)."""
# FNV-1a with 64 bits, http://www.isthe.com/chongo/tech/comp/fnv/
_FNV_START, _FNV_PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)
_HALF = np.uint64(32)


class KeyTable(NamedTuple):
    """The properties of a block by number, from 0; all int32. Compiled code gets the addresses."""

    start: Any
    """Shape (`MAX_KEYS`): offset of the name, as it was first met, in the block."""
    size: Any
    """Shape (`MAX_KEYS`): bytes of the name."""
    last_line: Any
    """Shape (`MAX_KEYS`): the line it was last met in, because a row must not have it twice."""
    next: Any
    """Shape (`GUESSES`): the property that last followed another in rows of some name, or -1."""
    slots: Any
    """Shape (`SLOTS`): the number of a property, or -1; a hash table with linear probing."""


@compiled
def hash_bytes(data, at, end):
    """A hash of the bytes [at, end), from 0 to 2^32 - 1."""
    digest = _FNV_START
    for place in range(at, end):
        digest = (digest ^ np.uint64(byte_at(data, place))) * _FNV_PRIME
    # the high half is mixed better; and an int64 of 32 bits is never negative
    return np.int64(digest >> _HALF)


@compiled
def _same(data, one, other, size):
    """Whether the `size` bytes at `one` are those at `other`; reads up to eight bytes more."""
    while size >= 8:
        if word_at(data, one) != word_at(data, other):
            return False
        one += 8
        other += 8
        size -= 8
    # Of the last word only the first bytes count. They are the lowest, so the shift drops the
    # others. A size of 0 is left out, because the result of a shift by 64 bits is undefined.
    difference = word_at(data, one) ^ word_at(data, other)
    return size == 0 or difference << np.uint64(64 - 8 * size) == 0


@compiled
def _slot(data, at, end, keys):
    """The slot that has the property named by the bytes [at, end), or is free for it."""
    last = SLOTS - 1  # as a mask: the remainder of a division by a power of two
    slot = hash_bytes(data, at, end) & last
    # ends, because half of the slots are always free
    while True:
        key = int_at(keys.slots, slot)
        if key < 0:
            return slot
        if int_at(keys.size, key) == end - at and _same(
            data, at, int_at(keys.start, key), end - at
        ):
            return slot
        slot = (slot + 1) & last


# inlined by numba, because LLVM leaves it a call: with that, verifying a window takes 5 % longer
@njit(nogil=True, inline="always")
def find_key(data, at, line, keys, count, seed, previous):
    """Find a property, or add it to the table.

    Args:
        data: address of the block.
        at: offset of its name, past the opening quote.
        line: number of the line.
        keys: the table.
        count: how many properties it has.
        seed: a hash of the row's name.
        previous: number of the property before it in the row; of the first one, 0 does as well.

    Returns:
        Its number, or -1 if the line is odd: the name is not valid or too long, was in the row
        before, or is one too many; the offset past its name; how many properties there are now.
    """
    guess = first = (seed + previous * _SPREAD) & (GUESSES - 1)
    for _ in range(_TRIES):
        key = int_at(keys.next, guess)
        if key < 0:
            break
        size = int_at(keys.size, key)
        end = at + size
        # the quote comes first: it is cheap, and rules out names that only begin like this one
        if byte_at(data, end) == QUOTE and _same(data, at, int_at(keys.start, key), size):
            break
        # perhaps this row lacks that property, and has the one that follows it
        guess = (seed + key * _SPREAD) & (GUESSES - 1)
        key = -1
    if key < 0:
        end, _ = string_end(data, at)
        if end >= 0:
            slot = _slot(data, at, end, keys)
            key = int_at(keys.slots, slot)
            if key < 0 and count < MAX_KEYS and end - at <= MAX_KEY_BYTES:
                key = count
                count += 1
                put_int32(keys.slots, slot, key)
                put_int32(keys.start, key, at)
                put_int32(keys.size, key, end - at)
                put_int32(keys.last_line, key, -1)
            if key >= 0:
                put_int32(keys.next, first, key)
    if key >= 0:
        if int_at(keys.last_line, key) == line:
            key = -1
        else:
            put_int32(keys.last_line, key, line)
    return key, end, count
