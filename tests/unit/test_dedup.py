"""The index of a window: duplicates against a plain reading of the rule, and parts of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import date, timedelta

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixpanel_source.decode.index.identity import KEY_BYTES, Identities, Identity
from mixpanel_source.decode.index.row_index import RowIndex
from mixpanel_source.decode.json_values import content_digest

EPOCH = date(1970, 1, 1)


def make_key(first: int, second: int) -> bytes:
    """A key of two numbers, one in each of its words."""
    return first.to_bytes(8, "little") + second.to_bytes(8, "little")


def make_index(*blocks: Sequence[Identity]) -> RowIndex:
    """The index of rows that came in several blocks."""
    index = RowIndex()
    for rows in blocks:
        identities = Identities.empty(len(rows))
        for number, row in enumerate(rows):
            identities.put(number, row)
        index.extend(identities)
    index.resolve_duplicates()
    return index


def hex_keys(index: RowIndex, positions: Sequence[int]) -> list[str]:
    """The keys of rows, as text."""
    found: list[str] = index.hex_keys(pa.array(positions, pa.int64())).to_pylist()
    return found


words = st.sampled_from([0, 1, 2**63, 2**64 - 1])
# rows with one key are either all numbered or none: the key of a row without an id is its content
identities = st.builds(
    lambda first, second, day, rank: Identity(
        make_key(first, second), second == 1, day, rank if second != 1 else 0
    ),
    words,
    words,
    st.integers(-(2**31), 2**31 - 1),
    st.integers(0, 3) | st.just(2**63 - 1),
)


@given(st.lists(identities, max_size=30), st.integers(0, 30))
def test_duplicates(rows: list[Identity], cut: int) -> None:
    """The row of greatest rank stays, of equal ranks the last; numbered rows get keys instead."""
    index = make_index(rows[:cut], rows[cut:])
    positions = defaultdict(list)
    for position, row in enumerate(rows):
        positions[row.key].append(position)
    dropped: set[int] = set()
    pairs: set[tuple[int, int]] = set()
    keys: dict[int, bytes] = {}
    for key, same in positions.items():
        if rows[same[0]].numbered:
            numbered = [key, *(content_digest([key.hex(), n]) for n in range(1, len(same)))]
            keys |= dict(zip(same, numbered, strict=True))
        else:
            kept = max(same, key=lambda position: (rows[position].rank, position))
            dropped |= {*same} - {kept}
            pairs |= {(position, kept) for position in same if position != kept}
            keys[kept] = key
    assert index.dropped.tolist() == sorted(dropped)
    assert {(*pair,) for pair in index.duplicates.tolist()} == pairs
    assert hex_keys(index, [*keys]) == [key.hex() for key in keys.values()]
    assert index.dropped_between(5, 15).tolist() == sorted(p - 5 for p in dropped if 5 <= p < 15)


@given(st.lists(identities, max_size=20))
def test_greatest_rank_of_each_day(rows: list[Identity]) -> None:
    """The newest row of each day counts."""
    greatest: dict[int, int] = {}
    for row in rows:
        greatest[row.day] = max(row.rank, greatest.get(row.day, 0))
    assert make_index(rows).greatest_ranks() == greatest


@pytest.mark.parametrize("count", [50, 1, 0])
def test_parts(count: int) -> None:
    """Keys and dates come for the positions requested, in that order, also for none of them."""
    rows = [Identity(make_key(n, n), False, 20_000 + n % 2, 0) for n in range(count)]
    index = make_index(rows)
    assert len(index) == count
    some = [*range(count - 1, -1, -3)]
    assert hex_keys(index, some) == [rows[position].key.hex() for position in some]
    assert all(len(key) == 2 * KEY_BYTES for key in hex_keys(index, some))
    assert index.date_array(pa.array(some, pa.int64())).to_pylist() == [
        EPOCH + timedelta(days=20_000 + position % 2) for position in some
    ]
    assert hex_keys(index, []) == []
