"""DuckDB files, and other destinations that speak DuckDB's SQL."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from dlt.common.destination.reference import TDestinationReferenceArg
from dlt.destinations.exceptions import DatabaseException
from dlt.destinations.impl.duckdb.exceptions import InvalidInMemoryDuckdbCredentials
from dlt.destinations.job_client_impl import SqlJobClientBase

from ...errors import ConfigError, MixpanelError
from ..base import Destination
from ..exclusive import ExclusiveAccess
from ..file_lock import lock_file
from ..queries import Queries
from .errors import explain
from .merge import MAIN, MergingDuckDb, database_name, is_ambiguous, is_unusable
from .queries import DuckDbQueries


class DuckDbSql(Destination):
    """A catalog that takes DuckDB's SQL, such as DuckLake."""

    limits = None
    takes_views = True
    deletes_rows = True
    # an operator would take a name that begins with $ for a path
    json_member = "json_extract_string({column}, '$.\"' || {name} || '\"')"
    comments_query = (
        "SELECT table_name, column_name, comment FROM duckdb_columns() "
        "WHERE database_name = current_database() AND schema_name = {schema}"
    )


class MotherDuck(DuckDbSql):
    """MotherDuck, DuckDB as a service."""

    @property
    def location(self) -> str:
        """The database; dlt would tell accounts apart by a digest of their token."""
        return f"motherduck {self._client.config.credentials.database}"


