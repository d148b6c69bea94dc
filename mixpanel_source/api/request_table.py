"""The log of a project's requests in a table of PostgreSQL, for machines that share a project."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from ..errors import ConfigError, MixpanelError
from ..sql import advisory_key
from .usage import Usage, usage_from_json

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection  # noqa: N812 - it is a class

TABLE = "_mixpanel_requests"
_CREATE = f"CREATE TABLE IF NOT EXISTS {TABLE} (name text PRIMARY KEY, usage text NOT NULL)"
_SELECT = f"SELECT usage FROM {TABLE} WHERE name = %(name)s"  # noqa: S608 - our own name
_UPSERT = (
    f"INSERT INTO {TABLE} VALUES (%(name)s, %(usage)s) "  # noqa: S608 - as above
    "ON CONFLICT (name) DO UPDATE SET usage = excluded.usage"
)


class PostgresLog:
    """A row of a table, locked through an advisory lock of a session.

    The lock ends with the connection, so a process that is killed keeps nobody waiting.
    """

    def __init__(self, address: str, name: str) -> None:
        """Connect with the first request.

        Args:
            address: `postgresql://user:password@host:port/database`.
            name: of the row.

        Raises:
            ConfigError: the driver is not installed.
        """
        try:
            import psycopg2  # noqa: PLC0415 - an extra
        except ImportError as error:
            raise ConfigError(
                "quota_store is an address of Postgres, which needs its driver: "
                "pip install 'mixpanel-source[postgres]'."
            ) from error
        self._driver: Any = psycopg2
        self._address = address
        self._name = name
        self._key = advisory_key(f"{TABLE} {name}")
        self._open: Connection | None = None

    def read(self) -> Usage:
        """The usage as last written.

        Raises:
            MixpanelError: the database cannot be used.
        """
        with self._errors():
            rows = self._execute(_SELECT, name=self._name)
            return usage_from_json(rows[0][0]) if rows else Usage()

    @contextmanager
    def hold(self) -> Iterator[Usage | None]:
        """Lock the row; None if another process holds it.

        Raises:
            MixpanelError: the database cannot be used.
        """
        with self._errors():
            is_held = self._execute("SELECT pg_try_advisory_lock(%(key)s)", key=self._key)[0][0]
        if not is_held:
            yield None
            return
        try:
            yield self.read()
        finally:
            with self._errors():
                self._execute("SELECT pg_advisory_unlock(%(key)s)", key=self._key)

    def write(self, usage: Usage) -> None:
        """Store the usage.

        Raises:
            MixpanelError: the database cannot be used.
        """
        with self._errors():
            self._execute(_UPSERT, name=self._name, usage=usage.to_json().decode())

    def _execute(self, statement: str, **values: object) -> list[tuple[Any, ...]]:
        if self._open is None or self._open.closed:
            self._open = self._connect()
        with self._open.cursor() as cursor:
            cursor.execute(statement, values)
            return cursor.fetchall() if cursor.description else []

    def _connect(self) -> Connection:
        connection: Connection = self._driver.connect(
            self._address, application_name="mixpanel-source", connect_timeout=30
        )
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("SELECT to_regclass(%(table)s)", {"table": TABLE})
            if cursor.fetchone() == (None,):
                # another process may create it at the same time, even with IF NOT EXISTS
                with suppress(self._driver.errors.UniqueViolation):
                    cursor.execute(_CREATE)
        return connection

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except self._driver.Error as error:
            # not the driver's text, which may repeat the address
            code = f" (SQLSTATE {error.pgcode})" if error.pgcode else ""
            raise MixpanelError(
                f"quota_store: the Postgres database cannot be used{code}. Check that it is "
                "running, and that the account may create a table and write to it."
            ) from error


def is_postgres(address: str) -> bool:
    """Whether a text is the address of a PostgreSQL database, and not a directory."""
    return re.match(r"postgres(ql)?://", address) is not None
