"""Verification: reading a whole window before any row of it goes further.

Pure. Verifying proves that every line is whole, finds the duplicates and the rows of another shape,
and keeps what was read as far as memory allows, so that most windows are read only once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .. import constants
from .blocks import BlockReader, ReadBlock
from .index.row_index import RowIndex


@dataclass
class VerifiedWindow:
    """The rows of a window that was read from end to end."""

    index: RowIndex
    """The identities of all rows, with the duplicates and the rejected rows found."""
    lines_bytes: int = 0
    """Uncompressed bytes of the lines."""
    blocks: list[ReadBlock] = field(default_factory=list)
    """All blocks, if they take at most `constants.KEPT_BYTES` of memory; else the first few."""
    digests: list[NDArray[np.uint8]] = field(default_factory=list)
    """`ReadBlock.digests` of each block, if the reader digests lines."""


def verify(
    row_blocks: Iterable[bytes], reader: BlockReader, *, directory: Path | None = None
) -> VerifiedWindow:
    """Read a window from end to end and identify its rows.

    Args:
        row_blocks: the whole window, from `framing.iter_row_blocks`.
        reader: for the kind of its rows.
        directory: on whose disk the index of a big window is kept.

    Raises:
        TruncatedError: a line is not whole JSON.
        MixpanelError: the disk is full or not writable.
    """
    verified = read_part(row_blocks, reader, directory=directory)
    verified.index.resolve_duplicates()
    return verified


def read_part(
    row_blocks: Iterable[bytes],
    reader: BlockReader,
    *,
    directory: Path | None = None,
    keeps_blocks: bool = True,
) -> VerifiedWindow:
    """Read a part of a window, whose duplicates may be in other parts; see `verify`.

    Args:
        row_blocks: the whole part.
        reader: for the kind of its rows.
        directory: on whose disk the index of a big part is kept.
        keeps_blocks: whether there is memory for blocks.

    Raises:
        TruncatedError: a line is not whole JSON.
        MixpanelError: the disk is full or not writable.
    """
    verified = VerifiedWindow(RowIndex(directory))
    free_bytes = constants.KEPT_BYTES if keeps_blocks else 0
    for block, identities in reader.read_all(row_blocks):
        verified.index.extend(identities)
        verified.lines_bytes += block.lines_bytes
        if block.digests is not None:
            verified.digests.append(block.digests)
        fitted = free_bytes >= 0
        free_bytes -= block.nbytes
        if free_bytes >= 0:
            verified.blocks.append(block)
        elif fitted:
            # the rest has to be read again anyway, so give back half of the memory as well
            del verified.blocks[len(verified.blocks) // 2 :]
    return verified


def join_parts(parts: Sequence[VerifiedWindow], *, directory: Path | None = None) -> VerifiedWindow:
    """The window that consists of some parts, one after the other.

    Args:
        parts: from `read_part`; only the first may have kept blocks.
        directory: on whose disk the index of a big window is kept.

    Raises:
        MixpanelError: the disk is full or not writable.
    """
    joined = VerifiedWindow(RowIndex(directory))
    for part in parts:
        joined.index.join(part.index)
        joined.lines_bytes += part.lines_bytes
        joined.blocks += part.blocks
    joined.index.resolve_duplicates()
    return joined
