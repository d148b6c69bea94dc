"""Blocks of rows into arrow arrays, keyed by property and JSON type.

Pure and stateless: nothing is remembered between blocks, so they may be decoded on any thread and
in any order. Which columns the arrays go to is decided by `columns`.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import orjson
import pyarrow as pa

from .blocks import ReadBlock
from .decoded import ALL_PROPERTIES, Decoded, Selection, concat
from .forgotten import NOBODY, PERSON_PROPERTIES, ForgottenIds, without_forgotten
from .json_values import content_digest
from .masking import NO_MASK, Mask
from .rows import RowDecoder
from .value_types import RowKind

if TYPE_CHECKING:
    from .scan.gather import GroupedRows
    from .scan.tape import Tape


@dataclass(frozen=True)
class BlockDecoder:
    """Decodes blocks of rows of one kind."""

    kind: RowKind
    selection: Selection = ALL_PROPERTIES
    workers: int = 1
    """Threads to decode on; for the caller, who has the blocks."""
    forgotten: ForgottenIds = NOBODY
    """Persons whose rows are left out."""
    mask: Mask = NO_MASK
    """What is masked in the rows that are left."""

    def decode(self, block: ReadBlock, *, start: int, dropped: Collection[int] = ()) -> Decoded:
        """Decode the rows of a block; those of one name come together.

        Args:
            block: rows of this kind.
            start: position of the first row in its window.
            dropped: numbers of rows in the block, from 0, to leave out.
        """
        return self.mask.apply(self._decode_known(block, start, dropped), self.kind)

    def _decode_known(self, block: ReadBlock, start: int, dropped: Collection[int]) -> Decoded:
        only = self.selection.only
        if not self.forgotten:
            return self._decode(block, start, dropped, self.selection)
        if only is None:
            decoded = self._decode(block, start, dropped, self.selection)
            return without_forgotten(decoded, self.kind, self.forgotten)
        selection = replace(self.selection, only=(*{*only, *PERSON_PROPERTIES},))
        decoded = self._decode(block, start, dropped, selection)
        return without_forgotten(decoded, self.kind, self.forgotten).with_properties(only)

    def _decode(
        self, block: ReadBlock, start: int, dropped: Collection[int], selection: Selection
    ) -> Decoded:
        left_out = frozenset(dropped)
        odd = ((start + number, line) for number, line in block.odd if number not in left_out)
        by_row = RowDecoder(self.kind, selection)
        if block.tape is None:
            return by_row.decode_lines(odd)
        plain = self._decode_tape(block.tape, start, left_out, selection)
        return concat([plain, by_row.decode_lines(odd)]) if block.odd else plain

    def _decode_tape(
        self, tape: Tape, start: int, dropped: Collection[int], selection: Selection
    ) -> Decoded:
        from .scan.gather import GroupedRows  # noqa: PLC0415 - as slow to load as the scanner

        rows = GroupedRows(tape, dropped)
        return Decoded(
            rows.names,
            pa.array(np.add(rows.lines, start, dtype=np.int64)),
            rows.typed_arrays(selection.only),
            pa.array(_digests(rows), pa.string()) if selection.digest else None,
            rows.raw_properties() if selection.raw else None,
        )


def _digests(rows: GroupedRows) -> list[str]:
    texts = rows.raw_properties().to_pylist()
    named = zip(rows.names.to_pylist(), texts, strict=True)
    return [content_digest([name, orjson.loads(text)]).hex() for name, text in named]
