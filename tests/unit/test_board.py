"""What a terminal shows: the progress of a job, and durations, counts and results."""

from __future__ import annotations

import argparse

import pytest

from mixpanel_source.cli.options import parse_duration, parse_names
from mixpanel_source.cli.output import Column, print_table
from mixpanel_source.cli.progress_view import Board
from mixpanel_source.cli.text import count, duration
from mixpanel_source.errors import (
    CancelledError,
    MixpanelError,
    PausedError,
    ServerError,
    one_line,
)
from mixpanel_source.tables.package import TablePart

NOON = 1_795_262_400.0


class Watch:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        """Start at noon."""
        self.now = NOON

    def __call__(self) -> float:
        """Seconds since the epoch."""
        return self.now


def make_board(watch: Watch, *tables: str) -> Board:
    """A board whose requests take no time."""
    return Board(tables, now=watch, forecast=lambda _table, _requests: 0.0)


def states(board: Board) -> dict[str, str]:
    """Table -> the last cell of its line."""
    return {cells[0]: cells[-1] for cells in board.cells()}


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
    """The two largest units, the smaller one left out where it is zero."""
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("90", 90),
        ("90s", 90),
        ("0.5s", 0.5),
        ("30m", 1_800),
        ("1.5h", 5_400),
        ("6h", 21_600),
        (" 2d ", 172_800),
    ],
)
def test_durations_are_parsed(text: str, seconds: float) -> None:
    """A number of seconds, or a number with a unit."""
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "h", "6 h", "6H", "6hours", "1h30m", "-5", "1e3", "inf", "٣"])
def test_malformed_durations_name_the_valid_forms(text: str) -> None:
    """The error quotes the text and names each form."""
    with pytest.raises(argparse.ArgumentTypeError) as error:
        parse_duration(text)
    message = str(error.value)
    assert message.startswith(f"{text!r} is not a duration; ")
    assert all(form in message for form in ("90", "90s", "30m", "6h", "2d"))


def test_counts_and_lines() -> None:
    """Nouns follow their number; control characters are escaped, other characters kept."""
    assert (count(1, "day"), count(1_200, "day")) == ("1 day", "1,200 days")
    assert one_line("日本 [b]\n\x1b[31m") == "日本 [b]\\n\\x1b[31m"


COLUMNS = (
    Column("date"),
    Column("event"),
    Column("loaded", unit="row"),
    Column("difference", "difference {}", number_format="+,"),
    Column("note"),
)


def test_results_are_lines_off_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """Each row is one line with its units, whatever its texts contain; empty cells are left out."""
    rows = [("2026-11-20", "Sign\nup", 1, -1_000, "late"), ("2026-11-21", "Order", 2_000, 0, None)]
    print_table(COLUMNS, rows, names=2)
    assert capsys.readouterr().out.splitlines() == [
        "2026-11-20 Sign\\nup: 1 row, difference -1,000, late",
        "2026-11-21 Order: 2,000 rows, difference +0",
    ]
    print_table(COLUMNS, [])
    assert capsys.readouterr().out == ""


