"""A look at what a destination holds that changes nothing, there or here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from tempfile import TemporaryDirectory
from typing import Any

import dlt
from dlt.destinations.exceptions import DatabaseUndefinedRelation, DestinationConnectionError
from dlt.pipeline.exceptions import PipelineStepFailed

from ..errors import BusyError, MixpanelError
from ..jobs.pipeline import dataset_of, duckdb_file, named_destination
from ..tables.load_log import LOADS_TABLE
from ..windows import Window

STATE_OF = "mixpanel"
"""Name of the source, under which dlt keeps its state."""


class DestinationReader:
    """A destination, opened to be read."""

    def __init__(self, pipeline: dlt.Pipeline, *, is_there: bool) -> None:
        """Look at what `pipeline` has restored from its destination.

        Args:
            pipeline: in a working directory of its own.
            is_there: whether there is anything to be read.
        """
        self._pipeline = pipeline
        self.is_there = is_there
        self.dataset: str = pipeline.dataset_name

    def state(self, table: str) -> dict[str, Any]:
        """What the source remembers of a table; empty if it was never loaded."""
        state: Any = self._pipeline.state.get("sources", {}).get(STATE_OF, {})
        resource: dict[str, Any] = state.get("resources", {}).get(table, {})
        return resource

    @property
    def project_id(self) -> int | None:
        """The project that the dataset holds."""
        state: Any = self._pipeline.state.get("sources", {}).get(STATE_OF, {})
        held: int | None = state.get("project_id")
        return held

    def has_table(self, table: str) -> bool:
        """Whether it was ever loaded, and nobody has dropped it since."""
        if not self.columns(table):
            return False
        try:
            self.rows("SELECT 1 FROM {table} LIMIT 1", table)
        except DatabaseUndefinedRelation:
            return False
        return True

    def windows_loaded(self, table: str) -> list[Window]:
        """The windows of a table that were ever loaded, each once."""
        if not self.has_table(LOADS_TABLE):
            return []
        rows = self.rows(
            f"SELECT DISTINCT first_day, last_day FROM {{table}} WHERE table_name = '{table}'",  # noqa: S608 - our own name
            LOADS_TABLE,
        )
        return [Window(first, last) for first, last in rows]

    def days_loaded(self, table: str) -> set[date]:
        """The days of a table that were ever loaded."""
        return {day for window in self.windows_loaded(table) for day in window.days}

    def columns(self, table: str) -> set[str]:
        """The columns that dlt knows of a table."""
        schemas = self._pipeline.schemas.values()
        tables = (schema.tables.get(table, {}) for schema in schemas)
        return {name for found in tables for name in found.get("columns", ())}

    def rows(self, statement: str, table: str) -> list[tuple[Any, ...]]:
        """What the destination answers; `{table}` in the statement is the table's full name."""
        with self._pipeline.sql_client() as client:
            name = client.make_qualified_table_name(table)
            found = client.execute_sql(statement.format(table=name))
            return [tuple(row) for row in found or ()]


@contextmanager
def open_reader(destination: str, *, dataset: str, name: str) -> Iterator[DestinationReader]:
    """Open a destination for reading, as the pipeline of that name has left it.

    Args:
        destination: as for `open_pipeline`; one that takes SQL.
        dataset: of the tables.
        name: of the pipeline.

    Raises:
        ConfigError: there is no such destination, or it has no credentials.
        BusyError: the database is open elsewhere, and lets nobody else in.
    """
    with TemporaryDirectory(prefix="mixpanel-reader-") as directory, named_destination(destination):
        yield from _opened(destination, dataset, name, directory)


def _opened(
    destination: str, dataset: str, name: str, directory: str
) -> Iterator[DestinationReader]:
    pipeline = dlt.pipeline(
        name, destination=destination, dataset_name=dataset, pipelines_dir=directory
    )
    database, dataset = duckdb_file(pipeline), dataset_of(pipeline)
    pipeline = dlt.pipeline(
        name, destination=destination, dataset_name=dataset, pipelines_dir=directory
    )
    # to connect to a file that is not there would make it
    is_there = database is None or database.exists()
    try:
        if is_there:
            pipeline.sync_destination()
        yield DestinationReader(pipeline, is_there=is_there and bool(pipeline.schemas))
    except (DestinationConnectionError, PipelineStepFailed) as error:
        if database is None:
            raise MixpanelError(
                f"destination {destination} cannot be reached. Check its credentials, and that it "
                "runs."
            ) from error
        raise BusyError(
            f"{database} is open in another process, and DuckDB lets one in at a time. Wait until "
            "that one has ended."
        ) from error
    finally:
        pipeline.deactivate()
