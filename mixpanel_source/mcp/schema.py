"""The tool `schema`: tables, columns, and the properties that they hold."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from typing_extensions import TypedDict

from ..errors import ConfigError
from ..sql import quote_text
from .dataset import Dataset, tables_query

COLUMNS_TABLE = "_mixpanel_columns"
_INTERNAL = "_dlt_"
"""How dlt names the tables and columns that it needs itself."""


class Table(TypedDict):
    """A table or a view."""

    name: str
    kind: str
    columns: int


class Column(TypedDict):
    """A column of a table."""

    name: str
    type: str
    comment: str | None
    properties: list[str]


class Schema(TypedDict):
    """The tables of the dataset, or the columns of one."""

    schema: str
    tables: list[Table]
    table: str
    columns: list[Column]
    truncated: bool


def read_schema(dataset: Dataset, table: str) -> Schema:
    """All tables or, if one is given, its columns.

    Args:
        dataset: to look at.
        table: name of a table or a view; empty for all.

    Raises:
        ConfigError: there is no such table.
    """
    if not table:
        listed = dataset.read(tables_query(dataset.schema))
        number = _count_columns(dataset)
        tables: list[Table] = [
            {"name": name, "kind": _kind(kind), "columns": number.get(name, 0)}
            for name, kind in listed.rows
            if not name.startswith(_INTERNAL)
        ]
        return _schema(dataset, tables=tables, truncated=listed.truncated)
    found = dataset.read(
        "SELECT column_name, data_type FROM information_schema.columns "
        f"WHERE table_schema = {quote_text(dataset.schema)} AND table_name = {quote_text(table)} "
        "ORDER BY ordinal_position"
    )
    if not found.rows:
        raise ConfigError("There is no such table. Call schema without a table to list them.")
    comments = {
        column: text
        for name, column, text in _rows(dataset, dataset.opened.comments_query)
        if name == table and text
    }
    properties = _properties(dataset, table)
    columns: list[Column] = [
        {
            "name": name,
            "type": kind,
            "comment": comments.get(name),
            "properties": properties.get(name, []),
        }
        for name, kind in found.rows
    ]
    return _schema(dataset, table=table, columns=columns, truncated=found.truncated)


def _schema(
    dataset: Dataset,
    *,
    truncated: bool,
    tables: list[Table] | None = None,
    table: str = "",
    columns: list[Column] | None = None,
) -> Schema:
    return {
        "schema": dataset.schema,
        "tables": tables or [],
        "table": table,
        "columns": columns or [],
        "truncated": truncated,
    }


def _kind(table_type: str) -> str:
    return "view" if "VIEW" in table_type.upper() else "table"


def _count_columns(dataset: Dataset) -> dict[str, int]:
    rows = _rows(
        dataset,
        "SELECT table_name, count(*) FROM information_schema.columns "
        f"WHERE table_schema = {quote_text(dataset.schema)} GROUP BY table_name",
    )
    return {name: number for name, number in rows}


def _properties(dataset: Dataset, table: str) -> dict[str, list[str]]:
    """Column -> the properties whose values it holds, by their names in Mixpanel."""
    if COLUMNS_TABLE not in dataset.table_names():
        return {}
    found: defaultdict[str, list[str]] = defaultdict(list)
    query = (
        f"SELECT column_name, property FROM {COLUMNS_TABLE} "
        f"WHERE table_name = {quote_text(table)} ORDER BY property"
    )
    for column, name in _rows(dataset, query):
        found[column].append(name)
    return found


def _rows(dataset: Dataset, query: str) -> Sequence[Sequence[Any]]:
    return dataset.read(query).rows if query else []
