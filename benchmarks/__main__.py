"""Compares this project with the limit and with others, on made-up data of any size.

`python -m benchmarks` makes the data, serves it, runs the contenders in turn several times and
writes a table. Run it on a machine that does nothing else.
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
from .suite import Place, install_all, open_place, run_round

OURS_FIRST = ("us-duckdb-2", "us-duckdb-1", "us-postgres-2", "us-postgres-1")
"""Whose time the others' is set against: the first of these that runs."""
PACKAGES = ("dlt", "duckdb", "pyarrow", "msgspec", "orjson")
HERE = Path(__file__).parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "mixpanel-source-bench"


def main() -> None:
    """Run what is asked for and write what came of it."""
    options = _parse()
    everyone_there_is = (LIMIT, LIMIT_WINDOW, *OURS, PLAIN_DLT, *PEERS)
    everyone = {contender.name: contender for contender in everyone_there_is}
    chosen = _choose(everyone, options.contenders)
    reasons = install_all(chosen, options.cache / "tools")
    chosen = [contender for contender in chosen if contender.name not in reasons]
    options.results.mkdir(parents=True, exist_ok=True)
    stem = options.results / options.name
    records: list[Record] = []
    with open_place(options.cache, options.last_day, chosen) as place:
        for record in _run(place, chosen, options.sizes or [options.events], runs=options.runs):
            records.append(record)
            # a long run that is broken off leaves what it has
            rows = [asdict(one) for one in records]
            stem.with_suffix(".json").write_text(json.dumps(rows, indent=1) + "\n")
    figures = summarize(records)
    text = _describe(figures, everyone, chosen, reasons)
    if options.sizes:
        names = [one.name for one in chosen if one.max_events is None and not one.profiles]
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
    parser.add_argument("--sizes", type=_numbers, help="several numbers of events; draws a plot")
    parser.add_argument("--runs", type=int, default=5, help="of each (default: %(default)s)")
    parser.add_argument("--contenders", help="names, or beginnings of names (default: all)")
    parser.add_argument("--cache", type=Path, default=CACHE, help="(default: %(default)s)")
    parser.add_argument("--results", type=Path, default=HERE / "results")
    parser.add_argument("--name", default="latest", help="of the files of results")
    parser.add_argument("--last-day", type=date.fromisoformat, default=last_day_of_last_month())
    parser.add_argument(
        "--publish",
        action="store_true",
        help="put the table in the README, between marks of that name",
    )
    return parser.parse_args()


def _numbers(text: str) -> list[int]:
    return sorted(int(number) for number in text.split(","))


def _choose(everyone: dict[str, Contender], asked: str | None) -> list[Contender]:
    """Contenders in the order they are asked for; a beginning stands for all names with it."""
    chosen: dict[str, Contender] = {}
    for start in asked.split(",") if asked else [""]:
        found = [start] if start in everyone else [n for n in everyone if n.startswith(start)]
        if not found:
            sys.exit(f"there is no contender {start}; there are {', '.join(everyone)}")
        chosen |= {name: everyone[name] for name in found}
    return list(chosen.values())


def _run(place: Place, chosen: list[Contender], sizes: list[int], *, runs: int) -> Iterator[Record]:
    for size, group in plan_rounds(chosen, sizes).items():
        for record in run_round(place, group, size, runs=runs):
            state = "right" if record.right else f"WRONG: {record.rows} rows, {record.said}"
            print(
                f"{record.contender:24} {record.events:>9,} {record.seconds:8.2f} s "
                f"{record.peak_bytes / 1e6:7,.0f} MB  {state}",
                file=sys.stderr,
                flush=True,
            )
            yield record


def _describe(
    figures: list[Figures],
    everyone: dict[str, Contender],
    chosen: list[Contender],
    reasons: dict[str, str],
) -> str:
    present = {own.contender for own in figures if own.runs}
    ours = next((name for name in OURS_FIRST if name in present), LIMIT_NAME)
    parts = [_machine(), f"*Time to ours* is the time set against that of `{ours}`."]
    for size in sorted({own.events for own in figures}):
        runs = max(own.runs for own in figures if own.events == size)
        parts.append(f"**{size:,} events, median of {runs} runs**")
        parts.append(table(figures, everyone, ours=ours, size=size))
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
