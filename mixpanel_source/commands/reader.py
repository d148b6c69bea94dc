"""Reading what a destination holds, without changing anything there or here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from functools import cached_property
from tempfile import TemporaryDirectory
from typing import Any

import dlt
from dlt.destinations.exceptions import DatabaseUndefinedRelation, DestinationConnectionError
from dlt.pipeline.exceptions import PipelineStepFailed

from ..destinations.base import Destination, TableFiles
from ..destinations.registry import destination_of, target_of
from ..jobs.dlt_errors import destination_errors
from ..jobs.pipeline import make_pipeline
from ..paths import LoadTarget
from ..tables.load_log import LOADS_TABLE, SOURCE_NAME, completed_loads
from ..windows import Window


class DestinationReader:
    """The tables and the state that a pipeline has loaded.

    Args:
        pipeline: with schemas and state restored from its destination.
        is_there: whether there is anything to read.
    """

    def __init__(self, pipeline: dlt.Pipeline, *, is_there: bool) -> None:
        self._pipeline = pipeline
        self.is_there = is_there
        self.dataset: str = pipeline.dataset_name
        self._client: Any = None
        """Of the connection that is kept open, if one is."""

    @property
    def target(self) -> LoadTarget:
        """What loads the dataset, with its files on this machine."""
        return target_of(self._pipeline)

    @property
    def project_id(self) -> int | None:
        """The project that the dataset holds."""
        project_id: int | None = self._source_state.get("project_id")
        return project_id

    def state(self, table: str) -> dict[str, Any]:
        """The state of a table's resource; empty if the table was never loaded."""
        state: dict[str, Any] = self._source_state.get("resources", {}).get(table, {})
        return state

    @property
    def _source_state(self) -> dict[str, Any]:
        sources: dict[str, Any] = self._pipeline.state.get("sources", {})
        state: dict[str, Any] = sources.get(SOURCE_NAME, {})
        return state

    def has_table(self, table: str) -> bool:
        """Whether a table was loaded and still exists."""
        if not self.columns(table):
            return False
        try:
            self.rows("SELECT 1 FROM {table} LIMIT 1", table)
        except DatabaseUndefinedRelation:
            return False
        return True

    def windows_loaded(self, table: str) -> list[Window]:
        """The windows of a table that were ever loaded, each once, in no order."""
        rows = self.load_log(
            f"SELECT DISTINCT first_day, last_day FROM {{loads}} WHERE table_name = '{table}'"  # noqa: S608 - our own name
        )
        return [Window(first, last) for first, last in rows]

    def days_loaded(self, table: str) -> set[date]:
        """The days of a table that were ever loaded."""
        return {day for window in self.windows_loaded(table) for day in window.days}

    def load_log(self, statement: str) -> list[tuple[Any, ...]]:
        """The rows that a statement selects from `{loads}`: the load log, of completed loads.

        Returns:
            An empty list if nothing was ever loaded.
        """
        if not self.has_table(LOADS_TABLE):
            return []
        with self._connect() as client:
            rows = client.execute_sql(statement.format(loads=completed_loads(client)))
            return [tuple(row) for row in rows or ()]

    def columns(self, table: str) -> set[str]:
        """The columns of a table in dlt's schemas; empty if it was never loaded."""
        return self._columns.get(table, set())

    @cached_property
    def _columns(self) -> dict[str, set[str]]:
        """Table -> columns. Reading them is slow: dlt loads a schema from disk each time."""
        columns: dict[str, set[str]] = {}
        for schema in self._pipeline.schemas.values():
            for name, table in schema.tables.items():
                columns.setdefault(name, set()).update(table.get("columns", ()))
        return columns

    def rows(self, statement: str, table: str) -> list[tuple[Any, ...]]:
        """The rows that a statement selects; `{table}` in it is the table's qualified name."""
        with self._connect() as client:
            name = client.make_qualified_table_name(table)
            rows = client.execute_sql(statement.format(table=name))
            return [tuple(row) for row in rows or ()]

    def files(self, table: str) -> TableFiles | None:
        """The files of a table; None if it shares them with other tables, or they are unknown."""
        with self._connect() as client:
            return self._destination.table_files(client, table)

    @cached_property
    def _destination(self) -> Destination:
        return destination_of(self._pipeline)

    @contextmanager
    def connected(self) -> Iterator[None]:
        """Keep one connection for everything that is read meanwhile.

        dlt takes tens of milliseconds to configure a connection. While one is open, no job can load
        into a DuckDB file, so nothing slow may happen meanwhile.
        """
        if not self.is_there:
            yield
            return
        with self._pipeline.sql_client() as client:
            self._client = client
            try:
                yield
            finally:
                self._client = None

    @contextmanager
    def _connect(self) -> Iterator[Any]:
        if self._client is not None:
            yield self._client
            return
        with self._pipeline.sql_client() as client:
            yield client


@contextmanager
def open_reader(destination: str, *, dataset: str, name: str) -> Iterator[DestinationReader]:
    """Open the dataset of a pipeline for reading.

    Args:
        destination: name of a dlt destination that takes SQL.
        dataset: as for `open_pipeline`.
        name: of the pipeline.

    Raises:
        ConfigError: the destination does not exist or has no credentials.
        BusyError: the database is open in another process, which has exclusive access.
        MixpanelError: the destination cannot be reached.
    """
    # a working directory of its own: reading must not change the pipeline's local state
    working_directory = TemporaryDirectory(prefix="mixpanel-reader-")
    with working_directory as directory, destination_errors(destination):
        pipeline = make_pipeline(name, destination, dataset, working_directory=directory)
        # missing packages or credentials are reported here, as what they are
        pipeline.destination_client()
        target = destination_of(pipeline)
        try:
            is_there = target.exists
            if is_there:
                pipeline.sync_destination()
            yield DestinationReader(pipeline, is_there=is_there and bool(pipeline.schemas))
        except (DestinationConnectionError, PipelineStepFailed) as error:
            raise target.connection_error(error) from error
        finally:
            pipeline.deactivate()
