"""The end of a JSON string, strictly: valid UTF-8, valid escapes, nothing a database cannot store.

Functions return the offset where something ends, or -1 if it is not valid or would have to be
changed: NUL, half of a surrogate pair.
"""

from __future__ import annotations

import numpy as np

from .characters import BACKSLASH, LOWER_A, LOWER_U, NINE, QUOTE, SPACE, ZERO
from .memory import byte_at, compiled, trailing_zeros, word_at

_ESCAPES = tuple(ord(c) for c in '"\\/bfnrt')

# words of eight equal bytes, to compare or subtract eight bytes at once
_ONES = np.uint64(0x0101010101010101)
_HIGHS = np.uint64(0x8080808080808080)
_QUOTES = np.uint64(QUOTE * 0x0101010101010101)
_BACKSLASHES = np.uint64(BACKSLASH * 0x0101010101010101)
_SPACES = np.uint64(SPACE * 0x0101010101010101)


@compiled
def string_end(data, at):
    """Find the end of a string.

    Args:
        data: address of the block.
        at: offset past the opening quote.

    Returns:
        The offset of the closing quote, or -1; and whether there are escapes.
    """
    escaped = False
    while at >= 0:
        # Examines eight bytes at once. In `hits` the high bit of a byte is set if the byte ends the
        # run of plain ASCII: a quote, a backslash, a control character or part of a multi-byte
        # character.
        word = word_at(data, at)
        # bytes equal to the quote become 0; so do bytes equal to the backslash
        quotes, backslashes = word ^ _QUOTES, word ^ _BACKSLASHES
        # x - 1 sets the high bit of a byte that was 0, and of one above 0x80; & ~x leaves the first
        hits = (quotes - _ONES) & ~quotes | (backslashes - _ONES) & ~backslashes
        # x - 0x20 borrows, and so sets the high bit, in control characters; non-ASCII bytes have it
        hits = (hits | (word - _SPACES) | word) & _HIGHS
        if hits == 0:
            at += 8
            continue
        # A borrow runs on into the next higher byte, and may set its bit by mistake. But only a hit
        # borrows, so the lowest bit that is set, that of the first such byte, is always right.
        at += trailing_zeros(hits) >> 3
        byte = byte_at(data, at)
        if byte == QUOTE:
            return at, escaped
        if byte == BACKSLASH:
            escaped = True
            at = _escape_end(data, at + 1)
        else:
            # not UTF-8, for a control character: among them the newline that ends the line
            at = _character_end(data, at)
    return -1, escaped


@compiled
def _escape_end(data, at):
    """Past the escape whose letter is at `at`; -1 if a database cannot store its character."""
    letter = byte_at(data, at)
    if letter == LOWER_U:
        code = hex_code(data, at + 1)
        # a code point above 0xFFFF is two escapes: a high surrogate, then a low one
        if 0xD800 <= code < 0xDC00 and byte_at(data, at + 5) == BACKSLASH:
            low = hex_code(data, at + 7)
            return at + 11 if byte_at(data, at + 6) == LOWER_U and 0xDC00 <= low < 0xE000 else -1
        # neither NUL (0), nor invalid digits (-1), nor a surrogate alone
        return at + 5 if 0 < code < 0xD800 or code >= 0xE000 else -1
    for known in _ESCAPES:
        if letter == known:
            return at + 1
    return -1


@compiled
def hex_code(data, at):
    """The value of the four hexadecimal digits at `at`, or -1."""
    code = 0
    for place in range(at, at + 4):
        byte = byte_at(data, place)
        if ZERO <= byte <= NINE:
            code = code * 16 + byte - ZERO
        else:
            # bit 5 is what lower-case letters have and upper-case letters lack
            letter = (byte | 32) - LOWER_A
            if not 0 <= letter < 6:
                return -1
            code = code * 16 + letter + 10
    return code


@compiled
def _character_end(data, at):
    """Past the multi-byte character at `at`, or -1 if it is not valid UTF-8.

    Source: https://www.unicode.org/versions/Unicode16.0.0/core-spec/chapter-3/, table 3-7.
    """
    first, second = byte_at(data, at), byte_at(data, at + 1)
    # below: ASCII, a continuation byte, or a code point that fits in one byte; above: none at all
    if not 0xC2 <= first <= 0xF4:
        return -1
    # of these first bytes, some second bytes would make a code point that
    # has a shorter form, is a surrogate, or is beyond U+10FFFF
    too_long = (first == 0xE0 and second < 0xA0) or (first == 0xF0 and second < 0x90)
    surrogate = first == 0xED and second > 0x9F
    too_big = first == 0xF4 and second > 0x8F
    if too_long or surrogate or too_big:
        return -1
    # two bytes, from 0xE0 on three, from 0xF0 on four
    end = at + 2 + (first >= 0xE0) + (first >= 0xF0)
    for place in range(at + 1, end):
        # continuation bytes are 0b10xxxxxx
        if byte_at(data, place) & 0xC0 != 0x80:
            return -1
    return end
