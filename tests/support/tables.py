"""Reads loaded tables with plain SQL, as a user without the package does."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import dlt

OVERFLOW = "other_properties"
"""JSON column of the properties that have no column of their own."""


def select_all(pipeline: dlt.Pipeline, table: str, *, where: str = "true") -> list[dict[str, Any]]:
    """Return the rows of a table, unordered.

    Args:
        pipeline: The pipeline that loaded the table.
        table: Name of the table.
        where: SQL condition.

    Returns:
        JSON values as text, timestamps as microseconds since the epoch.
    """
    types = read_types(pipeline, table)
    is_duckdb = pipeline.destination_client().capabilities.sqlglot_dialect == "duckdb"
    micros = "epoch_us({})" if is_duckdb else "CAST(extract(epoch FROM {}) * 1000000 AS bigint)"
    selected = []
    for name, data_type in types.items():
        template = {"json": "CAST({} AS text)", "timestamp": micros}.get(data_type, "{}")
        selected.append(template.format(f'"{name}"'))
    with pipeline.sql_client() as client:
        name = client.make_qualified_table_name(table)
        query = f"SELECT {', '.join(selected)} FROM {name} WHERE {where}"
        with client.execute_query(query) as cursor:
            return [dict(zip(types, row, strict=True)) for row in cursor.fetchall()]


def read_types(pipeline: dlt.Pipeline, table: str) -> dict[str, str]:
    """Return the dlt data type of each column, as found in the database."""
    with pipeline.destination_client() as client:
        # only clients of SQL databases have this method
        tables: dict[str, Any] = dict(client.get_storage_tables([table]))  # type: ignore[attr-defined]
    return {name: column["data_type"] for name, column in tables[table].items()}


def read_columns(pipeline: dlt.Pipeline, table: str) -> dict[str, list[tuple[str, str]]]:
    """Return the columns of each property and their types, from `_mixpanel_columns`.

    Asserts that no two properties share a column other than `OVERFLOW`.
    """
    columns: dict[str, list[tuple[str, str]]] = defaultdict(list)
    owners: dict[str, str] = {}
    for row in select_all(pipeline, "_mixpanel_columns"):
        if row["table_name"] == table:
            columns[row["property"]].append((row["column_name"], row["data_type"]))
            if row["column_name"] != OVERFLOW:
                assert owners.setdefault(row["column_name"], row["property"]) == row["property"]
    return columns
