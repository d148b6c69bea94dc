"""Views over the datasets of several projects, with a column that names the project."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import dlt
from dlt.destinations.exceptions import DatabaseException

from ..config.projects import ALL, read_project, select_projects
from ..errors import ConfigError
from ..jobs.pipeline import open_pipeline
from ..sql import quote_name, quote_text
from .create import check_destination

PROJECT_COLUMN = "project"
SCHEMA = "mixpanel_all"

Columns = Mapping[str, str]
"""Column of a table -> its type in the database, in the order of the table."""


def create_union_views(
    projects: str | Sequence[str] = ALL,
    *,
    destination: str = "duckdb",
    schema: str = SCHEMA,
) -> list[str]:
    """Create or replace a view for each table of several projects and return their names.

    A view has the rows of all projects that have the table, and `project` as its first column. Its
    other columns are those of all of them; a column whose type differs between projects is text.
    Views show the current rows, but only the columns there were when they were created.

    Args:
        projects: names out of `[sources.mixpanel.projects]`, or `all`.
        destination: duckdb, with all projects in one file, or postgres.
        schema: of the views, created if missing.

    Raises:
        ConfigError: nothing is loaded yet, the destination does not take the views, a project is
            not configured, or another view depends on one whose columns would change.
    """
    pipelines = {name: _open(name, destination) for name in select_projects(projects)}
    datasets = {name: pipeline.dataset_name for name, pipeline in pipelines.items()}
    first = next(iter(pipelines.values()))
    with first.sql_client() as client:
        if schema in datasets.values():
            raise ConfigError(f"schema is {schema}, which is the dataset of a project.")
        tables = _read_tables(client, datasets)
        if not tables:
            raise ConfigError("Nothing is loaded for these projects yet: run a sync first.")
        with client.with_alternative_dataset_name(schema):
            target = client.fully_qualified_dataset_name()
        client.execute_sql(f"CREATE SCHEMA IF NOT EXISTS {target}")
        existing = _read_columns(client, schema)
        for table, parts in tables.items():
            query = build_union(
                {name: _qualified(client, datasets[name], table) for name in parts},
                parts,
                first=existing.get(table, {}),
            )
            _replace_view(client, f"{target}.{quote_name(table)}", query)
    return list(tables)


def build_union(
    tables: Mapping[str, str], columns: Mapping[str, Columns], *, first: Iterable[str] = ()
) -> str:
    """The query over the same table of several projects.

    Args:
        tables: project -> its table, as SQL.
        columns: project -> columns of its table.
        first: columns that come first, if they are in any table: Postgres adds new columns to a
            view only at its end.
    """
    types: dict[str, set[str]] = defaultdict(set)
    for of_table in columns.values():
        for column, type_ in of_table.items():
            types[column].add(type_)
    order = [*dict.fromkeys([*(column for column in first if column in types), *types])]
    label = quote_name(PROJECT_COLUMN)
    selects = []
    for project, table in tables.items():
        cells = [f"CAST({quote_text(project)} AS text) AS {label}"]
        cells += [_cell(column, types[column], columns[project]) for column in order]
        selects.append(f"SELECT {', '.join(cells)} FROM {table}")
    return "\nUNION ALL\n".join(selects)


def _cell(column: str, types: set[str], present: Columns) -> str:
    """The expression of a column in the query of one project."""
    name = quote_name(column)
    # a property of that name would collide with the label
    alias = quote_name(f"property_{column}") if column.casefold() == PROJECT_COLUMN else name
    type_ = next(iter(types)) if len(types) == 1 else "text"
    value = name if column in present else "NULL"
    return f"CAST({value} AS {type_}) AS {alias}"


def _open(name: str, destination: str) -> dlt.Pipeline:
    project = read_project(name)
    pipeline = open_pipeline(destination, dataset=project.dataset, name=project.pipeline)
    check_destination(pipeline)
    return pipeline


def _read_tables(client: Any, datasets: Mapping[str, str]) -> dict[str, dict[str, Columns]]:  # noqa: ANN401 - SQL clients have no common public type
    """Table -> project -> columns, of all projects that have the table."""
    tables: dict[str, dict[str, Columns]] = defaultdict(dict)
    for project, dataset in datasets.items():
        for table, columns in _read_columns(client, dataset, kind="BASE TABLE").items():
            if not table.startswith("_dlt_"):
                tables[table][project] = columns
    return dict(sorted(tables.items()))


def _read_columns(client: Any, schema: str, *, kind: str = "VIEW") -> dict[str, Columns]:  # noqa: ANN401 - SQL clients have no common public type
    """Columns of each table or view of a schema in the current database."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for table, column, type_ in _rows(
        client,
        "SELECT columns.table_name, columns.column_name, columns.data_type "
        "FROM information_schema.columns AS columns "
        "JOIN information_schema.tables AS tables USING (table_catalog, table_schema, table_name) "
        f"WHERE table_schema = {quote_text(schema)} AND tables.table_type = {quote_text(kind)} "
        "AND table_catalog = current_database() "
        "ORDER BY columns.table_name, columns.ordinal_position",
    ):
        found[table][column] = type_
    return dict(found)


def _rows(client: Any, query: str) -> Iterator[tuple[Any, ...]]:  # noqa: ANN401 - SQL clients have no common public type
    yield from (tuple(row) for row in client.execute_sql(query) or ())


def _qualified(client: Any, dataset: str, table: str) -> str:  # noqa: ANN401 - SQL clients have no common public type
    with client.with_alternative_dataset_name(dataset):
        return f"{client.fully_qualified_dataset_name()}.{quote_name(table)}"


def _replace_view(client: Any, name: str, query: str) -> None:  # noqa: ANN401 - SQL clients have no common public type
    try:
        client.execute_sql(f"CREATE OR REPLACE VIEW {name} AS\n{query}")
    except DatabaseException:
        # Postgres changes no type of a column, and removes none
        try:
            client.execute_sql(f"DROP VIEW IF EXISTS {name}")
            client.execute_sql(f"CREATE VIEW {name} AS\n{query}")
        except DatabaseException as error:
            raise ConfigError(
                f"The view {name} cannot be replaced: drop the views that depend on it, and create "
                "them again afterwards."
            ) from error
