"""Blocks of rows into identities and into typed arrays, keyed by property and JSON type.

Pure and stateless: a block goes in, an arrow table comes out, and nothing is remembered, so blocks
may be decoded on any thread and in any order. The table has one column for each property and JSON
type met in it, named `type:property`, and next to them the columns every row has. What becomes of
these columns in a destination is for `columns` to say.

The plain lines of a block go through a tape, compiled and about five times as fast; all others, and
small blocks, row by row. Both give the same.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
import pyarrow as pa

from . import settings
from .errors import TruncatedError
from .identity import Identify, Identity
from .kinds import JsonType, RowKind, Typed
from .lines import Repairs, content_digest, describe_bad_line, is_in_string, join_torn_rows
from .rows import Decoded, RowDecoder

if TYPE_CHECKING:
    from .tape import Tape



@dataclass(frozen=True)
class Decoder(RowDecoder):
    """Decodes blocks of rows of one kind."""

    def decode(
        self,
        block: bytes,
        *,
        start: int,
        dropped: Collection[int] = (),
        small: int = settings.SMALL_BLOCK_BYTES,
    ) -> Decoded:
        """Decode the rows `start`, `start` + 1, ... of a window.

        Args:
            block: as `lines.iter_row_blocks` gives it.
            start: position of the first row in its window.
            dropped: numbers of rows in the block, from 0, to leave out.
            small: blocks of fewer bytes are decoded row by row.
        """
        if len(block) < small:
            leave = frozenset(dropped)
            kept = (one for one in enumerate(_split(block)) if one[0] not in leave)
            return self._decode_rows(kept, start)
        tape = _scan(block, self.kind, dropped)
        plain = self._decode_tape(tape, start)
        if not tape.odd:
            return Decoded(plain, Repairs())
        odd, repairs = self._decode_rows(tape.odd, start)
        return Decoded(pa.concat_tables([plain, odd], promote_options="default"), repairs)

    def _decode_rows(self, rows: Iterable[tuple[int, bytes]], start: int) -> Decoded:
        return self.decode_lines((start + number, line) for number, line in rows)

    def _decode_tape(self, tape: Tape, start: int) -> pa.Table:
        from . import gather

        columns = {
            "name": gather.names(tape),
            "position": pa.array(np.add(tape.lines, start, dtype=np.int64)),
        }
        if self.digest:
            columns["digest"] = pa.array(_digests(tape), pa.string())
        if self.raw:
            columns["raw_properties"] = gather.raw_properties(tape)
        arrays = gather.typed_arrays(tape, self.only)
        return pa.table(columns | {typed.field: array for typed, array in arrays.items()})


def identify_block(
    block: bytes, identify: Identify, *, small: int = settings.SMALL_BLOCK_BYTES
) -> list[Identity]:
    """The identities of the rows of a block, in order.

    Args:
        block: as `lines.iter_row_blocks` gives it.
        identify: what the rows have to be.
        small: blocks of fewer bytes are read row by row.

    Raises:
        TruncatedError: at the first line that is no row of the kind `identify` knows.
    """
    if len(block) < small:
        return [_identify_line(line, identify) for line in _split(block)]
    tape = _scan(block, identify.kind, ())
    odd = {number: _identify_line(line, identify) for number, line in tape.odd}
    plain = _identify_tape(tape, identify)
    if not odd:
        return plain
    odd.update(zip(tape.lines.tolist(), plain, strict=True))
    return [odd[number] for number in range(len(odd))]


def _identify_tape(tape: Tape, identify: Identify) -> list[Identity]:
    from . import gather

    arrays = gather.typed_arrays(tape, identify.properties)
    values = (_python_values(arrays, name, len(tape.lines)) for name in identify.properties)
    return [*identify.of_values(gather.names(tape).to_pylist(), values, tape.line)]


def _identify_line(line: bytes, identify: Identify) -> Identity:
    try:
        return identify.of_line(line)
    except ValueError as error:
        raise TruncatedError(describe_bad_line(line)) from error


def _python_values(arrays: dict[Typed, pa.Array], name: str, rows: int) -> Sequence[Any]:
    """A property's values, of whatever type, as Python has them."""
    values: list[Any] = [None] * rows
    for kind in JsonType:
        array = arrays.get(Typed(name, kind))
        if array is None:
            continue
        found = array.to_pylist()
        if kind is JsonType.JSON:
            found = [None if text is None else orjson.loads(text) for text in found]
        if array.null_count == 0:
            return found
        values = [one if other is None else other for one, other in zip(values, found, strict=True)]
    return values


def _digests(tape: Tape) -> list[str]:
    from . import gather

    rows = zip(gather.names(tape).to_pylist(), gather.raw_properties(tape).to_pylist(), strict=True)
    return [content_digest([name, orjson.loads(properties)]).hex() for name, properties in rows]


def _scan(block: bytes, kind: RowKind, dropped: Collection[int]) -> Tape:
    """The tape of a block, its rows joined if they are torn apart after all."""
    from .tape import scan

    tape = scan(block, kind, dropped)
    if any(is_in_string(line) for _, line in tape.odd):
        tape = scan(join_torn_rows(block), kind, dropped)
    return tape


def _split(block: bytes) -> list[bytes]:
    return block.split(b"\n")[:-1]
