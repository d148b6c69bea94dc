"""DuckLake as a destination."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import dlt
from dlt.common.destination.reference import TDestinationReferenceArg

from ...errors import ConfigError, MixpanelError
from ...sql import quote_text
from ..base import TableFiles
from ..duckdb.destination import DuckDbSql
from ..duckdb.errors import explain
from ..exclusive import ExclusiveAccess
from ..failures import find_failure, iter_causes
from ..file_lock import lock_file

_FILES = ("duckdb", "sqlite")
"""Kinds of catalogs that are a file."""
_CATALOGS = (*_FILES, "postgres")
_ERASURE = (
    "CALL ducklake_flush_inlined_data({lake})",
    "CALL ducklake_rewrite_data_files({lake}, delete_threshold => 0)",
    "CALL ducklake_expire_snapshots({lake}, older_than => now())",
    "CALL ducklake_cleanup_old_files({lake}, cleanup_all => true)",
)
"""Statements that leave nothing of deleted rows.

Source: https://ducklake.select/docs/stable/duckdb/maintenance/recommended_maintenance.
"""


class DuckLake(DuckDbSql):
    """A lake: Parquet files, and a catalog in SQLite, DuckDB or PostgreSQL.

    Without configuration, the catalog is `ducklake.sqlite` in the working directory, and the files
    are in `ducklake.files` beside it.
    """

    extra = "mixpanel-source[ducklake]"

    @classmethod
    def build(cls, name: str) -> TDestinationReferenceArg:
        """DuckLake with our own merge."""
        from .client import ExactDuckLake  # noqa: PLC0415 - it needs what other destinations do not

        return ExactDuckLake(destination_name=None if name == "ducklake" else name)

    def build_beside(self) -> TDestinationReferenceArg:
        """The same lake: paths are relative to the working directory, which may change."""
        from .client import ExactDuckLake  # noqa: PLC0415 - as above

        return ExactDuckLake(
            credentials=self._client.config.credentials,
            destination_name=self._pipeline.destination.destination_name,
        )

    @property
    def location(self) -> str:
        """The catalog, which knows where the files are."""
        return f"ducklake {self._client.config.data_location()}"

    @property
    def view_obstacle(self) -> str | None:
        """DuckDB takes the name of the schema in a view for that of a database."""
        from .client import is_ambiguous  # noqa: PLC0415 - as above

        if not is_ambiguous(self.dataset_name, self._client.config.credentials.ducklake_name):
            return None
        return (
            f"DuckDB creates no views of tables in the schema {self.dataset_name}, because a "
            "database has that name too. Load into another dataset."
        )

    @property
    def exists(self) -> bool:
        """Whether the catalog exists; connecting would create it."""
        return self._file is None or self._file.exists()

    @property
    def refusal(self) -> str | None:
        """What dlt alone would do or would ignore, and catalogs that no job can lock."""
        prefix = f"DESTINATION__{self._name.upper()}"
        if not self.restores_schema:
            return (
                f"The pipeline to {self._name} was opened with dlt alone, which would download "
                "extensions of DuckDB. Open it with open_pipeline('ducklake')."
            )
        if self._catalog not in _CATALOGS:
            return (
                f"{self._name} has a catalog in {self._catalog}. Give one in sqlite, duckdb or "
                f"postgres: {prefix}__CREDENTIALS__CATALOG=sqlite:///lake.sqlite."
            )
        for ignored in ("BUCKET_URL", "CREDENTIALS__BUCKET_URL", "CREDENTIALS__STORAGE"):
            key = f"destination.{self._name}.{ignored.lower().replace('__', '.')}"
            if isinstance(dlt.secrets.get(key), str):
                return (
                    f"{prefix}__{ignored} has no effect. Set where the files of the lake are with "
                    f"{prefix}__CREDENTIALS__STORAGE__BUCKET_URL."
                )
        return None

    @property
    def restores_schema(self) -> bool:
        """A load does, unless the pipeline was opened with dlt alone."""
        from .client import LakeClient  # noqa: PLC0415 - as above

        return isinstance(self._client, LakeClient)

    def scans_cheaply(self, client: Any, table: str) -> bool:  # noqa: ANN401, ARG002 - any SQL client
        """A column is stored apart from the others, but the files may be far away."""
        return bool(self._client.config.credentials.storage.is_local_filesystem)

    def table_files(self, client: Any, table: str) -> TableFiles:  # noqa: ANN401 - any SQL client
        """What the catalog lists; a few rows may be in the catalog itself."""
        names = (client.credentials.ducklake_name, table, client.dataset_name)
        lake, name, schema = map(quote_text, names)
        ((count, size),) = client.execute_sql(
            "SELECT count(*), coalesce(sum(data_file_size_bytes), 0)::bigint "  # noqa: S608 - quoted
            f"FROM ducklake_list_files({lake}, {name}, schema => {schema})"
        )
        return TableFiles(count, size)

    def connection_error(self, error: BaseException) -> MixpanelError:
        """An extension is missing, or the catalog or the files cannot be reached."""
        for cause in iter_causes(error):
            if isinstance(cause, MixpanelError):
                return cause
        if self._catalog == "duckdb":
            return explain(error, self._file)
        failure = find_failure(error)
        if failure and "DATA_PATH" in failure.message:
            return ConfigError(
                f"The catalog {self._client.config.data_location()} is of a lake whose files are "
                f"elsewhere. Set DESTINATION__{self._name.upper()}__CREDENTIALS__STORAGE__"
                "BUCKET_URL to where they are, or give another catalog."
            )
        says = f" DuckDB says: {failure}." if failure else ""
        return MixpanelError(
            f"The lake of destination {self._name} cannot be opened: its catalog is "
            f"{self._client.config.data_location()}. Check the credentials of catalog and storage."
            f"{says}"
        )

    def acquire(self) -> ExclusiveAccess:
        """Lock the catalog's file, or the lake in the catalog's PostgreSQL, and open the lake.

        All datasets are locked, because transactions on different tables conflict in the catalog.
        """
        access = self._lock()
        try:
            with self.connect():
                return access
        except BaseException:
            access.release()
            raise

    def erase_deleted(self) -> None:
        """Rewrite files that have deleted rows, and delete all snapshots and files before that."""
        lake = quote_text(self._client.config.credentials.ducklake_name)
        with self.connect() as job_client:
            client: Any = job_client
            for call in _ERASURE:
                client.sql_client.execute_sql(call.format(lake=lake))
        if self._catalog == "sqlite" and self._file is not None:
            # the catalog has the smallest and the largest value of each column of each file
            with closing(sqlite3.connect(self._file)) as catalog:
                catalog.execute("VACUUM")
                catalog.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _lock(self) -> ExclusiveAccess:
        file = self._file
        if file is None:
            return self._lock_in_postgres()
        if not file.parent.is_dir():
            raise ConfigError(f"There is no directory {file.parent} for the catalog. Create it.")
        return lock_file(
            file.with_name(f".{file.name}.lock"),
            subject=f"Another job that loads into the lake of {file}",
            remedy="Move the catalog to a directory on a local disk.",
        )

    def _lock_in_postgres(self) -> ExclusiveAccess:
        try:
            import psycopg2  # noqa: PLC0415 - an extra
        except ImportError as error:
            raise ConfigError(
                f"A catalog in postgres needs a driver: pip install '{self.extra}'."
            ) from error
        from ..postgres.session_lock import lock_in_session  # noqa: PLC0415 - as above

        credentials = self._client.config.credentials
        lake = credentials.metadata_schema or credentials.ducklake_name
        address = credentials.catalog.to_url().render_as_string(hide_password=False)
        try:
            return lock_in_session(address, lake, kind="lake")
        except psycopg2.OperationalError as error:
            raise self.connection_error(error) from error

    @property
    def _catalog(self) -> str:
        from .client import catalog_kind  # noqa: PLC0415 - as above

        return catalog_kind(self._client.config.credentials)

    @property
    def _file(self) -> Path | None:
        """The file of the catalog; None if it is in a database server."""
        database = self._client.config.credentials.catalog.database
        return Path(database).resolve() if self._catalog in _FILES else None
