"""What the rest of the package needs to know of a destination, and nothing else.

`Destination` holds for every destination of dlt that nothing special is known of. One that differs
has a subclass in a module of its own, and a row in `registry`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, NamedTuple
from urllib.parse import urlsplit

import dlt
from dlt.common.configuration.exceptions import ConfigurationValueError
from dlt.common.destination.reference import TDestinationReferenceArg
from dlt.common.schema.exceptions import InvalidSchemaName
from dlt.destinations.job_client_impl import SqlJobClientBase

from ..errors import ConfigError, MixpanelError
from .exclusive import ExclusiveAccess
from .queries import Queries


class TableFiles(NamedTuple):
    """The files with the current rows of a table."""

    number: int
    size: int
    """Bytes, as stored."""


class Destination:
    """The destination of a pipeline.

    Args:
        pipeline: that loads to it or reads from it. Properties that look at its configuration
            resolve the credentials, and raise dlt's `ConfigurationException` without any.
    """

    extra: ClassVar[str] = "dlt[{name}]"
    """What to install for it, `{name}` being dlt's name of the destination."""
    takes_views: ClassVar[bool] = False
    """Whether it is a database that understands the SQL of our views."""
    deletes_rows: ClassVar[bool] = False
    """Whether it is a database from which rows can be deleted, in a transaction."""
    table_type: ClassVar[str] = "BASE TABLE"
    """What the catalog calls a table that was loaded."""
    json_member: ClassVar[str] = "{column} ->> {name}"
    """Text of a member of a JSON object, `name` being the member's name as a SQL text."""
    reads_our_files: ClassVar[bool] = False
    """Whether it reads any parquet file, not only those with the properties that dlt chooses."""
    updates_rows: ClassVar[bool] = False
    """Whether it changes a few rows anywhere in a table faster than it replaces all rows."""
    shares_files: ClassVar[bool] = False
    """Whether an engine of several processes may load it."""
    comments_query: ClassVar[str | None] = None
    """Query for table, column and comment of every column in a schema, `{schema}` being its name
    as a SQL text; None if columns have no comments that we can read."""
    comment_statement: ClassVar[str] = "COMMENT ON COLUMN {column} IS {text}"
    """Statement that writes a comment: on a column, qualified and quoted, a SQL text."""

    credentials_example: ClassVar[str] = ""
    """How credentials look; empty if we do not know it."""

    def __init__(self, pipeline: dlt.Pipeline) -> None:
        self._pipeline = pipeline
        self._connected: SqlJobClientBase | None = None

    @classmethod
    def build(cls, name: str) -> TDestinationReferenceArg:
        """The destination for one `dlt.pipeline`.

        Args:
            name: as the user gave it, which is also where dlt looks for the credentials.
        """
        return name

    def build_beside(self) -> TDestinationReferenceArg:
        """The destination for a second pipeline that loads to the same place as this one."""
        return self._pipeline.destination

    @property
    def dataset_name(self) -> str:
        """The dataset of the pipeline, as the destination calls it."""
        client = self._client
        named = client.sql_client if isinstance(client, SqlJobClientBase) else client
        name: str = getattr(named, "dataset_name", None) or self._pipeline.dataset_name
        return name

    def find_dataset(self) -> str:
        """The dataset to use where the user wants that of the pipeline."""
        return self.dataset_name

    @property
    def location(self) -> str:
        """Where the datasets are: the same for the same place, and without credentials."""
        config = self._client.config
        place = urlsplit(getattr(config, "bucket_url", None) or "")
        parts = (
            self._pipeline.destination.destination_type,
            f"{place.scheme}://{place.hostname or ''}{place.path}" if place.path else "",
            _data_location(config),
            getattr(config.credentials, "database", None),
        )
        return " ".join(str(part) for part in parts if part)

    @property
    def view_obstacle(self) -> str | None:
        """Why no views can be created of the tables, and what to do; None if they can."""
        return None

    @property
    def exists(self) -> bool:
        """Whether there is something to connect to: connecting to a missing file may create it."""
        return True

    @property
    def database_file(self) -> Path | None:
        """The file that holds the whole database, for programs that open it; None if none does."""
        return None

    def check(self) -> None:
        """Check that it keeps every value, before the first request.

        Raises:
            ConfigError: it cannot; the message says what to do.
            DestinationException: it cannot be reached.
            MixpanelError: it cannot be reached.
        """

    def connection_error(self, error: BaseException) -> MixpanelError:  # noqa: ARG002 - see DuckDb
        """What it means that no connection could be opened, and what to do.

        Args:
            error: of the driver or of dlt.
        """
        return MixpanelError(
            f"destination {self._pipeline.destination.destination_name} cannot be reached. Check "
            "its credentials and that it is running."
        )

    @contextmanager
    def connect(self) -> Iterator[SqlJobClientBase | None]:
        """Connect dlt's client for a SQL database; None if the destination is not one.

        Within the context of a connection, the same client again. Only for one thread at a time.

        Raises:
            MixpanelError: a connection could not be opened.
        """
        client = self._client
        if self._connected or not isinstance(client, SqlJobClientBase):
            yield self._connected
            return
        try:
            client.sql_client.open_connection()
        except Exception as error:
            # of dlt or of the driver, of whatever type
            raise self.connection_error(error) from error
        self._connected = client
        try:
            yield client
        finally:
            self._connected = None
            client.sql_client.close_connection()

    def acquire(self) -> ExclusiveAccess:
        """Acquire exclusive access to the dataset, as far as the destination offers it.

        Raises:
            BusyError: another job has it; the message says which, if that is known.
            MixpanelError: the destination cannot be reached.
        """
        return ExclusiveAccess()

    def open_queries(self) -> Queries:
        """Read-only queries, in connections that can reach nothing but the database.

        Raises:
            ConfigError: it offers no such connections.
        """
        raise ConfigError(
            f"{self._name} cannot be queried from here. Queries are for duckdb and postgres; use a "
            f"client of {self._name}."
        )

    def erase_deleted(self) -> None:
        """Erase deleted rows also from what the destination keeps of earlier states of tables.

        Raises:
            DestinationException: that failed; it can be repeated.
        """

    @property
    def restores_schema(self) -> bool:
        """Whether a load creates tables and columns again that somebody has dropped."""
        return False

    def scans_cheaply(self, client: Any, table: str) -> bool:  # noqa: ANN401, ARG002 - any SQL client
        """Whether reading a whole column of a table takes no more than a few seconds."""
        return False

    def table_files(self, client: Any, table: str) -> TableFiles | None:  # noqa: ANN401, ARG002 - any SQL client
        """The files of a table; None if it shares them with other tables, or they are unknown.

        Args:
            client: an open SQL client of the dataset.
            table: name of a table that exists.
        """
        return None

    @property
    def appends(self) -> bool:
        """Whether rows are added only, and none replaced."""
        return "delete-insert" not in self._merge_strategies

    @property
    def refusal(self) -> str | None:
        """Why nothing may be loaded here, and what to do; None if it may."""
        # it merges by a key alone, and dlt would refuse a load only once everything is fetched
        if self.appends and self._merge_strategies:
            return f"{self._name} cannot replace the rows of a day. Load into DuckDB or Postgres."
        return None

    @property
    def limits(self) -> str | None:
        """What a loader has to know at each run; None where every promise is tested."""
        if self.appends:
            return (
                f"{self._name} cannot replace rows: what is read again is stored again. Of each "
                "day, and of all profiles, only the rows with the newest _dlt_load_id count."
            )
        return (
            f"{self._name} is not among the tested destinations, DuckDB and Postgres. Compare "
            "what arrives with mixpanel-source reconcile."
        )

    @property
    def _merge_strategies(self) -> Sequence[str]:
        return self._client.capabilities.supported_merge_strategies or ()

    @property
    def _name(self) -> str:
        return self._pipeline.destination.destination_name

    @cached_property
    def _client(self) -> Any:  # noqa: ANN401 - each destination has a client of its own
        try:
            return self._pipeline.destination_client()
        except InvalidSchemaName as error:
            name = self._pipeline.pipeline_name
            raise ConfigError(
                f"dlt cannot use the name {name} for a new pipeline. Open the pipeline with "
                f"open_pipeline(name={name!r}), or give it a name without hyphens."
            ) from error


def _data_location(config: Any) -> str:  # noqa: ANN401 - each destination has one of its own
    with suppress(ConfigurationValueError):  # it is not known
        return config.data_location() or ""
    return ""
