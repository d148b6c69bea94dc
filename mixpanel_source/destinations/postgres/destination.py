"""PostgreSQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dlt.common.destination.reference import TDestinationReferenceArg
from dlt.destinations import postgres

from ...errors import ConfigError, MixpanelError
from ...sql import quote_text
from ..base import Destination
from ..exclusive import ExclusiveAccess
from ..failures import find_failure
from ..queries import Queries
from .credentials import LibpqConfiguration
from .queries import PostgresQueries

if TYPE_CHECKING:
    from dlt.destinations.impl.postgres.postgres import PostgresClient

ENCODING = "UTF8"
"""Encoding of all connections, whatever the environment, the role or the database would choose."""
_CHEAP_BYTES = 1 << 30
"""Size of a table that is read as a whole within a few seconds."""
_ENCODINGS = "SELECT current_setting('server_encoding'), current_setting('client_encoding')"


class ExactPostgres(postgres):
    """PostgreSQL with the client of `copy`, under dlt's own name.

    With that name it finds the configuration of dlt's PostgreSQL, and a pipeline that it has loaded
    can be opened with dlt alone.
    """

    spec = LibpqConfiguration  # type: ignore[assignment] # narrower than dlt's

    @property
    def destination_type(self) -> str:
        """The type that goes into the pipeline's state."""
        return "dlt.destinations.postgres"

    @property
    def client_class(self) -> type[PostgresClient]:
        """The client that creates the load jobs."""
        from .copy import CopyingClient  # noqa: PLC0415 - needs an extra

        return CopyingClient


class Postgres(Destination):
    """A PostgreSQL database."""

    credentials_example = (
        "postgresql://user:password@host:5432/database, with special characters in the password "
        "percent-encoded"
    )
    extra = "mixpanel-source[postgres]"
    takes_views = True
    deletes_rows = True
    reads_our_files = True
    updates_rows = True
    comments_query = (
        "SELECT c.relname, a.attname, col_description(a.attrelid, a.attnum) "
        "FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid "
        "JOIN pg_namespace AS n ON n.oid = c.relnamespace "
        "WHERE n.nspname = {schema} AND a.attnum > 0 AND NOT a.attisdropped"
    )

    limits = None

    @classmethod
    def build(cls, name: str) -> TDestinationReferenceArg:  # noqa: ARG003 - there is only one
        """PostgreSQL with our own client."""
        return ExactPostgres()

    def check(self) -> None:
        """Check for the packages and encodings that keep every text as it is."""
        if not self._takes_parquet:
            raise ConfigError(
                "destination postgres needs the ADBC driver; without it empty texts would become "
                f"null. Install it: pip install '{self.extra}'."
            )
        with self.connect() as job_client:
            client: Any = job_client
            [(server, connection)] = client.sql_client.execute_sql(_ENCODINGS)
        if server != ENCODING:
            raise ConfigError(
                f"The database has the encoding {server}, which cannot hold all text. Create one "
                "that can, CREATE DATABASE mixpanel ENCODING 'UTF8' TEMPLATE template0, and set "
                "it in the credentials of the destination."
            )
        if connection != ENCODING:
            raise ConfigError(
                f"The pipeline connects to Postgres with the encoding {connection}, which would "
                "change texts. Open the pipeline with open_pipeline('postgres'), or add "
                "client_encoding=UTF8 to the credentials."
            )

    @property
    def _takes_parquet(self) -> bool:
        """Whether dlt finds the packages that copy parquet files."""
        capabilities = self._client.capabilities
        _, formats = capabilities.loader_file_format_selector(
            capabilities.preferred_loader_file_format,
            capabilities.supported_loader_file_formats,
            table_schema={},
        )
        return "parquet" in formats

    def connection_error(self, error: BaseException) -> MixpanelError:
        """Name the server."""
        failure = find_failure(error)
        says = f" Postgres says: {failure}." if failure else ""
        server = self._client.config.credentials
        host = server.host or "the local socket"
        return MixpanelError(
            f"destination {self._pipeline.destination.destination_name} cannot be reached at "
            f"{host}:{server.port}. Check its credentials and that it is running.{says}"
        )

    @property
    def restores_schema(self) -> bool:
        """A load does, unless the pipeline was opened with dlt alone."""
        return isinstance(self._pipeline.destination, ExactPostgres)

    def scans_cheaply(self, client: Any, table: str) -> bool:  # noqa: ANN401 - any SQL client
        """A column can only be read with all others."""
        name = client.make_qualified_table_name(table)
        [(size,)] = client.execute_sql(f"SELECT pg_table_size({quote_text(name)})")
        return bool(size <= _CHEAP_BYTES)

    def acquire(self) -> ExclusiveAccess:
        """Lock the dataset, with an advisory lock that the session of a connection holds."""
        import psycopg2  # noqa: PLC0415 - an extra

        from .session_lock import lock_in_session  # noqa: PLC0415 - as above

        address = self._client.config.credentials.to_native_representation()
        try:
            return lock_in_session(address, self._client.sql_client.dataset_name)
        except psycopg2.OperationalError as error:
            raise self.connection_error(error) from error

    def open_queries(self) -> Queries:
        """Queries in read-only transactions."""
        address = self._client.config.credentials.to_native_representation()
        schema: str = self._client.sql_client.dataset_name
        return PostgresQueries(address, schema, self.connection_error)