def test_results_are_aligned_on_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Columns have headers and line up, without markup; where they do not fit, lines are plain."""
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    # without colours, and 80 characters wide
    monkeypatch.setenv("TERM", "dumb")
    rows = [("2026-11-20", "[b]日本:x:", 1, -1_000, None), ("2026-11-21", "Order", 20, 0, "")]
    print_table(COLUMNS, rows, names=2)
    assert [line.rstrip() for line in capsys.readouterr().out.splitlines()] == [
        "date        event       loaded  difference",
        "2026-11-20  [b]日本:x:       1      -1,000",
        "2026-11-21  Order           20          +0",
    ]
    print_table(COLUMNS, [("2026-11-20", "x" * 60, 1, 1, None)], names=2)
    assert capsys.readouterr().out == f"2026-11-20 {'x' * 60}: 1 row, difference +1\n"


def test_line_shows_the_progress_of_a_table() -> None:
    """Days, rows, bytes, rate, the time that is left and what is in progress are on the line."""
    watch = Watch()
    board = make_board(watch, "export")
    assert board.cells() == [["export", "", "", "", "", "", "queued"]]
    board.days_planned("export", 4)
    board.request_sent("export", "2026-11-13")
    board.bytes_received("export", 1_500_000)
    watch.now += 10
    assert states(board) == {"export": "fetching 2026-11-13, 1.5 MB"}
    board.window_loaded("export", days=1, rows=2_000, size=3_000_000)
    assert board.cells() == [
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
    assert states(board) == {"export": "loading"}
    board.package_loaded("export")
    # the rest comes in the next load package
    board.days_planned("export", 3)
    assert board.cells()[0][1] == "1 of 4 days"


def test_selected_tables_end_as_done() -> None:
    """A table with others beside it has one line, which ends as done."""
    board = make_board(Watch(), "annotations", "engage")
    for detail in ("", "annotation_tags"):
        board.request_sent("annotations", detail)
        board.bytes_received("annotations", 100)
        board.window_loaded("annotations", days=1, rows=2, size=100)
    board.package_loading("annotations")
    assert states(board) == {"annotations": "loading", "engage": "queued"}
    board.package_loaded("annotations")
    assert states(board) == {"annotations": "done", "engage": "queued"}
    board.package_loaded("engage")
    board.job_ended({})
    assert states(board) == {"annotations": "done", "engage": "done"}


def test_tables_that_are_not_done_say_why() -> None:
    """At the end a table has failed, in full or in parts, is paused or cancelled."""
    board = make_board(Watch(), "export", "engage", "cohorts", "groups", "lexicon")
    for table in ("export", "engage", "cohorts", "groups"):
        board.request_sent(table, "")
    board.package_loaded("groups")
    failures: dict[TablePart, MixpanelError] = {
        TablePart("export"): PausedError("later"),
        TablePart("engage"): CancelledError("Cancelled."),
        TablePart("cohorts"): ServerError("no"),
        TablePart("groups", "1"): ServerError("no"),
        TablePart("groups", "2"): ServerError("no"),
    }
    board.job_ended(failures)
    assert states(board) == {
        "export": "paused",
        "engage": "cancelled",
        "cohorts": "failed",
        "groups": "done, but 2 parts failed",
        "lexicon": "queued",
    }


def test_time_left_is_not_less_than_the_quota_makes_it() -> None:
    """Sixty days in a minute do not mean that the next sixty take no longer."""
    estimates: list[tuple[str, int]] = []

    def forecast(table: str, requests: int) -> float:
        estimates.append((table, requests))
        return 7_200.0

    watch = Watch()
    board = Board(["export"], now=watch, forecast=forecast)
    board.days_planned("export", 180)
    watch.now += 60
    for _ in range(30):
        board.window_loaded("export", days=2, rows=100, size=1_000)
    assert board.cells()[0][5] == "2 h left"
    assert estimates == [("export", 60)]


def test_waits_show_their_reason_and_their_end() -> None:
    """A wait is on the line until it is over or the request is made."""
    watch = Watch()
    board = make_board(watch, "engage")
    board.request_sent("engage", "page 0")
    board.waiting("engage", NOON + 90, for_quota=True)
    assert states(board)["engage"].startswith("waiting for the quota until ")
    assert states(board)["engage"].endswith("(1 min 30 s)")
    board.waiting("engage", NOON + 20, for_quota=False)
    assert states(board)["engage"].startswith("retrying at ")
    board.request_sent("engage", "page 0")
    assert states(board)["engage"] == "fetching page 0, 0.0 MB"


@pytest.mark.parametrize(
    "text",
    [
        "export,engage",
        " export , ,engage,",
        '["export", "engage"]',
        '["export", "", "engage"]',
    ],
)
def test_names_are_parsed(text: str) -> None:
    """Names of tables have commas between them, or are JSON."""
    assert parse_names(text) == ["export", "engage"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[export]", "is not valid JSON"),
        ("['export']", "names in double quotes"),
        ('"export","engage"', "is not valid JSON"),
        ('{"export": true}', "is a JSON object"),
        ("[1]", "is not a list of names"),
    ],
)
def test_malformed_names(text: str, words: str) -> None:
    """Text that begins like JSON is a list of names, or refused."""
    with pytest.raises(argparse.ArgumentTypeError, match=words):
        parse_names(text)
