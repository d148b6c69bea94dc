"""Finds and deletes the rows of persons, with SQL.

All tables of a dataset that have a column `distinct_id` are searched, and their copies in dlt's
staging dataset, which keeps what was loaded last.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from ..decode.columns import OVERFLOW
from ..decode.forgotten import PERSON_PROPERTIES
from ..decode.json_values import dump_json
from ..sql import quote_name, quote_text
from ..tables.load_log import COLUMNS_TABLE
from ..tables.masked_columns import MASKED_BY
from ..tables.rejected import PERSON_IDS

ID_COLUMN = "distinct_id"
JSON_COLUMNS = ("properties", OVERFLOW)
NUMBERS = ("bigint", "double")
_NUMBER = re.compile(r"-?[0-9]{1,18}")


class PersonRows:
    """The rows of a dataset that are about persons.

    Args:
        client: a SQL client of dlt, open.
        json_member: see `Destination.json_member`.
        table_type: see `Destination.table_type`.
    """

    def __init__(self, client: Any, *, json_member: str, table_type: str) -> None:  # noqa: ANN401 - any SQL client
        self._client = client
        self._table_type = table_type
        self._json_member = json_member
        self._columns = self._read_columns(client.dataset_name)
        self._staged = self._read_columns(client.staging_dataset_name)
        self._properties = self._read_properties()

    def has_table(self, table: str) -> bool:
        """Whether the dataset has a table of that name."""
        return table in self._columns

    def hashed_by(self) -> set[str]:
        """How columns with ids of persons are hashed, see `config.masking.hash_text`."""
        if MASKED_BY not in self._columns.get(COLUMNS_TABLE, ()):
            return set()
        name = self._client.make_qualified_table_name(COLUMNS_TABLE)
        names = ", ".join(map(quote_text, PERSON_PROPERTIES))
        rows = self._select(
            f"SELECT DISTINCT {MASKED_BY} FROM {name} WHERE property IN ({names}) "  # noqa: S608 - quoted
            f"AND {MASKED_BY} LIKE 'hash%'"
        )
        return {text for (text,) in rows}

    def delete(self, ids: Sequence[str]) -> dict[str, int]:
        """Delete the rows of persons, to be called in a transaction.

        Returns:
            The rows deleted from each table of the dataset that has a column `distinct_id`.
        """
        for table in _with_ids(self._staged):
            with self._client.with_staging_dataset():
                self._delete_from(table, self._staged[table], ids)
        return {
            table: self._delete_from(table, self._columns[table], ids)
            for table in _with_ids(self._columns)
        }

    def _delete_from(self, table: str, columns: set[str], ids: Sequence[str]) -> int:
        name = self._client.make_qualified_table_name(table)
        condition = " OR ".join(self._conditions(table, columns, ids))
        # not every database counts the rows of a DELETE in the same way
        rows = self._select(f"SELECT count(*) FROM {name} WHERE {condition}")  # noqa: S608 - quoted
        self._client.execute_sql(f"DELETE FROM {name} WHERE {condition}")  # noqa: S608 - quoted
        return int(rows[0][0])

    def _conditions(self, table: str, columns: set[str], ids: Sequence[str]) -> Iterator[str]:
        """Yields SQL conditions; a row is of one of the persons if any of them is true."""
        texts = ", ".join(map(quote_text, ids))
        numbers = ", ".join(id_ for id_ in ids if _NUMBER.fullmatch(id_))
        yield f"{ID_COLUMN} IN ({texts})"
        for column, data_type in self._properties[table]:
            if column not in columns:
                continue
            if data_type == "text":
                yield f"{quote_name(column)} IN ({texts})"
            elif data_type in NUMBERS and numbers:
                yield f"{quote_name(column)} IN ({numbers})"
        if PERSON_IDS in columns:  # the ids of a rejected row, as a JSON list
            for id_ in map(dump_json, ids):
                yield f"strpos({PERSON_IDS}, {quote_text(id_)}) > 0"
        for column in columns.intersection(JSON_COLUMNS):
            for name in map(quote_text, PERSON_PROPERTIES):
                member = self._json_member.format(column=quote_name(column), name=name)
                yield f"({member}) IN ({texts})"

    def _read_columns(self, schema: str) -> dict[str, set[str]]:
        """Table -> its columns; views are not tables."""
        columns: dict[str, set[str]] = defaultdict(set)
        for table, column in self._select(
            "SELECT t.table_name, c.column_name FROM information_schema.tables AS t "  # noqa: S608 - quoted
            "JOIN information_schema.columns AS c ON c.table_catalog = t.table_catalog "
            "AND c.table_schema = t.table_schema AND c.table_name = t.table_name "
            f"WHERE t.table_type = '{self._table_type}' AND t.table_catalog = current_database() "
            f"AND t.table_schema = {quote_text(schema)}"
        ):
            columns[table].add(column)
        return columns

    def _read_properties(self) -> dict[str, list[tuple[str, str]]]:
        """Table -> column and data type, for each column that holds ids of persons."""
        properties: dict[str, list[tuple[str, str]]] = defaultdict(list)
        if not self.has_table(COLUMNS_TABLE):
            return properties
        names = ", ".join(map(quote_text, PERSON_PROPERTIES))
        name = self._client.make_qualified_table_name(COLUMNS_TABLE)
        for table, column, data_type in self._select(
            f"SELECT DISTINCT table_name, column_name, data_type FROM {name} "  # noqa: S608 - quoted
            f"WHERE property IN ({names})"
        ):
            properties[table].append((column, data_type))
        return properties

    def _select(self, query: str) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in self._client.execute_sql(query) or ()]


def _with_ids(columns: dict[str, set[str]]) -> list[str]:
    return sorted(table for table, names in columns.items() if ID_COLUMN in names)
