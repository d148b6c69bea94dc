"""State shared by all endpoints: the projects, the clock, profile query sessions, the inbox."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timezone
from zoneinfo import ZoneInfo

from .messages import Params
from .project import Project
from .writes.inbox import Inbox
from .writes.meter import IngestionMeter


class Sessions:
    """Result snapshots of profile queries, which clients page through by session id."""

    def __init__(self) -> None:
        """Start without sessions."""
        self._lock = threading.Lock()
        self._rows: dict[str, tuple[Params, Sequence[bytes]]] = {}

    def start(self, query: Params, rows: Sequence[bytes]) -> str:
        """Store the rows of a query and return the new session id."""
        session_id = f"{uuid.uuid4().int >> 94:010d}-SANDBX"
        with self._lock:
            self._rows[session_id] = (query, rows)
        return session_id

    def find(self, session_id: str, query: Params) -> Sequence[bytes] | None:
        """Return the rows of a session.

        Returns:
            None if the session is unknown, expired or belongs to another query.
        """
        with self._lock:
            started_with, rows = self._rows.get(session_id, ({}, ()))
            known = session_id in self._rows
        return rows if known and started_with == query else None

    def expire(self) -> None:
        """Drop all sessions."""
        with self._lock:
            self._rows.clear()


@dataclass(frozen=True)
class WriteLimits:
    """Limits on writing requests."""

    import_bytes: int
    """Maximum uncompressed bytes of a request to /import."""


@dataclass(frozen=True)
class Context:
    """What an endpoint reads to answer a request, and where it stores what is written."""

    project: Project
    """The project of the request."""
    projects: Sequence[Project]
    """All projects of the account that the host of the request knows."""
    clock: Callable[[], float]
    """Returns epoch seconds."""
    sessions: Sessions
    page_size: int
    """Default profiles per page."""
    total_on_every_page: bool
    """Whether profile pages after the first have `total` and `page_size`."""
    inbox: Inbox
    meter: IngestionMeter
    entity_meter: IngestionMeter
    """Counts the entries of the Lexicon that are written."""
    lookup_meter: IngestionMeter
    """Counts the replacements of lookup tables."""
    write_limits: WriteLimits

    def for_project(self, project: Project) -> Context:
        """Return the same context for another project."""
        return replace(self, project=project)

    def for_region(self, region: str) -> Context:
        """Return the context of the hosts of a region, which know its projects only."""
        projects = [project for project in self.projects if project.region == region]
        return replace(self, projects=projects)

    def now(self) -> datetime:
        """Return the current time in UTC."""
        return datetime.fromtimestamp(self.clock(), tz=timezone.utc)

    def local_now(self) -> datetime:
        """Return the current time in the project timezone."""
        return self.now().astimezone(ZoneInfo(self.project.timezone))

    def today(self) -> date:
        """Return the current date in the project timezone."""
        return self.local_now().date()
