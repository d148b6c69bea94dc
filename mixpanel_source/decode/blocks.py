"""Blocks of rows: where the values of the rows are, and what identifies each row.

Pure and stateless, so blocks may be read on any thread. The plain lines of a big block are read by
compiled code, which puts their values on a tape. All other lines, and small blocks, are kept as
lines, to be decoded one by one. Both ways give the same rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from hashlib import blake2b
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import constants
from .framing import join_torn_rows
from .index.identity import Identities, Identity, RowIdentifier
from .json_values import DIGEST_BYTES, is_too_deep
from .masking import NO_MASK, Mask
from .parallel import map_ahead
from .row_shape import reject_line
from .scan.compiling import compilation
from .value_types import RowKind

if TYPE_CHECKING:
    from .scan.tape import Tape


LINE_BYTES = 130
"""Memory that a line takes as a Python object with its number, beside its own bytes."""


@dataclass(frozen=True)
class ReadBlock:
    """A block of rows, and where their values are."""

    row_count: int
    lines_bytes: int
    """Bytes of its lines."""
    tape: Tape | None
    """The values of the plain rows; None for a block kept as lines."""
    odd: list[tuple[int, bytes]]
    """Number in the block, from 0, and line of each row that is not on the tape."""
    digests: NDArray[np.uint8] | None = None
    """Shape (rows, `DIGEST_BYTES`): of the bytes of each row's line; None unless the reader
    digests lines."""

    def line(self, number: int) -> bytes:
        """The line of a row by its number in the block, from 0."""
        if self.tape is None:
            return self.odd[number][1]
        place = int(np.searchsorted(self.tape.lines, number))
        if place < len(self.tape.lines) and self.tape.lines[place] == number:
            return self.tape.line(place)
        return next(line for odd, line in self.odd if odd == number)

    @property
    def nbytes(self) -> int:
        """Memory in use, approximately."""
        if self.tape is not None:
            return self.tape.nbytes
        return self.lines_bytes + LINE_BYTES * self.row_count


class IdentifiedBlock(NamedTuple):
    """A block together with the identities of its rows, in their order."""

    block: ReadBlock
    identities: Identities


def read_block(
    block: bytes, kind: RowKind, *, small: int = constants.SMALL_BLOCK_BYTES
) -> ReadBlock:
    """Find the values in a block of rows.

    Args:
        block: from `framing.iter_row_blocks`.
        kind: of the rows.
        small: blocks of fewer bytes are kept as lines, and so are those of more than the compiled
            code takes, and all while it is being compiled.

    Raises:
        TruncatedError: a torn row is not whole.
    """
    if len(block) < small:
        return _keep_lines(block)
    if len(block) > constants.MAX_SCAN_BYTES or not compilation.is_ready():
        # torn rows of small blocks were joined before
        return _keep_lines(join_torn_rows(block, unreadable=block.split(b"\n")[:-1]))
    rows, tape = _scan(block, kind)
    # spelled with escapes in one row and without in another, a property has two keys on the tape
    if len({*tape.keys}) < len(tape.keys):
        return _keep_lines(rows)
    return ReadBlock(len(tape.lines) + len(tape.odd), len(block), tape, tape.odd)


def read_blocks(blocks: Iterable[bytes], kind: RowKind, *, workers: int = 1) -> Iterator[ReadBlock]:
    """Read blocks on as many threads as there are workers, and yield them in their order.

    Raises:
        TruncatedError: see `read_block`.
    """
    return map_ahead(partial(read_block, kind=kind), blocks, workers=workers)


@dataclass(frozen=True)
class BlockReader:
    """Reads blocks whose rows are not known yet: checks and identifies each row.

    Only lines that are not on a tape can be rejected: a plain row has the expected shape.
    """

    identifier: RowIdentifier
    """For the kind of the rows."""
    workers: int = 1
    """Threads used by `read_all`."""
    mask: Mask = NO_MASK
    """If it masks anything, keys of rows do not confirm a guess of their values."""
    digests_lines: bool = False
    """Whether to find `ReadBlock.digests`."""

    def read_all(self, blocks: Iterable[bytes]) -> Iterator[IdentifiedBlock]:
        """Read blocks on as many threads as there are workers, and yield them in their order.

        Raises:
            TruncatedError: see `read`.
        """
        return map_ahead(self.read, blocks, workers=self.workers)

    def read(self, block: bytes, *, small: int = constants.SMALL_BLOCK_BYTES) -> IdentifiedBlock:
        """Read a block, see `read_block`, and identify its rows; reject those of another shape.

        Raises:
            TruncatedError: a line is not whole JSON.
        """
        read = read_block(block, self.identifier.kind, small=small)
        identities = Identities.empty(read.row_count)
        for number, line in read.odd:
            identities.put(number, self._identify_line(line))
        if read.tape is not None:
            self._identify_tape(read.tape, identities)
        if self.mask:
            identities.keys[:] = self.mask.rekey(identities.keys)
        if self.digests_lines:
            read = replace(read, digests=_digest_lines(read))
        return IdentifiedBlock(read, identities)

    def _identify_tape(self, tape: Tape, identities: Identities) -> None:
        keys = self.identifier.of_tape(tape)
        identities.keys[tape.lines] = keys.keys
        identities.days[tape.lines] = keys.days
        identities.ranks[tape.lines] = keys.ranks
        for row in np.flatnonzero(~keys.known).tolist():
            identities.put(int(tape.lines[row]), self._identify_line(tape.line(row)))

    def _identify_line(self, line: bytes) -> Identity:
        if not is_too_deep(line):
            with suppress(ValueError):
                return self.identifier.of_line(line)
        return self.identifier.of_rejected(reject_line(line, self.identifier.kind).value)


def _digest_lines(block: ReadBlock) -> NDArray[np.uint8]:
    digests = np.empty((block.row_count, DIGEST_BYTES), np.uint8)
    for number, line in block.odd:
        digest = blake2b(line, digest_size=DIGEST_BYTES).digest()
        digests[number] = np.frombuffer(digest, np.uint8)
    if block.tape is not None:
        from .scan.line_digests import line_digests  # noqa: PLC0415 - as slow to load as the scanner

        digests[block.tape.lines] = line_digests(block.tape)
    return digests


def _keep_lines(block: bytes) -> ReadBlock:
    lines = [*enumerate(block.split(b"\n")[:-1])]
    return ReadBlock(len(lines), len(block), None, lines)


def _scan(block: bytes, kind: RowKind) -> tuple[bytes, Tape]:
    """The block with its torn rows joined, and its tape."""
    from .scan.tape import scan  # noqa: PLC0415 - takes half a second, which small blocks do without

    tape = scan(block, kind)
    joined = join_torn_rows(block, unreadable=[line for _, line in tape.odd])
    return joined, tape if joined is block else scan(joined, kind)
