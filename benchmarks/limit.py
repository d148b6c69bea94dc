"""The limit: how fast DuckDB alone loads the files from disk into a table.

The paths of the files and the types of all properties are given. There is no network and no state,
nothing is replaced, and numbers are rounded to the given types, so a tool that does all this cannot
be as fast. `python -m benchmarks.limit DIR FILE` creates the table `export` in FILE.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import duckdb

from .generator import property_types

IDENTITY = ("event", '"$insert_id"', "distinct_id", '"time"')
"""Columns in which duplicates are equal."""


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
    types = ", ".join(f'"{name}" {type_}' for name, type_ in property_types().items())
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
_DUPLICATES = f"SELECT row FROM (SELECT rowid AS row, {_NUMBERED} AS n FROM export) WHERE n > 1"  # noqa: S608 - fixed names
_STATEMENTS = {
    "window": [f"{_CREATE} * FROM (SELECT {{select}}) QUALIFY {_NUMBERED} = 1"],
    "distinct": [f"{_CREATE} DISTINCT ON ({_KEY}) * FROM (SELECT {{select}})"],
    "delete": [
        f"{_CREATE} {{select}}",
        f"DELETE FROM export WHERE rowid IN ({_DUPLICATES})",  # noqa: S608 - fixed names
    ],
    "none": [f"{_CREATE} {{select}}"],
}
"""Ways to drop duplicates; `none`, for comparison, keeps them."""

if __name__ == "__main__":
    main()
