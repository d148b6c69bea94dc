"""Writes lists of tables, and of what is tested where, into the README and the pages here.

    python -m docs.tables

The lists stand between marks, and have a row for each table in `mixpanel_source.catalog.tables`, or
for each scenario in `tests.conformance`, with what its last run found. Run it after a change there;
the rest of the pages is left alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final, NamedTuple

from mixpanel_source.catalog.tables import TABLES
from tests.conformance.adapters import ADAPTERS
from tests.conformance.cases import Case
from tests.conformance.results import CELLS, read_outcomes
from tests.conformance.scenarios import SCENARIOS

ROOT: Final = Path(__file__).parents[1]
OWN_TABLES: Final = tuple(table for table in TABLES if not table.is_report)
REPORTS: Final = tuple(table for table in TABLES if table.is_report)


class Part(NamedTuple):
    """The part of a page that lists tables."""

    path: str
    """Of the page, relative to the root of the repository."""
    name: str
    """In the marks before and after it."""
    render: Callable[[], str]

    @property
    def begin(self) -> str:
        """The line before it."""
        return f"<!-- {self.name}: begin -->\n"

    @property
    def end(self) -> str:
        """The line after it."""
        return f"<!-- {self.name}: end -->\n"


def updated(part: Part, text: str) -> str:
    """The text of a page with one part rewritten.

    Raises:
        ValueError: a mark is missing.
    """
    before, begin, rest = text.partition(part.begin)
    _, end, after = rest.partition(part.end)
    if not begin or not end:
        raise ValueError(f"{part.path}: nothing between {part.begin!r} and {part.end!r}")
    return f"{before}{begin}\n{part.render()}\n{end}{after}"


def markdown(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table in Markdown."""
    names = [*header]
    lines = [f"| {' | '.join(cells)} |\n" for cells in (names, *rows)]
    return "".join([lines[0], "|" + "---|" * len(names) + "\n", *lines[1:]])


def _readme_rows() -> str:
    rows = [
        (
            f"[`{table.name}`]({table.endpoint.source})",
            table.holds,
            table.loaded,
            table.requests,
            "paid" if table.endpoint.paid else "any",
            "on" if table.is_default else "off",
        )
        for table in OWN_TABLES
    ]
    names = ", ".join(f"`{table.name}`" for table in REPORTS)
    reports = (
        names,
        "[reports](docs/reports.md)",
        "report by report",
        REPORTS[0].requests,
        "paid",
        "off",
    )
    header = ("table", "holds", "how a sync loads it", "metered requests", "plan", "default")
    return markdown(header, [*rows, reports])


def _table_rows() -> str:
    header = ("table", "paid plans only", "metered requests of a sync", "how a sync loads it")
    rows = [
        (
            f"`{table.name}`",
            "yes" if table.endpoint.paid else "no",
            table.requests,
            table.loaded,
        )
        for table in OWN_TABLES
    ]
    return markdown(header, rows)


def _report_rows() -> str:
    rows = [(f"[`{table.name}`](#{table.name})", table.holds, table.loaded) for table in REPORTS]
    return markdown(("table", "holds", "how a sync loads it"), rows)


def _scenario_rows() -> str:
    outcomes = read_outcomes()
    rows = [
        (
            f"{name}: {(check.__doc__ or '').split('.')[0]}",
            *(CELLS[outcomes[Case(adapter.name, name)]] for adapter in ADAPTERS),
        )
        for name, check in SCENARIOS.items()
    ]
    return markdown(("scenario", *(adapter.name for adapter in ADAPTERS)), rows)


PARTS: Final = (
    Part("README.md", "tables", _readme_rows),
    Part("README.md", "conformance", _scenario_rows),
    Part("docs/tables.md", "tables", _table_rows),
    Part("docs/reports.md", "reports", _report_rows),
)


def main() -> None:
    """Rewrite each part."""
    for part in PARTS:
        path = ROOT / part.path
        path.write_text(updated(part, path.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
