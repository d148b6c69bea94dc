"""The loaded dataset as the tools see it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from threading import Lock
from typing import Any

from typing_extensions import TypedDict

from .. import constants
from ..commands.query import ReadableDataset, open_dataset
from ..destinations.queries import QueryLimits, QueryResult
from ..errors import ConfigError, MixpanelError
from ..sql import quote_text

MAX_ROWS = 1_000
"""Maximum rows of a result."""
DEFAULT_ROWS = 200
MAX_CHARACTERS = 100_000
"""Maximum size of the rows of a result, so that it fits into the context of an agent."""
_HINTS = re.compile(r"\s*(Did you mean|Candidate bindings|Perhaps you meant)\b.*", re.DOTALL)
"""Where databases suggest names of columns, which are made of names of properties."""


class Rows(TypedDict):
    """Rows of a table or a query."""

    columns: list[str]
    types: list[str]
    rows: list[list[Any]]
    truncated: bool


class Target(TypedDict):
    """The arguments of commands that name a dataset."""

    destination: str
    dataset: str
    name: str


class ToolFailure(Exception):  # noqa: N818 - it becomes an error of the SDK
    """Why a tool has no result, in words without values."""


@dataclass
class Dataset:
    """The dataset of a pipeline.

    One tool at a time reads it, because objects of dlt are for one thread.
    """

    destination: str = "duckdb"
    dataset: str = constants.DATASET_NAME
    name: str = constants.PIPELINE_NAME
    seconds: float = 30.0
    """Maximum time of a query."""
    _opened: ReadableDataset | None = None
    _lock: Lock = field(default_factory=Lock)

    @property
    def target(self) -> Target:
        """The arguments of commands that name the dataset."""
        return {"destination": self.destination, "dataset": self.dataset, "name": self.name}

    @property
    def opened(self) -> ReadableDataset:
        """The dataset, which the first tool finds."""
        if self._opened is None:
            self._opened = open_dataset(**self.target)
        return self._opened

    @property
    def schema(self) -> str:
        """Name of the schema with the tables."""
        return self.opened.queries.schema

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Keep other tools from reading meanwhile.

        Raises:
            ToolFailure: with the message of the error that is raised within.
        """
        with self._lock:
            try:
                yield
            except MixpanelError as error:
                raise ToolFailure(_HINTS.sub("", str(error))) from None
            except Exception as error:  # noqa: BLE001 - the last resort: a client must get an answer
                # only the type: the text may contain a value
                raise ToolFailure(
                    f"unexpected {type(error).__name__}; this is a bug of mixpanel-source"
                ) from None

    def read(self, sql: str, *, max_rows: int = MAX_ROWS) -> QueryResult:
        """The rows of a query, within the limits of a result."""
        if not 1 <= max_rows <= MAX_ROWS:
            raise ConfigError(f"max_rows is {max_rows}; give a number from 1 to {MAX_ROWS}.")
        return self.opened.queries.run(sql, QueryLimits(max_rows, self.seconds, MAX_CHARACTERS))

    def rows(self, sql: str, *, max_rows: int = DEFAULT_ROWS) -> Rows:
        """The same as the result of a tool."""
        result = self.read(sql, max_rows=max_rows)
        return {
            "columns": [*result.columns],
            "types": [*result.types],
            "rows": [[*row] for row in result.rows],
            "truncated": result.truncated,
        }

    def table_names(self) -> set[str]:
        """The tables and views of the dataset."""
        return {row[0] for row in self.read(tables_query(self.schema)).rows}

    def require(self, table: str) -> None:
        """Check that a table is loaded.

        Raises:
            ConfigError: it is not.
        """
        if table not in self.table_names():
            raise ConfigError(
                f"The table {table} is not loaded. To load it: mixpanel-source sync --tables "
                f"{table}."
            )


def tables_query(schema: str) -> str:
    """Query for the names of tables and views, and what they are."""
    return (
        "SELECT table_name, table_type FROM information_schema.tables "
        f"WHERE table_schema = {quote_text(schema)} ORDER BY table_name"
    )


def parse_day(text: str, name: str) -> date:
    """A day that was given to a tool.

    Raises:
        ConfigError: it has another form.
    """
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"{name} is not a day. Give YYYY-MM-DD, such as 2026-01-31.") from None