class DuckDb(DuckDbSql):
    """A DuckDB file, which one process at a time may write.

    A database is named after its file, and in SQL DuckDB cannot tell it from a schema of the same
    name. A dataset of the file's own name is therefore the schema `main`, so that a table is called
    `mixpanel.export` in `mixpanel.duckdb` as it is anywhere else. When the file is renamed, its
    dataset is found where it is.
    """

    credentials_example = "/data/mixpanel.duckdb"
    reads_our_files = True
    updates_rows = True

    @classmethod
    def build(cls, name: str) -> TDestinationReferenceArg:  # noqa: ARG003 - there is only one
        """DuckDB with our own merge; without credentials the file is in the working directory."""
        return MergingDuckDb()

    def build_beside(self) -> TDestinationReferenceArg:
        """The same file: without credentials dlt would name one after the second pipeline."""
        if self._file is None:
            return super().build_beside()
        # the name finds the other settings of the destination
        name = self._pipeline.destination.configured_name
        return MergingDuckDb(str(self._file), destination_name=name)

    @property
    def location(self) -> str:
        """The file."""
        return f"duckdb {self._file or ':memory:'}"

    @property
    def view_obstacle(self) -> str | None:
        """DuckDB takes the name of the schema in a view for that of a database."""
        schema = self._pipeline.dataset_name
        if self._file is None or not is_ambiguous(schema, self._file):
            return None
        return (
            f"DuckDB creates no views of tables in the schema {schema} of {self._file.name}, "
            "because a database has that name too. Rename the file, or load into another dataset."
        )

    @property
    def exists(self) -> bool:
        """Whether the file exists; connecting would create it."""
        return self._file is None or self._file.exists()

    @property
    def database_file(self) -> Path | None:
        """The file, whatever link leads to it; None if the database is in memory."""
        return self._file

    def find_dataset(self) -> str:
        """The dataset of the pipeline; where it has the file's name, the schema `main`."""
        name = self.dataset_name
        if self._file is None:
            return name
        if self._file.is_relative_to(Path(self._pipeline.working_dir).resolve()):
            raise ConfigError(
                "The DuckDB file is :pipeline:, in dlt's working directory, which jobs empty. Give "
                "the path of a file."
            )
        if name.casefold() == database_name(self._file).casefold():
            name = MAIN
        try:
            return self._find_stored(name)
        except MixpanelError:
            # in use or damaged: `acquire` looks again and says which, as does any reader
            return name

    def connection_error(self, error: BaseException) -> MixpanelError:
        """Another process has the file open, or it is no DuckDB file that can be opened."""
        return explain(error, self._file)

    def acquire(self) -> ExclusiveAccess:
        """Lock a file beside the DuckDB file, and check that no other program has it open.

        DuckDB locks its file only while it is open, which a job does for each package.
        """
        file = self._file
        if file is None:
            return ExclusiveAccess()
        if not file.parent.is_dir():
            raise ConfigError(
                f"There is no directory {file.parent} for the DuckDB file. Create it."
            )
        access = lock_file(
            file.with_name(f".{file.name}.lock"),
            subject=f"Another job that loads into {file}",
            remedy="Move the DuckDB file to a directory on a local disk.",
        )
        try:
            self._check_file()
        except BaseException:
            access.release()
            raise
        return access

    def open_queries(self) -> Queries:
        """Queries in processes that have the file open for reading."""
        if self._file is None:
            raise ConfigError("The DuckDB database is in memory. Query it in the same program.")
        return DuckDbQueries(self._file, self.dataset_name)

    def _check_file(self) -> None:
        """Open the file, and correct the dataset if it could not be looked up before.

        Raises:
            MixpanelError: it cannot be opened.
        """
        name = self._find_stored(self._pipeline.dataset_name)
        if isinstance(self._pipeline.destination, MergingDuckDb):
            self._pipeline.dataset_name = name
        elif self._file is not None and is_ambiguous(self.dataset_name, self._file):
            raise ConfigError(
                f"The dataset {self.dataset_name} has the name of a database, which DuckDB cannot "
                "tell apart. Open the pipeline with open_pipeline(), or rename the dataset or the "
                "file."
            )

    def _find_stored(self, name: str) -> str:
        """The schema that holds a dataset; `name` itself if none does."""
        if not self.exists:
            return name
        with self.connect() as client:
            return _schema_of(name, _stored_datasets(client))

    @property
    def restores_schema(self) -> bool:
        """A load does, unless the pipeline was opened with dlt alone."""
        return isinstance(self._pipeline.destination, MergingDuckDb)

    def scans_cheaply(self, client: Any, table: str) -> bool:  # noqa: ANN401, ARG002 - any SQL client
        """A column is stored apart from the others, compressed."""
        return True

    @cached_property
    def _client(self) -> Any:  # noqa: ANN401 - as overridden
        try:
            return super()._client
        except InvalidInMemoryDuckdbCredentials as error:
            raise ConfigError(
                "The DuckDB database is :memory:, which is lost when the command ends. Give the "
                "path of a file; a script can pass an open connection, as in "
                'dlt.pipeline("mixpanel", destination=dlt.destinations.duckdb(connection)).'
            ) from error

    @cached_property
    def _file(self) -> Path | None:
        """The file, whatever link leads to it; None if the database is in memory."""
        credentials = self._client.config.credentials
        if credentials.drivername not in ("duckdb", None):
            raise ConfigError(
                "The credentials of duckdb are an address of another kind of database. Give the "
                "path of a file, or set --destination to that database."
            )
        database: str = credentials.database
        if database in {":memory:", ":external:"}:
            return None
        file = Path(database).resolve()
        if is_unusable(file):
            raise ConfigError(
                f"DuckDB cannot use a file named {file.name}, because it has a database of that "
                "name. Rename the file."
            )
        return file


def _stored_datasets(client: SqlJobClientBase | None) -> Sequence[Sequence[Any]]:
    """Database, schema and comment of each of dlt's tables of schema versions in a file."""
    if client is None:
        return ()
    try:
        return (
            client.sql_client.execute_sql(
                "SELECT current_database(), schema_name, comment FROM duckdb_tables() "
                "WHERE database_name = current_database() AND table_name = %s",
                client.schema.version_table_name,
            )
            or ()
        )
    except DatabaseException:
        return ()


def _schema_of(name: str, stored: Sequence[Sequence[Any]]) -> str:
    """The schema of a dataset, of which `main` may be another name since its file was renamed."""
    schemas = {schema: comment for _, schema, comment in stored}
    if name in schemas:
        return name
    if name == MAIN:
        # the file was given the name of the dataset
        named = [
            schema for database, schema, _ in stored if database.casefold() == schema.casefold()
        ]
        return named[0] if named else name
    # the file had the name of the dataset
    return MAIN if schemas.get(MAIN) == MergingDuckDb.comment(name) else name
