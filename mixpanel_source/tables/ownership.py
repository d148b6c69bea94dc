"""Which project and which pipeline a dataset belongs to.

A dataset holds one project, loaded by one pipeline. A second project would mix with the first, and
a second pipeline does not know what the first has loaded, so each would delete rows of the other.
The owner is therefore a row in the dataset itself: the first load claims the dataset, and every
later load must be by the same owner. A destination without SQL has no such row; there
`LoadContext.start_package` compares the project with the one in the pipeline's state.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import dlt
from dlt.common.destination.exceptions import DestinationUndefinedEntity
from dlt.common.versioned_state import decompress_state
from dlt.destinations.exceptions import DatabaseException
from dlt.destinations.job_client_impl import SqlJobClientBase

from ..destinations.registry import destination_of
from ..errors import ConfigError
from ..sql import quote_text
from .load_log import LOADS_TABLE, SOURCE_NAME
from .losses import check_dlt_tables

OWNER_TABLE = "_mixpanel_dataset"
_TYPES = {"project_id": "bigint", "pipeline": "text", "claimed_at": "timestamp"}
"""Column -> dlt's name of its type."""


@dataclass(frozen=True)
class Owner:
    """A project, and the pipeline that loads it."""

    project_id: int
    pipeline: str


def claim_dataset(pipeline: dlt.Pipeline, *, project_id: int) -> None:
    """Claim the dataset of a pipeline, or check that it is claimed already.

    A claim under which nothing was loaded, for instance because `project_id` was wrong, gives way
    to the next one.

    Raises:
        ConfigError: the dataset belongs to another project or another pipeline, or was damaged.
        DestinationException: the destination cannot be reached or written.
        MixpanelError: the destination cannot be reached.
    """
    if getattr(pipeline, "destination", None) is None:  # the pipeline extracts only
        return
    claimant = Owner(project_id, pipeline.pipeline_name)
    with destination_of(pipeline).connect() as job_client:
        if job_client is None:
            return
        table = _OwnerTable(job_client)
        owner = table.read() or _claim(table, claimant)
        if owner != claimant and not table.holds_loads():
            table.replace(claimant)
            owner = claimant
        if owner == claimant and destination_of(pipeline).restores_schema:
            check_dlt_tables(job_client)
    if owner != claimant:
        raise _refusal(owner, claimant, pipeline.dataset_name)


def release_claim(pipeline: dlt.Pipeline) -> None:
    """Remove the claim of a pipeline if nothing was loaded under it.

    Raises:
        DestinationException: the destination cannot be reached or written.
        MixpanelError: the destination cannot be reached.
    """
    with destination_of(pipeline).connect() as job_client:
        if job_client is None:
            return
        table = _OwnerTable(job_client)
        owner = table.read()
        if owner and owner.pipeline == pipeline.pipeline_name and not table.holds_loads():
            table.drop()


def _claim(table: _OwnerTable, claimant: Owner) -> Owner:
    """Claim a dataset without a claim; returns the owner, which may be another."""
    owner = _choose_loader(table.loaders(), claimant)
    try:
        table.create(owner)
    except DatabaseException:
        # another process claimed the dataset at the same time, or the table was emptied by hand
        stored = table.read()
        if stored is not None:
            return stored
        table.replace(owner)
    return owner


def _choose_loader(loaders: list[Owner], claimant: Owner) -> Owner:
    """The owner of a dataset that was loaded before datasets had a claim.

    Args:
        loaders: whose state is stored in the dataset, the last to load first.
        claimant: who wants to load now.
    """
    projects = {loader.project_id for loader in loaders}
    if not loaders or (claimant in loaders and len(projects) == 1):
        return claimant
    return loaders[0]


def _refusal(owner: Owner, claimant: Owner, dataset: str) -> ConfigError:
    if owner.project_id != claimant.project_id:
        return ConfigError(
            f"project_id is {claimant.project_id}, but the dataset holds project "
            f"{owner.project_id} (dataset {dataset}, pipeline {owner.pipeline}), and loading would "
            "mix the two. Choose another dataset or another database."
        )
    return ConfigError(
        f"the pipeline is {claimant.pipeline}, but the dataset {dataset} is loaded by the pipeline "
        f"{owner.pipeline}, and each would delete rows of the other. Load with --pipeline "
        f"{owner.pipeline}, or choose another dataset or another database."
    )


