"""The index of a window: duplicates against a plain reading of the rule, and parts of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mixpanel_source import constants
from mixpanel_source.decode.index.identity import KEY_BYTES, Identities, Identity
from mixpanel_source.decode.index.row_index import RowIndex
from mixpanel_source.decode.json_values import content_digest
from mixpanel_source.windows import Window

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


@pytest.mark.parametrize("rows_in_memory", [1_000_000, 7])
@given(rows=st.lists(identities, max_size=30), cut=st.integers(0, 30))
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_duplicates(
    rows: list[Identity], cut: int, rows_in_memory: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The row of greatest rank stays, of equal ranks the last; numbered rows get keys instead."""
    monkeypatch.setattr(constants, "INDEX_ROWS", rows_in_memory)
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


def test_big_index(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An index on disk and one joined of parts are the same as one in memory, and leave no file."""
    rng = np.random.default_rng(1)
    rows = Identities.empty(30_000)
    rows.keys[:] = rng.integers(0, 256, (20_000, KEY_BYTES), np.uint8)[
        rng.integers(0, 20_000, len(rows.days))
    ]
    # rows with one key are either all numbered or none
    rows.numbered[:] = rows.keys[:, 0] < 4
    rows.days[:] = 20_000 + rng.integers(0, 3, len(rows.days))
    rows.ranks[:] = np.where(rows.numbered, 0, rng.integers(0, 3, len(rows.days)))
    rows.rejected[::1_000] = True
    whole, on_disk, joined = RowIndex(), RowIndex(tmp_path), RowIndex(tmp_path)
    whole.extend(rows)
    monkeypatch.setattr(constants, "INDEX_ROWS", 4_000)
    part = RowIndex(tmp_path)
    for start in range(0, len(rows.days), 1_500):
        block = Identities._make(column[start : start + 1_500] for column in rows)
        on_disk.extend(block)
        part.extend(block)
        if start % 7_500 == 0:
            joined.join(part)
            part = RowIndex(tmp_path)
    joined.join(part)
    assert not [path for path in tmp_path.iterdir() if path.is_file()]
    day = EPOCH + timedelta(days=20_001)
    facts = []
    for index in (whole, on_disk, joined):
        index.resolve_duplicates()
    saved = RowIndex.restore(on_disk.save(tmp_path / "saved"))
    for index in (whole, on_disk, joined, saved):
        index.window = Window(day, day)
        positions, days = index.outside(index.window)
        facts.append(
            [
                index.dropped.tolist(),
                sorted(map(tuple, index.duplicates.tolist())),
                index.rejected.tolist(),
                index.is_rejected_of(index.window).tolist(),
                hex_keys(index, [*range(0, len(index), 7)]),
                index.first_words().tolist(),
                index.ranks(np.arange(0, len(index), 11)).tolist(),
                index.rows_by_day(),
                index.rows_by_day(index.present(), window=Window(day, day + timedelta(days=1))),
                index.greatest_ranks(),
                index.positions_of([day]).tolist(),
                (positions.tolist(), days.tolist()),
            ]
        )
    assert facts[0] == facts[1] == facts[2] == facts[3]
    assert len(whole.dropped) > 5_000
