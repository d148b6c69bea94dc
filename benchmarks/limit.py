"""The limit: how fast DuckDB alone reads the same files from disk into a table.

It is told the type of each of the properties and where the files are. It has no network, keeps no
state, replaces nothing and rounds what it is told is an integer; so nothing that does those things
can be as fast. `python -m benchmarks.limit DIR FILE` leaves the table `export` in FILE.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import duckdb

from .generator import property_types

IDENTITY = ("event", '"$insert_id"', "distinct_id", '"time"')
"""What two rows have in common that are one."""


def main() -> None:
    """Load a directory of data."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("file", type=Path)
    parser.add_argument("--unique", choices=tuple(_STATEMENTS), default="delete")
    options = parser.parse_args()
    with duckdb.connect(str(options.file)) as connection:
        connection.execute("SET preserve_insertion_order = false")
        for statement in _STATEMENTS[options.unique]:
            connection.execute(statement.format(select=_select(options.directory)))


def _select(directory: Path) -> str:
    types = ", ".join(f'"{name}" {kind}' for name, kind in property_types().items())
    columns = {"event": "VARCHAR", "properties": f"STRUCT({types})"}
    names = [
        'to_timestamp(properties."time") AS "time"' if name == "time" else f'properties."{name}"'
        for name in property_types()
    ]
    return (
        f"event, {', '.join(names)} FROM read_json('{directory}/export/*.jsonl.gz', "
        f"format = 'newline_delimited', compression = 'gzip', columns = {columns})"
    )


_CREATE = "CREATE TABLE export AS SELECT"
_KEY = ", ".join(IDENTITY)
_NUMBERED = f"row_number() OVER (PARTITION BY {_KEY})"
_REPEATED = f"SELECT row FROM (SELECT rowid AS row, {_NUMBERED} AS n FROM export) WHERE n > 1"  # noqa: S608 - fixed names
_STATEMENTS = {
    "window": [f"{_CREATE} * FROM (SELECT {{select}}) QUALIFY {_NUMBERED} = 1"],
    "distinct": [f"{_CREATE} DISTINCT ON ({_KEY}) * FROM (SELECT {{select}})"],
    "delete": [
        f"{_CREATE} {{select}}",
        f"DELETE FROM export WHERE rowid IN ({_REPEATED})",  # noqa: S608 - fixed names
    ],
    "none": [f"{_CREATE} {{select}}"],
}
"""Ways to keep rows once; `none`, for comparison, does not."""

if __name__ == "__main__":
    main()
