"""The client that loads into a lake, one commit a table.

dlt loads a package with one job a file, and starts follow-up jobs when the last file of a table is
done. So each file's job does nothing but leave the file in place, and the follow-up job, a file
with the extension `.sql`, commits all files of the table together. A package is loaded once its id
is in dlt's table of loads, which is written last: state of an unfinished package is never read.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from dlt.common.destination.capabilities import DestinationCapabilitiesContext
from dlt.common.destination.client import FollowupJobRequest, LoadJob
from dlt.common.destination.typing import PreparedTableSchema
from dlt.common.libs.pyarrow import get_column_type_from_py_arrow
from dlt.common.schema import Schema
from dlt.common.schema.typing import TTableSchemaColumns
from dlt.destinations.impl.duckdb.duck import DuckDbClient
from dlt.destinations.insert_job_client import InsertValuesJobClient
from typing_extensions import override

from ..missing_tables import CreatesMissingTables
from ..package_files import KeepFileJob
from .factory import LakeConfiguration, open_tables
from .jobs import CommitJob, CommitRequest
from .sql import LakeSqlClient


class LakeClient(CreatesMissingTables, DuckDbClient):
    """Loads into the tables of a lake.

    Args:
        schema: of the pipeline.
        config: where the lake is.
        capabilities: of the destination.
    """

    def __init__(
        self,
        schema: Schema,
        config: LakeConfiguration,
        capabilities: DestinationCapabilitiesContext,
    ) -> None:
        names = self.create_dataset_names(schema, config)
        self._sql = LakeSqlClient(*names, open_tables(config, names[0]), capabilities)
        # not that of DuckDB's client, which expects the credentials of a database
        InsertValuesJobClient.__init__(self, schema, config, self._sql)
        self.type_mapper = self.capabilities.get_type_mapper()

    @override
    def initialize_storage(self, truncate_tables: Iterable[str] | None = None) -> None:
        """Create the directory; the commit of a table replaces its rows."""
        if not self.is_storage_initialized():
            self._sql.create_dataset()

    @override
    def get_storage_tables(
        self, table_names: Iterable[str]
    ) -> Iterable[tuple[str, TTableSchemaColumns]]:
        """The columns of tables; none if a table does not exist.

        Those of dlt come first. Missing tables are created in this order, one commit each, and a
        process that is killed meanwhile must not leave tables of ours without those of dlt: they
        would look as if somebody had dropped the latter.
        """
        own = {*self.schema.dlt_table_names()}
        for name in sorted(table_names, key=lambda name: name not in own):
            fields = self._sql.tables.schema(name) or ()
            columns: Any = {
                field.name: {
                    "name": field.name,
                    "nullable": True,
                    **get_column_type_from_py_arrow(field.type),
                }
                for field in fields
            }
            yield name, columns

    @override
    def should_truncate_table_before_load(self, table_name: str) -> bool:
        """Never: the commit replaces the rows."""
        return False

    @override
    def should_load_data_to_staging_dataset(self, table_name: str) -> bool:
        """Never: the commit reads the files of the package."""
        return False

    @override
    def create_load_job(
        self,
        table: PreparedTableSchema,
        file_path: str,
        load_id: str,
        restore: bool = False,
    ) -> LoadJob:
        """The job of a file, or of a table."""
        return CommitJob(file_path) if file_path.endswith(".sql") else KeepFileJob(file_path)

    def _create_append_followup_jobs(
        self, table_chain: Sequence[PreparedTableSchema]
    ) -> list[FollowupJobRequest]:
        return [CommitRequest(table_chain[0])]

    _create_merge_followup_jobs = _create_append_followup_jobs
    _create_replace_followup_jobs = _create_append_followup_jobs