class _OwnerTable:
    """The table that holds the owner of a dataset, in one row.

    Args:
        job_client: connected.
    """

    def __init__(self, job_client: SqlJobClientBase) -> None:
        self._job_client = job_client
        self._client = job_client.sql_client
        self._name = self._client.make_qualified_table_name(OWNER_TABLE)
        escape = self._client.escape_column_name
        self._columns = [escape(name) for name in _TYPES]

    def read(self) -> Owner | None:
        """The owner; None if the dataset was never claimed."""
        project_id, pipeline, _ = self._columns
        try:
            rows = self._select(f"SELECT {project_id}, {pipeline} FROM {self._name}")  # noqa: S608 - our own names
        except DestinationUndefinedEntity:
            return None
        return Owner(int(rows[0][0]), rows[0][1]) if rows else None

    def create(self, owner: Owner) -> None:
        """Create the table, with its row."""
        if not self._client.has_dataset():
            self._client.create_dataset()
        # if two processes claim at once, creating the table fails for the second
        with self._transaction():
            self._client.execute_sql(f"CREATE TABLE {self._name} ({self._definitions()})")
            self._insert(owner)

    def replace(self, owner: Owner) -> None:
        """Replace the row."""
        with self._transaction():
            self._client.execute_sql(f"DELETE FROM {self._name} WHERE 1 = 1")  # noqa: S608 - our own name
            self._insert(owner)

    def drop(self) -> None:
        """Remove the table."""
        self._client.execute_sql(f"DROP TABLE {self._name}")

    def holds_loads(self) -> bool:
        """Whether a load was begun: the first thing it does is to create the tables."""
        name = self._client.make_qualified_table_name(LOADS_TABLE)
        try:
            self._select(f"SELECT count(*) FROM {name}")  # noqa: S608 - our own name
        except DestinationUndefinedEntity:
            return False
        return True

    def loaders(self) -> list[Owner]:
        """Whose state is stored in the dataset, the last to load first."""
        name = self._client.make_qualified_table_name(self._job_client.schema.state_table_name)
        column = self._client.escape_column_name("pipeline_name")
        try:
            rows = self._select(f"SELECT DISTINCT {column} FROM {name}")  # noqa: S608 - dlt's own names
        except DestinationUndefinedEntity:
            return []
        found: list[tuple[datetime, Owner]] = []
        for (pipeline,) in rows:
            stored: Any = self._job_client.get_stored_state(pipeline)
            state = decompress_state(stored.state) if stored else {}
            project_id = state.get("sources", {}).get(SOURCE_NAME, {}).get("project_id")
            if project_id is not None:
                found.append((stored.created_at, Owner(project_id, pipeline)))
        return [owner for _, owner in sorted(found, key=lambda entry: entry[0], reverse=True)]

    def _definitions(self) -> str:
        mapper: Any = self._client.capabilities.get_type_mapper()
        table = {"name": OWNER_TABLE}
        return ", ".join(
            f"{column} {mapper.to_destination_type({'name': name, 'data_type': type_}, table)}"
            for column, (name, type_) in zip(self._columns, _TYPES.items(), strict=True)
        )

    def _insert(self, owner: Owner) -> None:
        self._client.execute_sql(
            f"INSERT INTO {self._name} ({', '.join(self._columns)}) VALUES "  # noqa: S608 - our own names
            f"({owner.project_id}, {quote_text(owner.pipeline)}, CURRENT_TIMESTAMP)"
        )

    def _transaction(self) -> AbstractContextManager[Any]:
        if not self._client.capabilities.supports_ddl_transactions:
            return nullcontext()
        return self._client.begin_transaction()

    def _select(self, statement: str) -> list[Any]:
        return [*(self._client.execute_sql(statement) or ())]
