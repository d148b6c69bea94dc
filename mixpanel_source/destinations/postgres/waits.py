"""Watches for statements of a job that wait for a lock of another program in PostgreSQL.

PostgreSQL lets a statement wait for as long as the other program holds its lock, and says nothing.
The sessions of a job are found by the name that `name_sessions` gives them, because dlt and its
drivers open them.
"""

from __future__ import annotations

import logging
import os
import platform
import time
from threading import Event, Thread
from typing import TYPE_CHECKING, NamedTuple

from ...constants import LOCK_POLL_SECONDS
from ...errors import BusyError

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection  # noqa: N812 - it is a class

logger = logging.getLogger("mixpanel_source")

_NAME_BYTES = 63
"""Maximum length of a session's name in PostgreSQL."""
_CANCEL_POLL_SECONDS = 0.2
"""Between two looks once waiting was given up, because dlt tries a statement again."""
_WAITS = """
SELECT w.pid, b.pid, b.application_name, b.usename, b.state, (
    SELECT l.relation::regclass::text FROM pg_locks AS l
    WHERE l.pid = w.pid AND NOT l.granted AND l.relation IS NOT NULL LIMIT 1
)
FROM pg_stat_activity AS w
CROSS JOIN LATERAL unnest(pg_blocking_pids(w.pid)) AS blocking (pid)
JOIN pg_stat_activity AS b ON b.pid = blocking.pid
WHERE w.application_name = current_setting('application_name') AND w.usename = current_user
AND b.application_name <> w.application_name
"""


def session_name() -> str:
    """The name of the sessions of this process."""
    return f"mixpanel-source, process {os.getpid()} on {platform.node()}"[:_NAME_BYTES]


def name_sessions() -> None:
    """Name the sessions that this process opens from now on, also those that drivers open."""
    os.environ["PGAPPNAME"] = session_name()


class _Wait(NamedTuple):
    """A statement that waits for a lock, and who holds it."""

    pid: int
    blocker: int
    program: str
    user: str
    state: str
    table: str | None

    @property
    def reason(self) -> str:
        return (
            f"Postgres session {self.blocker} ({self.program or 'unnamed'}, user {self.user}, "
            f"{self.state}) holds a lock on {self.table or 'a row'} for which this job waits. Wait "
            f"until it has ended, or end it: SELECT pg_terminate_backend({self.blocker})."
        )


class WaitWatch:
    """A thread that logs the waits of this process, and ends those that take too long.

    Args:
        connection: of a session named by `session_name`, in autocommit mode.
        max_wait_s: maximum seconds a statement may wait.
    """

    def __init__(self, connection: Connection, max_wait_s: float) -> None:
        """Start watching."""
        self.interruption: BusyError | None = None
        """Why a statement was cancelled; None if none was."""
        self._connection = connection
        self._max_wait_s = max_wait_s
        self._ended = Event()
        self._thread = Thread(target=self._watch, name="mixpanel-waits", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Stop watching."""
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        import psycopg2  # noqa: PLC0415 - an extra

        since: dict[tuple[int, int], float] = {}
        try:
            while not self._ended.wait(
                _CANCEL_POLL_SECONDS if self.interruption else LOCK_POLL_SECONDS
            ):
                waits = {(wait.pid, wait.blocker): wait for wait in self._find_waits()}
                since = {key: since.get(key, time.monotonic()) for key in waits}
                for key, wait in waits.items():
                    self._handle(wait, waited_s=time.monotonic() - since[key])
        except psycopg2.Error as error:
            # the job finds out itself that the connection is lost
            logger.debug("Waits in Postgres are no longer watched: %s.", type(error).__name__)

    def _find_waits(self) -> list[_Wait]:
        with self._connection.cursor() as cursor:
            cursor.execute(_WAITS)
            return [_Wait(*row) for row in cursor.fetchall()]

    def _handle(self, wait: _Wait, *, waited_s: float) -> None:
        if self.interruption is None and waited_s < self._max_wait_s:
            if waited_s < LOCK_POLL_SECONDS:  # it is new
                logger.warning("%s Waiting for up to %.0f s.", wait.reason, self._max_wait_s)
            return
        self.interruption = BusyError(wait.reason)
        with self._connection.cursor() as cursor:
            cursor.execute("SELECT pg_cancel_backend(%s)", (wait.pid,))
