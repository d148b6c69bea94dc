"""PostgreSQL."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from dlt.common.destination.reference import TDestinationReferenceArg
from dlt.destinations import postgres

from ...errors import BusyError, ConfigError, MixpanelError
from ...sql import advisory_key, quote_text
from ..base import Destination
from ..exclusive import ExclusiveAccess
from ..failures import find_failure
from .credentials import LibpqConfiguration
from .waits import WaitWatch, name_sessions, session_name

if TYPE_CHECKING:
    from dlt.destinations.impl.postgres.postgres import PostgresClient
    from psycopg2.extensions import connection as Connection  # noqa: N812 - it is a class

logger = logging.getLogger("mixpanel_source")

ENCODING = "UTF8"
"""Encoding of all connections, whatever the environment, the role or the database would choose."""
_KEEPALIVES: dict[str, Any] = {
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
}
"""Within a minute of losing the server, the connection is found to be lost."""
_SESSION = (
    "SET tcp_keepalives_idle = 30; SET tcp_keepalives_interval = 10; SET tcp_keepalives_count = 3; "
    "SELECT set_config(name, '0', false) FROM pg_settings WHERE name = 'idle_session_timeout'"
)
"""The server keeps the session while it is idle, and ends it within a minute of losing us."""
_LOCKS = (
    "FROM pg_locks AS l WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 "
    "AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
    "AND l.classid::bigint = ((%(key)s::bigint >> 32) & 4294967295) "
    "AND l.objid::bigint = (%(key)s::bigint & 4294967295)"
)
_HOLDER = (
    "SELECT a.application_name, a.pid, a.backend_start "
    f"{_LOCKS.replace(' WHERE', ' JOIN pg_stat_activity AS a USING (pid) WHERE', 1)}"
)
_IS_HELD = f"SELECT EXISTS (SELECT 1 {_LOCKS} AND l.pid = pg_backend_pid())"
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
        connection = self._connect()
        try:
            return self._lock(connection)
        except BaseException:
            connection.close()
            raise

    def _connect(self) -> Connection:
        import psycopg2  # noqa: PLC0415 - an extra

        name_sessions()
        try:
            connection: Connection = psycopg2.connect(
                self._client.config.credentials.to_native_representation(),
                application_name=session_name(),
                client_encoding=ENCODING,
                **_KEEPALIVES,
            )
        except psycopg2.OperationalError as error:
            raise self.connection_error(error) from error
        connection.autocommit = True
        return connection

    def _lock(self, connection: Connection) -> ExclusiveAccess:
        dataset = self._client.sql_client.dataset_name
        key = advisory_key(f"mixpanel-source {dataset}")
        if not _select(connection, f"{_SESSION}; SELECT pg_try_advisory_lock(%(key)s)", key)[0]:
            raise BusyError(
                f"Another job is loading into the dataset {dataset}"
                f"{_describe(_select(connection, _HOLDER, key))}. Wait until it has ended; if it "
                "hangs, kill its process."
            )
        if not _select(connection, _IS_HELD, key)[0]:
            # a relative of PostgreSQL, or a pooler that gives each statement another session
            logger.warning(
                "This server keeps no session-level advisory locks: make sure that only one job at "
                "a time loads into the dataset %s.",
                dataset,
            )
            connection.close()
            return ExclusiveAccess()
        return _SessionLock(connection, key, dataset)


class _SessionLock(ExclusiveAccess):
    """An advisory lock, held as long as the connection lasts."""

    def __init__(self, connection: Connection, key: int, dataset: str) -> None:
        self._connection = connection
        self._key = key
        self._dataset = dataset
        self._waits: WaitWatch | None = None

    @property
    def interruption(self) -> BusyError | None:
        return self._waits.interruption if self._waits else None

    def watch(self, max_wait_s: float) -> None:
        self._waits = WaitWatch(self._connection, max_wait_s)

    def check(self) -> None:
        import psycopg2  # noqa: PLC0415 - an extra

        cause = None
        try:
            if _select(self._connection, _IS_HELD, self._key)[0]:
                return
        except psycopg2.Error as error:
            cause = error
        raise MixpanelError(
            f"The connection to Postgres that locked the dataset {self._dataset} for this job was "
            "lost, so another job may be loading into it. This job loads nothing more; what it "
            "loaded before is safe. Check the database and the network, and run again."
        ) from cause

    def release(self) -> None:
        if self._waits is not None:
            self._waits.end()
        self._connection.close()


def _select(connection: Connection, statement: str, key: int) -> tuple[Any, ...]:
    """The first row that a statement selects; empty if there is none."""
    with connection.cursor() as cursor:
        cursor.execute(statement, {"key": key})
        return cursor.fetchone() or ()


def _describe(session: tuple[Any, ...]) -> str:
    if not session:  # it ended just now
        return ""
    name, number, since = session
    return f": {name or 'unnamed'} (Postgres session {number}, since {since:%Y-%m-%d %H:%M %Z})"
