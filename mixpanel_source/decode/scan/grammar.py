"""The grammar of JSON values, strictly, for what every database stores unchanged.

Functions return the offset where something ends, or -1 if it is not valid or would have to be
changed, like an integer of nineteen digits.
"""

from __future__ import annotations

import numpy as np

from .characters import (
    CLOSE,
    CLOSE_LIST,
    COLON,
    COMMA,
    DOT,
    LOWER_E,
    MINUS,
    NINE,
    OPEN,
    OPEN_LIST,
    PLUS,
    QUOTE,
    RETURN,
    SPACE,
    TAB,
    UPPER_E,
    ZERO,
)
from .memory import byte_at, compiled, word_at
from .strings import string_end

BOOL, BIGINT, DOUBLE, TEXT, JSON, NULL = range(6)
"""Kinds of values."""
MAX_DEPTH = 64
"""Maximum lists and objects inside each other: one bit for each in a word, see `nested_end`."""
_MAX_DIGITS = 18
"""Maximum digits of an integer, or before a decimal point: any such integer fits in 64 bits."""
_MAX_NUMBER = 40
"""Maximum bytes of a number that is not an integer."""
_MAX_EXPONENT = 2
"""Maximum digits of an exponent: with these a number is neither infinite nor rounded to 0."""

_ONE = np.uint64(1)
# `true`, `false` and `null` as the low bytes of a word; the masks cut off the bytes after them
_FOUR_BYTES, _FIVE_BYTES = np.uint64(0xFFFFFFFF), np.uint64(0xFFFFFFFFFF)
_TRUE, _FALSE, _NULL_WORD = (
    np.uint64(int.from_bytes(word, "little")) for word in (b"true", b"false", b"null")
)

# states of `nested_end`: what may come next inside a list or an object
_VALUE, _ITEM_OR_END, _COMMA_OR_END, _KEY, _KEY_OR_END = range(5)


@compiled
def skip_spaces(data, at):
    """Past the spaces at `at`, if there are any.

    JSON allows a newline here too, but a row ends with one.
    """
    byte = byte_at(data, at)
    while byte == SPACE or byte == TAB or byte == RETURN:
        at += 1
        byte = byte_at(data, at)
    return at


@compiled
def value_start(data, at):
    """The start of the value whose key has its closing quote at `at`, or -1 without a colon."""
    at = skip_spaces(data, at + 1)
    return skip_spaces(data, at + 1) if byte_at(data, at) == COLON else -1


@compiled
def scalar_end(data, at):
    """Past the number or literal at `at`, or -1; its kind; its value if not a double."""
    byte = byte_at(data, at)
    if byte == MINUS or ZERO <= byte <= NINE:
        return _number_end(data, at)
    return _literal_end(data, at)


@compiled
def _digits_end(data, at):
    while ZERO <= byte_at(data, at) <= NINE:
        at += 1
    return at


@compiled
def _number_end(data, at):
    """Past the number at `at`, or -1; its kind; its value if it is an integer."""
    start = at
    negative = byte_at(data, at) == MINUS
    first = at + negative
    at = _digits_end(data, first)
    digits = at - first
    if digits == 0 or digits > _MAX_DIGITS or (digits > 1 and byte_at(data, first) == ZERO):
        return -1, BIGINT, 0
    byte = byte_at(data, at)
    if byte != DOT and byte != LOWER_E and byte != UPPER_E:
        value = 0
        for place in range(first, at):
            value = value * 10 + byte_at(data, place) - ZERO
        return at, BIGINT, -value if negative else value
    # the value of a double is parsed by arrow, from its text
    if byte == DOT:
        fraction = at + 1
        at = _digits_end(data, fraction)
        if at == fraction:
            return -1, DOUBLE, 0
        byte = byte_at(data, at)
    if byte == LOWER_E or byte == UPPER_E:
        sign = byte_at(data, at + 1)
        exponent = at + 2 if sign == PLUS or sign == MINUS else at + 1
        at = _digits_end(data, exponent)
        if at == exponent or at - exponent > _MAX_EXPONENT:
            return -1, DOUBLE, 0
    return (at if at - start <= _MAX_NUMBER else -1), DOUBLE, 0


@compiled
def _literal_end(data, at):
    """Past `true`, `false` or `null` at `at`, or -1; its kind; 1 if it is true."""
    # compares all letters at once; what follows is for the caller to check
    word = word_at(data, at)
    if word & _FOUR_BYTES == _TRUE:
        return at + 4, BOOL, 1
    if word & _FIVE_BYTES == _FALSE:
        return at + 5, BOOL, 0
    if word & _FOUR_BYTES == _NULL_WORD:
        return at + 4, NULL, 0
    return -1, NULL, 0


@compiled
def nested_end(data, at):
    """Past the list or object at `at`, or -1; whether its text has spaces or escapes to remove.

    A state machine without recursion. Its stack is the word `objects` with a bit for each level, 1
    for an object and 0 for a list, the innermost level lowest.
    """
    state, depth, rewrite = _VALUE, 0, False
    objects = np.uint64(0)
    while True:
        byte = byte_at(data, at)
        if byte == SPACE or byte == TAB or byte == RETURN:
            at += 1
            rewrite = True
        elif state == _COMMA_OR_END and byte == COMMA:
            at += 1
            state = _KEY if objects & _ONE else _VALUE
        elif (
            # the bracket that closes the innermost level
            byte == (CLOSE if objects & _ONE else CLOSE_LIST)
            and depth
            and (state == _COMMA_OR_END or state == _ITEM_OR_END or state == _KEY_OR_END)
        ):
            at += 1
            depth -= 1
            objects >>= _ONE  # pop
            state = _COMMA_OR_END
            if depth == 0:
                return at, rewrite
        elif byte == QUOTE and state != _COMMA_OR_END:
            at, escaped = string_end(data, at + 1)
            if at < 0:
                return -1, rewrite
            rewrite |= escaped
            at += 1
            if state == _KEY or state == _KEY_OR_END:
                colon = skip_spaces(data, at)
                if byte_at(data, colon) != COLON:
                    return -1, rewrite
                rewrite |= colon > at
                at = colon + 1
                state = _VALUE
            else:
                state = _COMMA_OR_END
        elif state != _VALUE and state != _ITEM_OR_END:
            return -1, rewrite
        elif byte == OPEN or byte == OPEN_LIST:
            if depth == MAX_DEPTH:
                return -1, rewrite
            at += 1
            depth += 1
            objects = objects << _ONE | np.uint64(byte == OPEN)  # push
            state = _KEY_OR_END if byte == OPEN else _ITEM_OR_END
        else:
            at, _, _ = scalar_end(data, at)
            if at < 0:
                return -1, rewrite
            state = _COMMA_OR_END
