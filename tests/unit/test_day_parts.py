"""Parts of a day: each event is in exactly one of them, whatever its time is."""

from __future__ import annotations

import itertools
from datetime import date

import pytest

from mixpanel_sandbox.endpoints.expressions import compile_condition
from mixpanel_source.tables.events.day_parts import MAX_DEPTH, DayPart, DaySplitter

DAY = date(2026, 11, 20)
MIDNIGHT = 1_795_132_800
TIMES: list[object] = [
    *(MIDNIGHT + second for second in (-86_400, -1, 0, 1, 21_599, 21_600, 43_200, 86_399, 86_400)),
    *(MIDNIGHT + 675 * number + 0.5 for number in range(128)),
    MIDNIGHT * 1_000,
    None,
    True,
    "2026-11-20T06:00:00",
    "noon",
    [],
    {},
]


def leaves(part: DayPart, depth: int) -> list[DayPart]:
    """The parts of that depth."""
    parts = [part]
    for _ in range(depth):
        parts = [half for part in parts for half in part.halves]
    return parts


def cut_unevenly() -> list[DayPart]:
    """Parts of several depths, as failures leave them."""
    first, second = DayPart(DAY).halves
    third, fourth = second.halves
    return [*leaves(first, MAX_DEPTH - 1), third, *fourth.halves]


@pytest.mark.parametrize(
    "parts",
    [*(leaves(DayPart(DAY), depth) for depth in (0, 1, 3, MAX_DEPTH)), cut_unevenly()],
    ids=["1", "2", "8", "128", "uneven"],
)
def test_each_event_is_in_one_part(parts: list[DayPart]) -> None:
    """Also events without a time, with a time of another day, or with one that is no number."""
    conditions = [compile_condition(part.condition or "true") for part in parts]
    rows: list[dict[str, object]] = [{"time": time} for time in TIMES]
    for row in [*rows, {}]:
        assert sum(condition(row) for condition in conditions) == 1, row


def test_neighbours_share_a_condition() -> None:
    """So whatever Mixpanel takes a moment for, one part has what the next one has not."""
    for depth in range(1, MAX_DEPTH + 1):
        parts = leaves(DayPart(DAY), depth)
        assert len({*parts, *(part.key for part in parts)}) == 2 * len(parts)
        for part, following in itertools.pairwise(parts):
            end = part.condition.rpartition("not (")[2].removesuffix(")")
            assert following.condition.startswith(end)
        assert " and " not in parts[0].condition
        assert "not" not in parts[-1].condition
    assert not DayPart(DAY, MAX_DEPTH, 5).halves


def test_names_for_people() -> None:
    """A part says from when to when it is."""
    assert str(DayPart(DAY)) == ""
    assert str(DayPart(DAY, 2, 1)) == "06:00:00 to 11:59:59"
    assert str(DayPart(DAY, MAX_DEPTH, 127)) == "23:48:45 to 23:59:59"


def test_splitter_expects_days_as_before() -> None:
    """It cuts before a request once a day had too many events, and gives up cutting slowly."""
    splitter = DaySplitter(1_000)
    depths = []
    for rows in (1_000, 1_001, 7_000, 90, 90, 90, 90, 10**9):
        splitter.note(rows)
        depths.append(splitter.depth)
    assert depths == [0, 1, 3, 2, 1, 0, 0, MAX_DEPTH]


def test_splitter_learns_what_arrives() -> None:
    """Days are cut so that parts are no larger than those that came whole."""
    splitter = DaySplitter(1_000)
    splitter.note(900)
    splitter.note_split(250)
    assert splitter.depth == 2
