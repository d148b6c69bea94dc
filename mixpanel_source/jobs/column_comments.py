"""Lexicon descriptions as comments on the columns of `export` and `engage`.

A comment that someone else wrote stays, unless the Lexicon describes the same column.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable
from typing import Any, NamedTuple

import dlt
from dlt.destinations.exceptions import DatabaseException, DatabaseUndefinedRelation

from ..destinations.registry import destination_of
from ..sql import quote_name, quote_text
from ..tables.lists.history import current_rows

logger = logging.getLogger("mixpanel_source")

TABLES = {"event": "export", "profile": "engage"}
"""Entity type of the Lexicon -> the table that has columns for its properties."""

ColumnName = tuple[str, str]
"""A table and one of its columns."""


class Description(NamedTuple):
    """The description of a property: a row of `lexicon`."""

    entity_type: str
    entity: str
    """Its name, or its type if it has none."""
    property: str
    text: str | None


def write_comments(pipeline: dlt.Pipeline) -> int:
    """Write the comments that differ from the descriptions in the table `lexicon`.

    A database error is logged, not raised: the data is loaded, which is what matters.

    Args:
        pipeline: that has loaded `lexicon`.

    Returns:
        How many comments were written; 0 if the destination has no comments on columns.
    """
    destination = destination_of(pipeline)
    if destination.comments_query is None:
        return 0
    current = current_rows(pipeline, "lexicon")
    try:
        with pipeline.sql_client() as client:
            existing = _read_comments(client, destination.comments_query)
            new = [
                (column, text)
                for column, text in _read_descriptions(client, current).items()
                if column in existing and existing[column] != text
            ]
            for (table, column), text in new:
                name = f"{client.make_qualified_table_name(table)}.{quote_name(column)}"
                statement = destination.comment_statement
                client.execute_sql(statement.format(column=name, text=quote_text(text)))
            return len(new)
    except DatabaseUndefinedRelation:
        return 0
    except DatabaseException as error:
        logger.warning(
            "The Lexicon descriptions could not be written as comments on columns (%s): the "
            "destination's user may lack the permission.",
            type(error).__name__,
        )
        return 0


def _read_comments(client: Any, query: str) -> dict[ColumnName, str | None]:  # noqa: ANN401 - any SQL client
    rows = _rows(client, query.format(schema=quote_text(client.dataset_name)))
    return {(table, column): text for table, column, text in rows}


def _read_descriptions(client: Any, current: str) -> dict[ColumnName, str]:  # noqa: ANN401 - any SQL client
    schema = client.fully_qualified_dataset_name()
    lexicon = _rows(
        client,
        "SELECT entity_type, coalesce(entity, entity_type), property, description "
        f"FROM {schema}.lexicon WHERE {current}",
    )
    columns = _rows(
        client,
        f"SELECT table_name, property, column_name FROM {schema}._mixpanel_columns "
        "WHERE column_name <> ''",
    )
    return describe_columns((Description(*row) for row in lexicon), columns)


def describe_columns(
    lexicon: Iterable[Description], columns: Iterable[tuple[str, str, str]]
) -> dict[ColumnName, str]:
    """The comments that columns should have.

    Args:
        lexicon: descriptions of properties. Where several events describe the same property
            differently, the comment has a line for each, with the event's name.
        columns: table, property and column, for each column that holds values of a property.
    """
    texts: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    for description in lexicon:
        table = TABLES.get(description.entity_type)
        if table is not None and description.text:
            texts[table, description.property][description.entity] = description.text
    return {
        (table, column): _join(texts[table, name])
        for table, name, column in columns
        if (table, name) in texts
    }


def _join(by_entity: dict[str, str]) -> str:
    if len({*by_entity.values()}) == 1:
        return next(iter(by_entity.values()))
    return "\n".join(f"{entity}: {text}" for entity, text in sorted(by_entity.items()))


def _rows(client: Any, query: str) -> list[tuple[Any, ...]]:  # noqa: ANN401 - any SQL client
    return [tuple(row) for row in client.execute_sql(query) or ()]
