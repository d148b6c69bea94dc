"""Blocks of rows into identities and into typed arrays, keyed by property and JSON type.

Pure and stateless: a block goes in, an arrow table comes out, and nothing is remembered, so blocks
may be decoded on any thread and in any order. In a big block the rows of one name come together.
The table has one column for each property and JSON
type met in it, named `type:property`, and next to them the columns every row has. What becomes of
these columns in a destination is for `columns` to say.

The plain lines of a block go through a tape, compiled and about five times as fast; all others, and
small blocks, row by row. Both give the same.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import orjson
import pyarrow as pa

from .. import constants
from ..errors import TruncatedError
from .framing import describe_bad_line, join_torn_rows
from .identity import Identify, Identities, Identity
from .json_values import Repairs, content_digest
from .parallel import map_ahead
from .rows import Decoded, RowDecoder

if TYPE_CHECKING:
    from .scan.gather import ByName
    from .scan.tape import Tape


@dataclass(frozen=True)
class Read:
    """A block that was read: what its rows are, and where their values are."""

    rows: int
    size: int
    """Bytes of its lines."""
    identities: Identities | None
    """Of the rows in order, if they were asked for."""
    tape: Tape | None
    """None for a small block."""
    odd: list[tuple[int, bytes]]
    """Number and bytes of the rows that are not on the tape."""

    @property
    def nbytes(self) -> int:
        """Memory it takes, about."""
        return self.tape.nbytes if self.tape else self.size


@dataclass(frozen=True)
class Decoder(RowDecoder):
    """Decodes blocks of rows of one kind."""

    identify: Identify | None = None
    """What the rows have to be; None if that is known."""
    workers: int = 1
    """Threads for `read_all`."""

    def read_all(self, blocks: Iterable[bytes]) -> Iterator[Read]:
        """Read blocks, on as many threads as there are workers; in their order.

        Raises:
            TruncatedError: see `read`.
        """
        return map_ahead(self.read, blocks, workers=self.workers)

    def read(self, block: bytes, *, small: int = constants.SMALL_BLOCK_BYTES) -> Read:
        """Read a block.

        Args:
            block: as `lines.iter_row_blocks` gives it.
            small: blocks of fewer bytes are left to be decoded row by row.

        Raises:
            TruncatedError: at the first line that is no row of the kind `identify` knows.
        """
        rows_text, tape = (block, None) if len(block) < small else self._scan(block)
        # a name spelt in two ways, with and without escapes, would be two properties on the tape
        if tape is None or len({*tape.keys}) < len(tape.keys):
            lines = [*enumerate(rows_text.split(b"\n")[:-1])]
            return Read(len(lines), len(block), self._identify(len(lines), lines), None, lines)
        rows = len(tape.lines) + len(tape.odd)
        return Read(rows, len(block), self._identify(rows, tape.odd, tape), tape, tape.odd)

    def decode(self, read: Read, *, start: int, dropped: Collection[int] = ()) -> Decoded:
        """Decode the rows of a block.

        Args:
            read: the block, from `read`.
            start: position of its first row in the window.
            dropped: numbers of rows in the block, from 0, to leave out.
        """
        left_out = frozenset(dropped)
        odd = ((start + number, line) for number, line in read.odd if number not in left_out)
        if read.tape is None:
            return self.decode_lines(odd)
        plain = self._decode_tape(read.tape, start, left_out)
        if not read.odd:
            return Decoded(plain, Repairs())
        others, repairs = self.decode_lines(odd)
        return Decoded(pa.concat_tables([plain, others], promote_options="default"), repairs)

    def _identify(
        self, rows: int, odd: list[tuple[int, bytes]], tape: Tape | None = None
    ) -> Identities | None:
        """The identities of the rows of a block, in order."""
        if self.identify is None:
            return None
        identities = Identities.empty(rows)
        for number, line in odd:
            identities.put(number, _identify_line(line, self.identify))
        if tape is not None:
            keys = self.identify.of_tape(tape)
            identities.keys[tape.lines] = keys.keys
            identities.days[tape.lines] = keys.days
            identities.ranks[tape.lines] = keys.ranks
            for row in np.flatnonzero(~keys.known).tolist():
                identity = _identify_line(tape.line(row), self.identify)
                identities.put(int(tape.lines[row]), identity)
        return identities

    def _scan(self, block: bytes) -> tuple[bytes, Tape]:
        """A block with its torn rows joined, and its tape."""
        from .scan.tape import scan  # noqa: PLC0415 - half a second, which small blocks do without

        tape = scan(block, self.kind)
        joined = join_torn_rows(block, unreadable=[line for _, line in tape.odd])
        return joined, tape if joined is block else scan(joined, self.kind)

    def _decode_tape(self, tape: Tape, start: int, dropped: Collection[int]) -> pa.Table:
        from .scan.gather import ByName  # noqa: PLC0415

        rows = ByName(tape, dropped)
        positions = np.add(rows.lines, start, dtype=np.int64)
        columns = {"name": rows.names, "position": pa.array(positions)}
        if self.digest:
            columns["digest"] = pa.array(_digests(rows), pa.string())
        if self.raw:
            columns["raw_properties"] = rows.raw_properties()
        arrays = rows.typed_arrays(self.only)
        return pa.table(columns | {typed.field: array for typed, array in arrays.items()})


def _identify_line(line: bytes, identify: Identify) -> Identity:
    try:
        return identify.of_line(line)
    except ValueError as error:
        raise TruncatedError(describe_bad_line(line)) from error


def _digests(rows: ByName) -> list[str]:
    texts = rows.raw_properties().to_pylist()
    named = zip(rows.names.to_pylist(), texts, strict=True)
    return [content_digest([name, orjson.loads(text)]).hex() for name, text in named]
