"""Summaries, tables and rounds of the benchmarks."""

from __future__ import annotations

import pytest

from benchmarks.contenders import Contender, Plan, Setup, plan_rounds
from benchmarks.records import Record, summarize
from benchmarks.report import marks, put_between_marks, ratio, table


def contend(name: str, *, max_events: int | None = None) -> Contender:
    """Return a contender that is never run."""

    def plan(setup: Setup) -> Plan:
        raise AssertionError(setup)

    return Contender(name, "nothing", plan, max_events=max_events)


def record(contender: str, seconds: float, *, run: int = 1, rows: int = 1000) -> Record:
    """Return a run on 1,000 events, failed if there are no rows."""
    return Record(contender, 1000, run, seconds, seconds, 10**6, rows, 1000, int(not rows), "no")


def test_figures_are_of_successful_runs() -> None:
    """A failed run is in no median, but in the remark."""
    runs = [("limit", 2.0, 1000), ("limit", 4.0, 1000), ("limit", 9.0, 1000), ("limit", 0.1, 0)]
    (figures,) = summarize(record(name, took, rows=rows) for name, took, rows in runs)
    assert (figures.seconds, figures.fastest, figures.slowest) == (4.0, 2.0, 9.0)
    assert figures.speed == 250
    assert (figures.runs, figures.correct, figures.remark) == (3, False, "failed (1): no")


def test_contender_without_successful_runs_is_last() -> None:
    """Its figures are empty."""
    figures = summarize([record("broken", 0.1, rows=0), record("limit", 5.0)])
    assert [row.contender for row in figures] == ["limit", "broken"]
    text = table(figures, {name: contend(name) for name in ("limit", "broken")}, ours="", size=1000)
    assert text.splitlines()[-1] == "| broken | nothing |  |  |  |  |  |  |  | failed (1): no |"


def test_speed_is_relative_to_the_limit_and_time_to_ours() -> None:
    """Twice the time of the limit is half its speed; three times ours is 3.00."""
    figures = summarize([record("limit", 1.0), record("ours", 2.0), record("peer", 6.0)])
    names = {name: contend(name) for name in ("limit", "ours", "peer")}
    lines = table(figures, names, ours="ours", size=1000).splitlines()[2:]
    cells = [[cell.strip() for cell in line.split("|")[4:7]] for line in lines]
    assert cells == [["1,000", "1.00", "0.50"], ["500", "0.50", "1.00"], ["167", "0.17", "3.00"]]


def test_missing_rows_are_reported() -> None:
    """A successful run with the wrong number of rows is not correct."""
    (figures,) = summarize([record("ours", 1.0, rows=999)])
    assert figures.remark == "999 instead of 1,000"


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [(1, 3, "0.33"), (9.994, 1, "9.99"), (120.4, 1, "120"), (1, None, ""), (0, 1, "")],
)
def test_ratio(part: float, whole: float | None, text: str) -> None:
    """Small ratios have two decimals, large ones none."""
    assert ratio(part, whole) == text


def test_text_between_marks_is_replaced() -> None:
    """The surrounding text is unchanged, and replacing is idempotent."""
    begin, end = marks("quick")
    once = put_between_marks(f"before\n{begin}\nold\n{end}\nafter\n", "quick", "new\n")
    assert once == f"before\n{begin}\n\nnew\n\n{end}\nafter\n"
    assert put_between_marks(once, "quick", "new") == once
    with pytest.raises(ValueError, match="slow: begin"):
        put_between_marks(once, "slow", "new")


def test_limited_contender_is_run_with_unlimited_ones() -> None:
    """It is run on a single size, whatever the number of sizes."""
    fast, slow = contend("fast"), contend("slow", max_events=50)
    assert plan_rounds([fast, slow], [100]) == {50: [fast, slow], 100: [fast]}
    assert plan_rounds([fast, slow], [10, 20]) == {10: [fast], 20: [fast, slow]}
