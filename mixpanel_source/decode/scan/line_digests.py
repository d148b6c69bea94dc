"""Digests of the lines of a tape, as `hashlib.blake2b` computes them."""

from __future__ import annotations

from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from ..json_values import DIGEST_BYTES
from .blake2b import BLOCK_BYTES, STATE_WORDS, digest_message
from .memory import compiled, put_word, word_at
from .tape import Tape

_LONG = 8_192
"""Maximum bytes of a line that compiled code digests."""


def line_digests(tape: Tape) -> NDArray[np.uint8]:
    """The digest of each row's line; shape (rows, `DIGEST_BYTES`)."""
    digests: NDArray[np.uint8] = _digest_lines(tape.data, tape.bounds)
    for row in np.flatnonzero(tape.bounds[:, 1] - tape.bounds[:, 0] > _LONG).tolist():
        digest = blake2b(tape.line(row), digest_size=DIGEST_BYTES).digest()
        digests[row] = np.frombuffer(digest, np.uint8)
    return digests


@compiled
def _digest_lines(block, bounds):
    """See `line_digests`; lines of more than `_LONG` bytes are left out."""
    digests = np.zeros((bounds.shape[0], DIGEST_BYTES), np.uint8)
    # room for zeros after the line, and for words written past its end
    message, state = np.zeros(_LONG + 2 * BLOCK_BYTES, np.uint8), np.empty(STATE_WORDS, np.uint64)
    source, target = block.ctypes.data, message.ctypes.data
    for row in range(bounds.shape[0]):
        start, size = bounds[row, 0], bounds[row, 1] - bounds[row, 0]
        if size <= _LONG:
            for place in range(0, size, 8):
                put_word(target, place, word_at(source, start + place))
            digest_message(message, size, state, digests[row])
    return digests
