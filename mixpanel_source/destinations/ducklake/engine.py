"""The DuckDB that reads and writes a lake: one for each lake in a process.

dlt opens a DuckDB for every connection, and loading the extensions takes the better part of a
second each time. Here connections to the same lake share a DuckDB in memory that has them loaded.
The lake is attached to it only while there are connections, because an attached catalog may be
locked for other processes.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import lru_cache
from threading import RLock
from typing import Any

import duckdb
from dlt.destinations.impl.duckdb.configuration import DuckDbConnectionPool
from duckdb import DuckDBPyConnection

from ...sql import quote_name
from .extensions import load_extensions

_numbers = itertools.count(1)


class Engine:
    """A DuckDB in memory with extensions.

    Args:
        lake: name under which the lake is attached.
        extensions: names of the extensions.

    Raises:
        ConfigError: an extension is not installed.
    """

    def __init__(self, lake: str, extensions: Sequence[str]) -> None:
        """Start it."""
        self.lock = RLock()
        """Held while the lake is attached or detached: DuckDB must not do so on two threads."""
        self._lake = lake
        self._connections = 0
        # a name of its own: DuckDB would share a nameless one with nobody, but a lake not at all
        self._root = duckdb.connect(f":memory:mixpanel_lake_{next(_numbers)}")
        try:
            load_extensions(self._root, extensions)
        except BaseException:
            self._root.close()
            raise

    def connect(self) -> DuckDBPyConnection:
        """A new connection, to be given to `close`."""
        with self.lock:
            connection = self._root.cursor()
            self._connections += 1
            return connection

    def close(self, connection: DuckDBPyConnection) -> None:
        """Close a connection; with the last one the lake is detached."""
        with self.lock:
            connection.close()
            self._connections -= 1
            if self._connections == 0:
                self._root.execute(f"DETACH DATABASE IF EXISTS {quote_name(self._lake)}")


@lru_cache(maxsize=8)
def engine_of(lake: str, place: str, extensions: tuple[str, ...]) -> Engine:
    """The engine of a lake.

    Args:
        lake: name under which it is attached.
        place: of its catalog and its files.
        extensions: names of the extensions it needs.
    """
    del place  # tells lakes of the same name apart
    return Engine(lake, extensions)


class EnginePool(DuckDbConnectionPool):
    """dlt's pool of connections, of which each is one of an engine."""

    def __init__(self, credentials: Any, place: str, extensions: Sequence[str]) -> None:  # noqa: ANN401 - of a lake
        """Prepare for the lake that these credentials are of."""
        super().__init__(credentials, always_open_connection=True)
        self._lake = str(credentials.ducklake_name)
        self._place = place
        self._extensions = tuple(extensions)

    def borrow_conn(
        self,
        global_config: dict[str, Any] | None = None,
        local_config: dict[str, Any] | None = None,
        pragmas: list[str] | None = None,
    ) -> DuckDBPyConnection:
        """A connection with these settings, to be given to `return_conn`."""
        engine = self.engine
        connection = engine.connect()
        try:
            settings = {**(self.credentials.global_config or {}), **(global_config or {})}
            self._apply_config(connection, "GLOBAL", settings)
            self._execute_statements(connection)
            self._apply_local_config(connection, local_config or {}, pragmas or [])
        except BaseException:
            engine.close(connection)
            raise
        return connection

    def return_conn(self, borrowed_conn: DuckDBPyConnection) -> int:
        """Close a connection."""
        self.engine.close(borrowed_conn)
        return 0

    @property
    def engine(self) -> Engine:
        """The engine, which is started if there is none yet."""
        return engine_of(self._lake, self._place, self._extensions)
