"""What has been loaded of the export, kept in the pipeline's state.

Pure: a view of a dict that dlt stores with the data it describes, so that it moves when, and only
when, the data has been loaded. It is our own and not `dlt.sources.incremental`, which drops rows
older than the newest seen: the late events this exists for.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date, datetime, timezone
from typing import Any

from .. import constants
from ..windows import DAY, Window, iter_days

REMEMBERED_DAYS = constants.LOOKBACK_DAYS_MAX
"""Days before the newest synced one for which the time of reading is kept."""
OVERLAP_S = 3_600.0
"""Events become visible out of order, for up to 45 minutes: what came in the hour before a reading
or a look may not have been in it."""


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

    @property
    def looked_at(self) -> float | None:
        """When late events were last looked for, seconds since the epoch."""
        at: float | None = self._state.get("looked_at")
        return at

    def loaded_days(self, window: Window) -> list[date]:
        """The days of `window` that were loaded: those remembered, and those synced before."""
        through = self.synced_through
        forgotten = date.min if through is None else through - DAY * REMEMBERED_DAYS
        return [day for day in window.days if str(day) in self._read_at or day < forgotten]

    def known_until(self, days: Collection[date]) -> float:
        """Until when it is known what has arrived for each of `days`, seconds since the epoch.

        Known is what arrived for a day until it was read, or looked through, less the overlap. What
        is not remembered of old days is taken to be as it is with those that are remembered.
        """
        looked = self._looked_through
        until = [
            max(self._read_at.get(str(day), 0.0), (self.looked_at or 0.0) if day in looked else 0.0)
            for day in days
        ]
        known = filter(None, until) if any(until) else self._read_at.values()
        return max(0.0, min(known, default=0.0) - OVERLAP_S)

    def record_look(self, window: Window, *, at: float, newest: Mapping[date, float]) -> None:
        """Note that all of `window` was looked through for late events.

        Args:
            window: all days that were to be looked through, loaded or not.
            at: when the look began, seconds since the epoch.
            newest: day -> when the newest of its events arrived, seconds since the epoch.
        """
        for day in self.loaded_days(window):
            if day in newest:
                self._late[str(day)] = max(newest[day], self._late.get(str(day), 0.0))
        self._state["late"] = {str(day): self._late[str(day)] for day in self.late_days}
        self._state["looked_at"] = at
        self._state["looked_through"] = [str(window.first), str(window.last)]

    @property
    def late_days(self) -> list[date]:
        """The days for which events have arrived that were not there when it was read last."""
        return [
            date.fromisoformat(day)
            for day, arrived_at in sorted(self._late.items())
            if arrived_at > self._read_at.get(day, 0.0) - OVERLAP_S
        ]

    def record_catch_up(self, window: Window, *, read_at: float) -> None:
        """Note that a catch-up loads `window`; the cursor of syncs stays."""
        for day in window.days:
            self._late.pop(str(day), None)
        self._remember(window, read_at, self.synced_through or window.last)

    def note_filters(self, filters: dict[str, Any]) -> bool:
        """Keep the filters that events are loaded with; tells whether others held before."""
        before = self._state.get("filters")
        self._state["filters"] = filters
        return before is not None and before != filters

    @property
    def _late(self) -> dict[str, float]:
        late: dict[str, float] = self._state.setdefault("late", {})
        return late

    @property
    def _looked_through(self) -> Collection[date]:
        first, last = self._state.get("looked_through", (str(date.max), str(date.min)))
        return {*iter_days(date.fromisoformat(first), date.fromisoformat(last))}

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
