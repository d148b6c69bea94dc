"""The grammar of JSON, strictly, of what every database takes as it is.

Each function says where something ends, and -1 if it is nothing of the kind, or something that
would have to change: an integer of nineteen digits, NUL, half a surrogate pair.
"""

from __future__ import annotations

import numpy as np

from .memory import byte_at, compiled, trailing_zeros, word_at

BOOL, BIGINT, DOUBLE, TEXT, JSON, NULL = range(6)
"""Kinds of values."""
MAX_DEPTH = 64
"""Most lists and objects within each other."""
_MAX_DIGITS = 18
_MAX_NUMBER = 40
_MAX_EXPONENT = 2

TAB, NEWLINE, RETURN, SPACE, QUOTE = (ord(c) for c in '\t\n\r "')
_PLUS, COMMA, _MINUS, _DOT, _ZERO, _NINE, COLON = (ord(c) for c in "+,-.09:")
OPEN_LIST, BACKSLASH, _CLOSE_LIST, OPEN, CLOSE = (ord(c) for c in "[\\]{}")
_LOWER_E, _UPPER_E, LOWER_U = (ord(c) for c in "eEu")
_ESCAPES = tuple(ord(c) for c in '"\\/bfnrt')

_ONES = np.uint64(0x0101010101010101)
_HIGHS = np.uint64(0x8080808080808080)
_QUOTES = np.uint64(QUOTE * 0x0101010101010101)
_BACKSLASHES = np.uint64(BACKSLASH * 0x0101010101010101)
_SPACES = np.uint64(SPACE * 0x0101010101010101)
_ONE = np.uint64(1)
_FOUR_BYTES, _FIVE_BYTES = np.uint64(0xFFFFFFFF), np.uint64(0xFFFFFFFFFF)
_TRUE, _FALSE, _NULL_WORD = (
    np.uint64(int.from_bytes(word, "little")) for word in (b"true", b"false", b"null")
)

# what may come next inside a list or an object
_VALUE, _ITEM_OR_END, _COMMA_OR_END, _KEY, _KEY_OR_END = range(5)


@compiled
def skip_spaces(data, at):
    """Past the spaces at `at`, if there are any."""
    byte = byte_at(data, at)
    while byte == SPACE or byte == TAB or byte == RETURN:
        at += 1
        byte = byte_at(data, at)
    return at


@compiled
def string_end(data, at):
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
        at += trailing_zeros(hits) >> 3
        byte = byte_at(data, at)
        if byte == QUOTE:
            return at, escaped
        if byte == BACKSLASH:
            escaped = True
            at = _escape_end(data, at + 1)
        else:
            at = _character_end(data, at)
    return -1, escaped


@compiled
def value_start(data, at):
    """Where the value of the key with its closing quote at `at` starts, or -1 without a colon."""
    at = skip_spaces(data, at + 1)
    return skip_spaces(data, at + 1) if byte_at(data, at) == COLON else -1


@compiled
def _escape_end(data, at):
    """Past the escape whose letter is at `at`, or -1 if it stands for what cannot be stored."""
    letter = byte_at(data, at)
    if letter == LOWER_U:
        code = hex_code(data, at + 1)
        if 0xD800 <= code < 0xDC00 and byte_at(data, at + 5) == BACKSLASH:
            low = hex_code(data, at + 7)
            return at + 11 if byte_at(data, at + 6) == LOWER_U and 0xDC00 <= low < 0xE000 else -1
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
        return at + 4, NULL, 0
    return -1, NULL, 0


@compiled
def scalar_end(data, at):
    """Past the number or literal at `at`, or -1; its kind; its value."""
    byte = byte_at(data, at)
    if byte == _MINUS or _ZERO <= byte <= _NINE:
        return _number_end(data, at)
    return _literal_end(data, at)


@compiled
def nested_end(data, at):
    """Past the list or object at `at`, or -1; whether its text has to be rewritten."""
    state, depth, rewrite = _VALUE, 0, False
    objects = np.uint64(0)  # a bit for each level, the innermost lowest: 1 for an object
    while True:
        byte = byte_at(data, at)
        if byte == SPACE or byte == TAB or byte == RETURN:
            at += 1
            rewrite = True
        elif state == _COMMA_OR_END and byte == COMMA:
            at += 1
            state = _KEY if objects & _ONE else _VALUE
        elif (
            byte == (CLOSE if objects & _ONE else _CLOSE_LIST)
            and depth
            and (state == _COMMA_OR_END or state == _ITEM_OR_END or state == _KEY_OR_END)
        ):
            at += 1
            depth -= 1
            objects >>= _ONE
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
            objects = objects << _ONE | np.uint64(byte == OPEN)
            state = _KEY_OR_END if byte == OPEN else _ITEM_OR_END
        else:
            at, _, _ = scalar_end(data, at)
            if at < 0:
                return -1, rewrite
            state = _COMMA_OR_END
