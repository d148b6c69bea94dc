"""Rows replaced straight from the files of a load package, without a staging table.

dlt's merge copies the files into a staging table, and from there into the table: the second copy
takes as long as the first. Here the follow-up job of a table reads its files itself, deletes and
inserts in one transaction.

dlt loads a package with one job a file, and starts follow-up jobs when the last file of a table is
done. So each file's job does nothing but leave the file in place, and the follow-up job, a file
with the extension `.sql`, replaces the rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dlt.common.destination.client import (
    FollowupJobRequest,
    HasFollowupJobs,
    LoadJob,
    RunnableLoadJob,
)
from dlt.common.destination.typing import PreparedTableSchema
from dlt.common.storages.load_package import PackageStorage, ParsedLoadJobFileName
from dlt.destinations.job_impl import FollowupJobRequestImpl

from .conditions import Conditions, conditions_of


class ReplacesFromFiles:
    """Part of a dlt client: replaces rows from files where a `Replacement` is declared."""

    def should_load_data_to_staging_dataset(self, table_name: str) -> bool:
        """Whether files are copied to a staging table: not where they are replaced from."""
        client: Any = super()
        if self._conditions(self.prepare_load_table(table_name)) is not None:  # type: ignore[attr-defined]
            return False
        is_staged: bool = client.should_load_data_to_staging_dataset(table_name)
        return is_staged

    def create_load_job(
        self, table: PreparedTableSchema, file_path: str, load_id: str, restore: bool = False
    ) -> LoadJob:
        """The job that loads a file."""
        conditions = self._conditions(table)
        if conditions is not None:
            if file_path.endswith(".sql"):
                return self._create_replace_job(file_path, conditions)
            return KeepFileJob(file_path)
        client: Any = super()
        job: LoadJob = client.create_load_job(table, file_path, load_id, restore)
        return job

    def _conditions(self, table: PreparedTableSchema) -> Conditions | None:
        """The conditions of a table that is replaced from files; None for others."""
        return conditions_of(table)

    def _create_replace_job(self, file_path: str, conditions: Conditions) -> LoadJob:
        raise NotImplementedError

    def _create_merge_followup_jobs(
        self, table_chain: Sequence[PreparedTableSchema]
    ) -> list[FollowupJobRequest]:
        if self._conditions(table_chain[0]) is not None:
            return [TableRequest(table_chain[0])]
        client: Any = super()
        jobs: list[FollowupJobRequest] = client._create_merge_followup_jobs(table_chain)
        return jobs


class KeepFileJob(RunnableLoadJob, HasFollowupJobs):
    """Completes a file without touching it; the follow-up job reads the completed files."""

    def run(self) -> None:
        """Do nothing."""


class TableRequest(FollowupJobRequestImpl):
    """Has dlt run a job for all files of a table."""

    def __init__(self, table: PreparedTableSchema, content: str = "") -> None:
        """Write the file of the job.

        Args:
            table: a table schema that dlt has prepared for a load.
            content: of the file.
        """
        file_id = ParsedLoadJobFileName.new_file_id()
        name = ParsedLoadJobFileName(str(table["name"]), file_id, 0, "sql")
        super().__init__(name.file_name())
        self._save_text_file(content)


def staged_files(job_file: str, table: str) -> list[str]:
    """The parquet files of a table in the package that is being loaded.

    Args:
        job_file: path of the file of a follow-up job of the package.
        table: name of the table.
    """
    # completed_jobs/ is beside started_jobs/, where the file of the job is
    completed = Path(job_file).parents[1] / PackageStorage.COMPLETED_JOBS_FOLDER
    return sorted(str(path) for path in completed.glob(f"{table}.*.parquet"))
