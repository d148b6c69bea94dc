"""Descriptions of the Lexicon as comments on columns, for whoever looks at the database.

A comment that somebody else made stays where the Lexicon says nothing of the column.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable
from typing import Any, NamedTuple

import dlt
from dlt.destinations.exceptions import DatabaseException, DatabaseUndefinedRelation

from ..sql import quote_name, quote_text
from .pipeline import sql_dialect

logger = logging.getLogger("mixpanel_source")

TABLES = {"event": "export", "profile": "engage"}
"""What the Lexicon speaks of -> the table that has columns of its properties."""
EXISTING = {
    "duckdb": (
        "SELECT table_name, column_name, comment FROM duckdb_columns() "
        "WHERE database_name = current_database() AND schema_name = {schema}"
    ),
    "postgres": (
        "SELECT c.relname, a.attname, col_description(a.attrelid, a.attnum) "
        "FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid "
        "JOIN pg_namespace AS n ON n.oid = c.relnamespace "
        "WHERE n.nspname = {schema} AND a.attnum > 0 AND NOT a.attisdropped"
    ),
}
"""Dialect -> the columns of a schema and their comments."""

Place = tuple[str, str]
"""A table and one of its columns."""


class Described(NamedTuple):
    """A description of a property: a row of `lexicon`."""

    entity_type: str
    entity: str
    """Its name; its type where it has none."""
    property: str
    description: str | None


def write_comments(pipeline: dlt.Pipeline) -> int:
    """Bring the comments on the columns of `export` and `engage` up to date.

    Args:
        pipeline: that has loaded `lexicon`. Nothing is done but in DuckDB and Postgres.

    Returns:
        How many comments were written.
    """
    query = EXISTING.get(sql_dialect(pipeline) or "")
    if query is None:
        return 0
    try:
        with pipeline.sql_client() as client:
            return _write(client, query.format(schema=quote_text(client.dataset_name)))
    except DatabaseUndefinedRelation:
        return 0
    except DatabaseException as error:
        # the data is loaded, and that is what counts
        logger.warning(
            "The descriptions of the Lexicon could not be made comments on columns (%s): the user "
            "of the destination may lack the right to it.",
            type(error).__name__,
        )
        return 0


def _write(client: Any, existing_query: str) -> int:  # noqa: ANN401 - any SQL client
    schema = quote_name(client.dataset_name)
    lexicon = _rows(
        client,
        "SELECT entity_type, coalesce(entity, entity_type), property, description "
        f"FROM {schema}.lexicon",
    )
    columns = _rows(
        client, f"SELECT table_name, property, column_name FROM {schema}._mixpanel_columns"
    )
    existing = {(table, column): text for table, column, text in _rows(client, existing_query)}
    wanted = describe_columns((Described(*row) for row in lexicon), columns)
    new = {
        place: text
        for place, text in wanted.items()
        if place in existing and existing[place] != text
    }
    for (table, column), text in new.items():
        name = f"{schema}.{quote_name(table)}.{quote_name(column)}"
        client.execute_sql(f"COMMENT ON COLUMN {name} IS {quote_text(text)}")
    return len(new)


def describe_columns(
    lexicon: Iterable[Described], columns: Iterable[tuple[str, str, str]]
) -> dict[Place, str]:
    """What to say of columns.

    Args:
        lexicon: what is said of properties. Of one property several events may say different
            things; then each of them is named with what it says.
        columns: table, property and column, for each column that values of a property are in.
    """
    said: dict[Place, dict[str, str]] = defaultdict(dict)
    for one in lexicon:
        if one.entity_type in TABLES and one.description:
            said[TABLES[one.entity_type], one.property][one.entity] = one.description
    texts = {key: _joined(by_entity) for key, by_entity in said.items()}
    return {
        (table, column): texts[table, name]
        for table, name, column in columns
        if (table, name) in texts
    }


def _joined(by_entity: dict[str, str]) -> str:
    if len({*by_entity.values()}) == 1:
        return next(iter(by_entity.values()))
    return "\n".join(f"{entity}: {text}" for entity, text in sorted(by_entity.items()))


def _rows(client: Any, query: str) -> list[tuple[Any, ...]]:  # noqa: ANN401 - any SQL client
    return [tuple(row) for row in client.execute_sql(query) or ()]
