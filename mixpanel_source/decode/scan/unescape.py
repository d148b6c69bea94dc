"""Rewriting text: escapes resolved, and JSON brought to the form in which `orjson` writes it.

The text was checked by the scanner, so every escape is whole, and stands for a character that can
be stored. No text gets longer: an escape has at least as many bytes as what replaces it.
"""

from __future__ import annotations

import numpy as np

from .characters import BACKSLASH, LOWER_A, LOWER_U, QUOTE, RETURN, SPACE, TAB, ZERO
from .memory import byte_at, compiled
from .strings import hex_code

_LETTERS = np.zeros(256, np.uint8)
"""The character for each letter after a backslash, other than u."""
_LETTERS[[ord(letter) for letter in '"\\/bfnrt']] = [ord(c) for c in '"\\/\b\f\n\r\t']
_CONTROLS = np.zeros(32, np.uint8)
"""The letter of the short escape for each control character; 0 if it has none."""
_CONTROLS[[ord(c) for c in "\b\f\n\r\t"]] = [ord(letter) for letter in "bfnrt"]


@compiled
def rewrite_text(source, start, end, text, at, json):
    """Copy text with its escapes resolved, or JSON without needless escapes and spaces.

    Args:
        source: address of the block.
        start: offset of the text in the block.
        end: offset past the text.
        text: uint8, to write to.
        at: where in `text` to begin.
        json: whether the text is JSON, or else the inside of a string.

    Returns:
        Where in `text` it ended.
    """
    # of JSON the spaces between its parts go, and those inside strings stay
    inside = not json
    while start < end:
        byte = byte_at(source, start)
        if byte == BACKSLASH:
            code, start = _escaped(source, start + 1)
            at = _put_json_character(text, at, code) if json else _put_utf8(text, at, code)
            continue
        # escaped quotes were dealt with above, so this one begins or ends a string
        if json and byte == QUOTE:
            inside = not inside
        if inside or not (byte == SPACE or byte == TAB or byte == RETURN):
            text[at] = byte
            at += 1
        start += 1
    return at


@compiled
def _escaped(source, at):
    """The code point of the escape whose letter is at `at`, and the offset past it."""
    letter = byte_at(source, at)
    if letter != LOWER_U:
        # looked up as uint8, and widened to the type of the other results
        return np.int64(_LETTERS[letter]), at + 1
    code = hex_code(source, at + 1)
    if 0xD800 <= code < 0xDC00:
        # a surrogate pair: ten bits from each of its halves
        low = hex_code(source, at + 7)
        return 0x10000 + ((code - 0xD800) << 10) + low - 0xDC00, at + 11
    return code, at + 5


@compiled
def _put_json_character(text, at, code):
    """Write a character into a JSON string, escaped if it has to be."""
    if code >= 32 and code != QUOTE and code != BACKSLASH:
        return _put_utf8(text, at, code)
    text[at] = BACKSLASH
    # the quote and the backslash are their own letters
    letter = np.int64(_CONTROLS[code]) if code < 32 else code
    if letter:
        text[at + 1] = letter
        return at + 2
    text[at + 1] = LOWER_U
    # four digits of four bits each, the highest first
    for place, shift in ((2, 12), (3, 8), (4, 4), (5, 0)):
        digit = code >> shift & 15
        text[at + place] = digit + (ZERO if digit < 10 else LOWER_A - 10)
    return at + 6


@compiled
def _put_utf8(text, at, code):
    """Write a code point as UTF-8: 7 bits in one byte, 11 in two, 16 in three, 21 in four.

    The first byte says by its high bits how many follow; each of these has 0b10 and six bits.
    """
    if code < 0x80:
        text[at] = code
        return at + 1
    if code < 0x800:
        text[at] = 0xC0 | code >> 6
    else:
        if code < 0x10000:
            text[at] = 0xE0 | code >> 12
        else:
            text[at] = 0xF0 | code >> 18
            at += 1
            text[at] = 0x80 | code >> 12 & 0x3F
        at += 1
        text[at] = 0x80 | code >> 6 & 0x3F
    text[at + 1] = 0x80 | code & 0x3F
    return at + 2
