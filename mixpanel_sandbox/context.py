"""What the handlers of the sandbox may look at and change."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timezone
from zoneinfo import ZoneInfo

from .messages import Params
from .project import Project


class Sessions:
    """The profile queries whose pages are being read; a session holds what its first page saw."""

    def __init__(self) -> None:
        """Start without sessions."""
        self._lock = threading.Lock()
        self._rows: dict[str, tuple[Params, Sequence[bytes]]] = {}

    def start(self, query: Params, rows: Sequence[bytes]) -> str:
        """Keep the rows of a query and return the id of their session."""
        session_id = f"{uuid.uuid4().int >> 94:010d}-SANDBX"
        with self._lock:
            self._rows[session_id] = (query, rows)
        return session_id

    def find(self, session_id: str, query: Params) -> Sequence[bytes] | None:
        """Return the rows of a session, or None: unknown, expired or of another query."""
        with self._lock:
            started_with, rows = self._rows.get(session_id, ({}, ()))
            known = session_id in self._rows
        return rows if known and started_with == query else None

    def expire(self) -> None:
        """Forget all sessions."""
        with self._lock:
            self._rows.clear()


@dataclass(frozen=True)
class World:
    """One project at one time, as every handler sees it."""

    project: Project
    clock: Callable[[], float]
    """Epoch seconds."""
    sessions: Sessions
    page_size: int
    total_on_every_page: bool

    def now(self) -> datetime:
        """Return the time in UTC."""
        return datetime.fromtimestamp(self.clock(), tz=timezone.utc)

    def local_now(self) -> datetime:
        """Return the time in the zone of the project."""
        return self.now().astimezone(ZoneInfo(self.project.timezone))

    def today(self) -> date:
        """Return the date in the zone of the project."""
        return self.local_now().date()
