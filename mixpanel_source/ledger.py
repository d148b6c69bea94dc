"""What has been loaded of the export, kept in the pipeline's state.

Pure: a view of a dict that dlt stores with the data it describes, so that it moves when, and only
when, the data has been loaded. It is our own and not `dlt.sources.incremental`, which drops rows
older than the newest seen: the late events this exists for.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timezone
from typing import Any

from . import settings
from .windows import DAY, Window

REMEMBERED_DAYS = settings.LOOKBACK_DAYS_MAX
"""Days before the newest synced one for which the time of reading is kept."""


class Ledger:
    """The days that were loaded, and when they were read."""

    def __init__(self, state: dict[str, Any]) -> None:
        """Read and write `state`, a dict of JSON values."""
        self._state = state

    @property
    def synced_through(self) -> date | None:
        """The newest day that a sync has loaded."""
        text = self._state.get("synced_through")
        return None if text is None else date.fromisoformat(text)

    @property
    def read_on(self) -> Mapping[date, date]:
        """For the days loaded lately: the date (UTC) of the request that was loaded last."""
        return {
            date.fromisoformat(day): datetime.fromtimestamp(at, timezone.utc).date()
            for day, at in self._read_at.items()
        }

    def read_at(self, window: Window) -> float:
        """When the day of the window that was read last was read, seconds since the epoch."""
        return max((self._read_at.get(str(day), 0.0) for day in window.days), default=0.0)

    def backfilled_through(self, wanted: Window) -> date | None:
        """The newest day loaded of an unfinished backfill of exactly `wanted`."""
        text = self._state.get("backfills", {}).get(str(wanted))
        return None if text is None else date.fromisoformat(text)

    def record_sync(self, window: Window, *, read_at: float) -> None:
        """Note that a sync loads `window`, as it was read at `read_at`."""
        newest = max(window.last, self.synced_through or window.last)
        self._state["synced_through"] = str(newest)
        self._remember(window, read_at, newest)

    def record_backfill(self, window: Window, wanted: Window, *, read_at: float) -> None:
        """Note that a backfill of `wanted` loads `window`; the cursor of syncs stays."""
        backfills = self._state.setdefault("backfills", {})
        if window.last < wanted.last:
            backfills[str(wanted)] = str(window.last)
        else:
            backfills.pop(str(wanted), None)
        self._remember(window, read_at, self.synced_through or window.last)

    def end_backfill(self, wanted: Window) -> None:
        """Note that there is nothing left to load of `wanted`: the next time it starts anew."""
        self._state.get("backfills", {}).pop(str(wanted), None)

    def note_filters(self, filters: dict[str, Any]) -> bool:
        """Keep the filters that events are loaded with; tells whether others held before."""
        before = self._state.get("filters")
        self._state["filters"] = filters
        return before is not None and before != filters

    @property
    def _read_at(self) -> dict[str, float]:
        read_at: dict[str, float] = self._state.setdefault("read_at", {})
        return read_at

    def _remember(self, window: Window, read_at: float, newest: date) -> None:
        self._read_at.update({str(day): read_at for day in window.days})
        oldest = str(newest - DAY * REMEMBERED_DAYS)
        self._state["read_at"] = {
            day: at for day, at in sorted(self._read_at.items()) if day >= oldest
        }
