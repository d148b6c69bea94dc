"""How many rows DuckLake inserts at a time."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from mixpanel_source.destinations.ducklake.jobs import group_days, row_group_rows

FIRST = date(2026, 11, 1)


@given(counts=st.lists(st.integers(1, 50), max_size=30), rows_max=st.integers(1, 100))
def test_days_are_inserted_once_and_few_at_a_time(counts: list[int], rows_max: int) -> None:
    """Ranges cover each day once; one of several days is within the limit, and no more fits in."""
    days = [(FIRST + timedelta(days=2 * number), rows) for number, rows in enumerate(counts)]
    ranges = [*group_days(days, rows_max=rows_max)]
    parts = [[rows for day, rows in days if first <= day <= last] for first, last in ranges]
    assert [rows for part in parts for rows in part] == counts
    assert all(len(part) == 1 or sum(part) <= rows_max for part in parts)
    following = pairwise(parts)
    assert all(sum(part) + after[0] > rows_max for part, after in following)


@given(columns=st.integers(1, 2_000))
def test_row_groups_of_wide_tables_are_small(columns: int) -> None:
    """A row group has as many rows as DuckDB handles at a time, or a multiple of them."""
    rows = row_group_rows(columns)
    assert rows % 2_048 == 0
    assert 2_048 <= rows <= 122_880
    assert rows == 2_048 or rows * columns <= 2_500_000
