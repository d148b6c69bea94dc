"""Exclusive access to a dataset or a lake: an advisory lock of PostgreSQL, held by a session."""

from __future__ import annotations

import logging
from typing import Any

import psycopg2
from psycopg2.extensions import connection as Connection  # noqa: N812 - it is a class

from ...errors import BusyError, MixpanelError
from ...sql import advisory_key
from ..exclusive import ExclusiveAccess
from .destination import ENCODING
from .waits import WaitWatch, name_sessions, session_name

logger = logging.getLogger("mixpanel_source")

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


def lock_in_session(address: str, name: str, *, kind: str = "dataset") -> ExclusiveAccess:
    """Lock a dataset without waiting, for as long as a new connection lasts.

    Args:
        address: of the database, as libpq takes it.
        name: of the dataset, which tells it from others in the database.
        kind: of what is locked: a dataset, or a lake with all of its datasets.

    Raises:
        BusyError: another job has locked it.
        psycopg2.OperationalError: the database cannot be reached.
    """
    connection = _connect(address)
    try:
        key = name if kind == "dataset" else f"{kind} {name}"
        return _lock(connection, advisory_key(f"mixpanel-source {key}"), f"the {kind} {name}")
    except BaseException:
        connection.close()
        raise


def _connect(address: str) -> Connection:
    name_sessions()
    connection: Connection = psycopg2.connect(
        address, application_name=session_name(), client_encoding=ENCODING, **_KEEPALIVES
    )
    connection.autocommit = True
    return connection


def _lock(connection: Connection, key: int, place: str) -> ExclusiveAccess:
    if not _select(connection, f"{_SESSION}; SELECT pg_try_advisory_lock(%(key)s)", key)[0]:
        raise BusyError(
            f"Another job is loading into {place}"
            f"{_describe(_select(connection, _HOLDER, key))}. Wait until it has ended; if it "
            "hangs, kill its process."
        )
    if not _select(connection, _IS_HELD, key)[0]:
        # a relative of PostgreSQL, or a pooler that gives each statement another session
        logger.warning(
            "This server keeps no session-level advisory locks: make sure that only one job at "
            "a time loads into %s.",
            place,
        )
        connection.close()
        return ExclusiveAccess()
    return _SessionLock(connection, key, place)


class _SessionLock(ExclusiveAccess):
    """An advisory lock, held as long as the connection lasts."""

    def __init__(self, connection: Connection, key: int, place: str) -> None:
        self._connection = connection
        self._key = key
        self._place = place
        self._waits: WaitWatch | None = None

    @property
    def interruption(self) -> BusyError | None:
        return self._waits.interruption if self._waits else None

    def watch(self, max_wait_s: float) -> None:
        self._waits = WaitWatch(self._connection, max_wait_s)

    def check(self) -> None:
        cause = None
        try:
            if _select(self._connection, _IS_HELD, self._key)[0]:
                return
        except psycopg2.Error as error:
            cause = error
        raise MixpanelError(
            f"The connection to Postgres that locked {self._place} for this job was "
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
