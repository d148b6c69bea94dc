"""What a terminal shows of a job that is under way."""

from __future__ import annotations

import pytest

from mixpanel_source.cli.progress_view import Board
from mixpanel_source.cli.text import count, duration, grid

NOON = 1_795_262_400.0


class Watch:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        """Start at noon."""
        self.now = NOON

    def __call__(self) -> float:
        """Seconds since the epoch."""
        return self.now


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.4, "0 s"),
        (59, "59 s"),
        (60, "1 min"),
        (75, "1 min 15 s"),
        (3_600, "1 h"),
        (21_200, "5 h 53 min"),
        (129_600, "36 h"),
        (180_000, "2 days 2 h"),
    ],
)
def test_durations_have_two_units(seconds: float, text: str) -> None:
    """The two largest units, the smaller one left out where it is nothing."""
    assert duration(seconds) == text


def test_text_lines_up() -> None:
    """Columns are as wide as their widest cell, and one thing is no two things."""
    assert grid([["a", "bc", "d"], ["aaa", "b", ""]]) == "a    bc  d\naaa  b"
    assert (count(1, "day"), count(1_200, "day")) == ("1 day", "1,200 days")


def test_line_tells_how_far_a_table_is() -> None:
    """Days, rows, bytes, rate, the time that is left and what is under way are on the line."""
    watch = Watch()
    board = Board(watch, lambda _table, _requests: 0.0)
    board.days_planned("export", 4)
    board.request_sent("export", "2026-11-13")
    board.bytes_received("export", 1_500_000)
    watch.now += 10
    assert board.texts()[0][-1] == "fetching 2026-11-13, 1.5 MB"
    board.window_loaded("export", days=1, rows=2_000, size=3_000_000)
    assert board.texts() == [
        [
            "export",
            "1 of 4 days",
            "2,000 rows",
            "3.0 MB",
            "200 rows/s",
            "30 s left",
            "fetching 2026-11-13, 1.5 MB",
        ]
    ]
    board.package_loading("export")
    assert board.texts()[0][-1] == "loading"
    board.package_loaded("export")
    # the rest comes in the next load package
    board.days_planned("export", 3)
    assert board.texts()[0][1] == "1 of 4 days"


def test_time_left_is_not_less_than_the_quota_makes_it() -> None:
    """Sixty days in a minute do not mean that the next sixty take no longer."""
    asked: list[tuple[str, int]] = []

    def forecast(table: str, requests: int) -> float:
        asked.append((table, requests))
        return 7_200.0

    watch = Watch()
    board = Board(watch, forecast)
    board.days_planned("export", 180)
    watch.now += 60
    for _ in range(30):
        board.window_loaded("export", days=2, rows=100, size=1_000)
    assert board.texts()[0][5] == "2 h left"
    assert asked == [("export", 60)]


def test_waits_say_what_for_and_until_when() -> None:
    """A wait is on the line until it is over or the request is made."""
    watch = Watch()
    board = Board(watch, lambda _table, _requests: 0.0)
    board.request_sent("engage", "page 0")
    board.waiting("engage", NOON + 90, for_quota=True)
    assert board.texts()[0][-1].startswith("waits for the quota until ")
    assert board.texts()[0][-1].endswith("(1 min 30 s)")
    board.waiting("engage", NOON + 20, for_quota=False)
    assert board.texts()[0][-1].startswith("tries again at ")
    board.request_sent("engage", "page 0")
    assert board.texts()[0][-1] == "fetching page 0, 0.0 MB"
