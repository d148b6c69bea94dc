"""DuckDB files, and other destinations that speak DuckDB's SQL."""

from __future__ import annotations

from pathlib import Path

from dlt.common.destination.reference import TDestinationReferenceArg

from ..errors import BusyError, MixpanelError
from .base import Destination
from .duckdb_merge import MergingDuckDb


class DuckDbSql(Destination):
    """A catalog that takes DuckDB's SQL, such as DuckLake and MotherDuck."""

    limits = None
    takes_views = True
    deletes_rows = True
    # an operator would take a name that begins with $ for a path
    json_member = "json_extract_string({column}, '$.\"' || {name} || '\"')"
    comments_query = (
        "SELECT table_name, column_name, comment FROM duckdb_columns() "
        "WHERE database_name = current_database() AND schema_name = {schema}"
    )


class DuckDb(DuckDbSql):
    """A DuckDB file, which one process at a time may write.

    DuckDB cannot tell a schema from its database when both have the same name, and a database is
    named after its file. A dataset of the file's own name is therefore the schema `main`, so that a
    table is called `mixpanel.export` in `mixpanel.duckdb` as it is anywhere else.
    """

    @classmethod
    def build(cls, name: str) -> TDestinationReferenceArg:  # noqa: ARG003 - there is only one
        """DuckDB with our own merge; without credentials the file is in the working directory."""
        return MergingDuckDb()

    def build_beside(self) -> TDestinationReferenceArg:
        """The same file: without credentials dlt would name one after the second pipeline."""
        return MergingDuckDb(str(self._file))

    @property
    def dataset_name(self) -> str:
        """The dataset of the pipeline, or `main` for the file's own name."""
        name = super().dataset_name
        return "main" if self._file.stem == name else name

    @property
    def exists(self) -> bool:
        """Whether the file exists; connecting would create it."""
        return self._file.exists()

    def connection_error(self) -> MixpanelError:
        """Another process has the file open, which locks everyone else out."""
        return BusyError(
            f"{self._file} is open in another process, and DuckDB allows one process at a time. "
            "Wait until it has closed the file."
        )

    @property
    def _file(self) -> Path:
        return Path(self._client.config.credentials.database)
