"""Compares this project with raw DuckDB and with other tools, on generated data of any size.

`python -m benchmarks` generates the data, serves it, runs the contenders in turn several times and
writes a table. Run it on an otherwise idle machine.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Iterator
from dataclasses import asdict
from datetime import date
from importlib.metadata import version
from pathlib import Path

import psutil

from .contenders import LIMIT, LIMIT_WINDOW, OURS, PLAIN_DLT, Contender, plan_rounds
from .data import last_day_of_last_month
from .peers import PEERS
from .plot import draw
from .records import Figures, Record, summarize
from .report import LIMIT_NAME, notes, put_between_marks, table
from .suite import Workspace, install_all, open_workspace, run_round

OURS_FIRST = ("us-duckdb-2", "us-duckdb-1", "us-postgres-2", "us-postgres-1")
"""The first of these that runs is the reference for times."""
PACKAGES = ("dlt", "duckdb", "pyarrow", "msgspec", "orjson")
HERE = Path(__file__).parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "mixpanel-source-bench"


def main() -> None:
    """Run the selected contenders and write the results."""
    options = _parse()
    contenders = (LIMIT, LIMIT_WINDOW, *OURS, PLAIN_DLT, *PEERS)
    available = {contender.name: contender for contender in contenders}
    chosen = _choose(available, options.contenders)
    reasons = install_all(chosen, options.cache / "tools")
    chosen = [contender for contender in chosen if contender.name not in reasons]
    options.results.mkdir(parents=True, exist_ok=True)
    stem = options.results / options.name
    records: list[Record] = []
    with open_workspace(options.cache, options.last_day, chosen) as workspace:
        for record in _run(workspace, chosen, options.sizes or [options.events], runs=options.runs):
            records.append(record)
            # written after each run, so that an interrupted benchmark keeps its results
            rows = [asdict(done) for done in records]
            stem.with_suffix(".json").write_text(json.dumps(rows, indent=1) + "\n")
    figures = summarize(records)
    text = _describe(figures, available, chosen, reasons)
    if options.sizes:
        names = [
            contender.name
            for contender in chosen
            if contender.max_events is None and not contender.profiles
        ]
        draw(figures, names, stem.with_suffix(".svg"))
        text += f"\n\n![seconds and memory against events](results/{options.name}.svg)"
    stem.with_suffix(".md").write_text(text.replace("(results/", "(") + "\n")
    print(text)
    if options.publish:
        readme = HERE / "README.md"
        readme.write_text(put_between_marks(readme.read_text(), options.name, text))


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000, help="(default: %(default)s)")
    parser.add_argument(
        "--sizes", type=_numbers, help="numbers of events, separated by commas; draws a plot"
    )
    parser.add_argument(
        "--runs", type=int, default=5, help="runs per contender (default: %(default)s)"
    )
    parser.add_argument(
        "--contenders", help="names or prefixes, separated by commas (default: all)"
    )
    parser.add_argument("--cache", type=Path, default=CACHE, help="(default: %(default)s)")
    parser.add_argument("--results", type=Path, default=HERE / "results")
    parser.add_argument(
        "--name", default="latest", help="of the result files (default: %(default)s)"
    )
    parser.add_argument("--last-day", type=date.fromisoformat, default=last_day_of_last_month())
    parser.add_argument(
        "--publish",
        action="store_true",
        help="write the table to the README, between the marks of that name",
    )
    return parser.parse_args()


def _numbers(text: str) -> list[int]:
    return sorted(int(number) for number in text.split(","))


def _choose(available: dict[str, Contender], selection: str | None) -> list[Contender]:
    """Return contenders in the selected order; a prefix selects all names that start with it."""
    chosen: dict[str, Contender] = {}
    for prefix in selection.split(",") if selection else [""]:
        names = [prefix] if prefix in available else [n for n in available if n.startswith(prefix)]
        if not names:
            sys.exit(f"unknown contender {prefix}; available are {', '.join(available)}")
        chosen |= {name: available[name] for name in names}
    return list(chosen.values())


def _run(
    workspace: Workspace, chosen: list[Contender], sizes: list[int], *, runs: int
) -> Iterator[Record]:
    for size, group in plan_rounds(chosen, sizes).items():
        for record in run_round(workspace, group, size, runs=runs):
            state = "correct" if record.correct else f"WRONG: {record.rows} rows, {record.stderr}"
            print(
                f"{record.contender:24} {record.events:>9,} {record.seconds:8.2f} s "
                f"{record.peak_bytes / 1e6:7,.0f} MB  {state}",
                file=sys.stderr,
                flush=True,
            )
            yield record


def _describe(
    figures: list[Figures],
    available: dict[str, Contender],
    chosen: list[Contender],
    reasons: dict[str, str],
) -> str:
    present = {row.contender for row in figures if row.runs}
    ours = next((name for name in OURS_FIRST if name in present), LIMIT_NAME)
    parts = [_machine(), f"*Time to ours* is the time relative to `{ours}`."]
    for size in sorted({row.events for row in figures}):
        runs = max(row.runs for row in figures if row.events == size)
        parts.append(f"**{size:,} events, median of {runs} runs**")
        parts.append(table(figures, available, ours=ours, size=size))
    return "\n\n".join([*parts, notes(chosen, reasons)])


def _machine() -> str:
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    memory = psutil.virtual_memory().total / 2**30
    return (
        f"{date.today().isoformat()}: {os.cpu_count()} cores, {memory:.0f} GiB, "  # noqa: DTZ011
        f"{platform.system()}, Python {platform.python_version()}, {packages}."
    )


if __name__ == "__main__":
    main()
