"""Sets of 128-bit digests, as sorted arrays: 16 bytes a digest, however many there are.

Pure but for `KnownKeys`, which is in a file. An array of digests has the shape (digests, 2), two
words each.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
from isal import isal_zlib
from numpy.typing import NDArray

from ...decode.json_values import DIGEST_BYTES
from ...files import replace_durably

Digests = NDArray[np.uint64]
"""Shape (digests, 2)."""

_FORMAT = b"mixpanel-source keys 1\n"
_CHECKSUM_BYTES = 4
_ABSENT = -1
_HEX_DIGITS = 2 * DIGEST_BYTES


def as_digests(rows: NDArray[np.uint8]) -> Digests:
    """Digests from their bytes, shape (digests, `DIGEST_BYTES`)."""
    return np.ascontiguousarray(rows).view(np.uint64).reshape(-1, 2)


def parse_digests(texts: Sequence[str]) -> Digests:
    """Digests from hexadecimal text.

    Raises:
        ValueError: a text is not a digest.
    """
    content = bytes.fromhex("".join(texts))
    if any(len(text) != _HEX_DIGITS for text in texts):
        raise ValueError("a digest is too long or too short")
    return as_digests(np.frombuffer(content, np.uint8).reshape(-1, DIGEST_BYTES))


def to_hex(digests: Digests) -> list[str]:
    """Digests as hexadecimal text."""
    text = digests.tobytes().hex()
    return [text[start : start + _HEX_DIGITS] for start in range(0, len(text), _HEX_DIGITS)]


def sort_digests(digests: Digests) -> Digests:
    """Digests in the order that `find_digests` searches."""
    return digests[np.argsort(digests[:, 0])]


def find_digests(wanted: Digests, *, within: Digests) -> NDArray[np.int64]:
    """For each digest its place in others, or -1.

    Digests that share their first word are not told apart: of two such only one is found. Among
    2^32 random digests there is hardly one such pair.

    Args:
        wanted: in any order.
        within: sorted.
    """
    # in ascending order the search walks through memory instead of jumping
    order = np.argsort(wanted[:, 0])
    ascending = wanted[order]
    places = np.searchsorted(np.ascontiguousarray(within[:, 0]), ascending[:, 0])
    inside = np.flatnonzero(places < len(within))
    equal = inside[(within[places[inside]] == ascending[inside]).all(axis=1)]
    found = np.full(len(wanted), _ABSENT, np.int64)
    found[order[equal]] = places[equal]
    return found


def has_repeats(digests: Digests) -> bool:
    """Whether sorted digests share their first word."""
    return bool((digests[1:, 0] == digests[:-1, 0]).any())


class KnownKeys(NamedTuple):
    """The keys of profiles by the digests of their lines.

    A line always has the same key, so nothing in the file goes out of date. A profile whose line is
    not among them is simply one whose key is not known.
    """

    lines: Digests
    """Sorted."""
    keys: Digests
    """The key of the profile of each line."""

    @classmethod
    def of(cls, lines: Digests, keys: Digests) -> KnownKeys:
        """Known keys, given in any order."""
        order = np.argsort(lines[:, 0])
        return cls(lines[order], keys[order])

    def write(self, path: Path) -> None:
        """Replace the file.

        Raises:
            OSError: it cannot be written.
        """
        content = self.lines.tobytes() + self.keys.tobytes()
        checksum = isal_zlib.crc32(content).to_bytes(_CHECKSUM_BYTES, "little")
        replace_durably(path, _FORMAT + checksum + content)

    @classmethod
    def read(cls, path: Path) -> KnownKeys | None:
        """What the file has; None if there is none, or if it is damaged."""
        content = b""
        with suppress(OSError):
            content = path.read_bytes()
        start = len(_FORMAT) + _CHECKSUM_BYTES
        checksum = content[len(_FORMAT) : start]
        body = memoryview(content)[start:]
        if not content.startswith(_FORMAT) or len(body) % (2 * DIGEST_BYTES):
            return None
        if isal_zlib.crc32(body).to_bytes(_CHECKSUM_BYTES, "little") != checksum:
            return None
        lines, keys = np.frombuffer(body, np.uint64).reshape(2, -1, 2)
        return cls(lines, keys)
