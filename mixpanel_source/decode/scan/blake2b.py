"""BLAKE2b with a digest of 16 bytes and no key, as `hashlib.blake2b` computes it.

Source: https://www.rfc-editor.org/rfc/rfc7693.
"""

from __future__ import annotations

import numpy as np

from ..json_values import DIGEST_BYTES
from .memory import compiled, put_word, word_at

BLOCK_BYTES = 128
STATE_WORDS = 24
"""Words that `digest_message` works in: eight of the state, and sixteen of a round."""

# section 2.5: fanout 1, depth 1, no key, and the bytes of the digest, as the first parameter word
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
"""Section 2.6: the first 64 bits after the point of the square roots of the first eight primes."""
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
"""Section 2.7: which word of the message is mixed in when, in each of twelve rounds."""


@compiled
def digest_message(message, size, state, digest):
    """Hash the first `size` bytes of a message.

    Args:
        message: uint8, with room for `BLOCK_BYTES` more bytes, which are overwritten.
        size: bytes to hash.
        state: uint64, shape (`STATE_WORDS`), overwritten; given to save its allocation.
        digest: uint8, shape (`DIGEST_BYTES`), to write to.
    """
    source, target = message.ctypes.data, digest.ctypes.data
    # the last block is filled up with zeros
    for place in range(size, size + BLOCK_BYTES, 8):
        put_word(source, place, np.uint64(0))
    for word in range(8):
        state[word] = _IV[word]
    state[0] ^= _PARAMETERS
    done = 0
    # a full last block is still the last one, hence not >=
    while size - done > BLOCK_BYTES:
        _compress(source, done, np.uint64(done + BLOCK_BYTES), np.uint64(0), state)
        done += BLOCK_BYTES
    _compress(source, done, np.uint64(size), ~np.uint64(0), state)
    put_word(target, 0, state[0])
    put_word(target, 8, state[1])


@compiled
def _compress(source, at, count, last, state):
    """Mix a block of the message into the state (section 3.2).

    Args:
        source: address of the message.
        at: offset of the block.
        count: bytes of the message up to the end of the block.
        last: all ones for the last block, else 0.
        state: its first eight words; the others are overwritten.
    """
    work = state[8:]
    for word in range(8):
        work[word], work[word + 8] = state[word], _IV[word]
    work[12] ^= count
    work[14] ^= last
    for turn in range(12):
        order = _SIGMA[turn]
        # the sixteen words are a square of four rows: first its columns are mixed, then its
        # diagonals, which are columns of rows that are rotated by 0, 1, 2 and 3
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


@compiled
def _mix(work, a, b, c, d, one, other):
    """The function G of section 3.1."""
    work[a] += work[b] + one
    work[d] = _rotated(work[d] ^ work[a], 32)
    work[c] += work[d]
    work[b] = _rotated(work[b] ^ work[c], 24)
    work[a] += work[b] + other
    work[d] = _rotated(work[d] ^ work[a], 16)
    work[c] += work[d]
    work[b] = _rotated(work[b] ^ work[c], 63)


@compiled
def _rotated(word, by):
    """The bits of a word rotated right; LLVM makes one instruction of it."""
    return word >> np.uint64(by) | word << np.uint64(64 - by)
