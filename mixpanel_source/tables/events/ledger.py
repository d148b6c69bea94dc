"""Which days of `export` have been loaded, kept in the pipeline's state.

Pure: a view of a dict that dlt stores with the data it describes, so that it changes when, and only
when, the data is loaded. It replaces `dlt.sources.incremental`, which drops rows older than the
newest one seen: the late events that this exists for.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from datetime import date, datetime, timezone
from hashlib import blake2b
from typing import Any

from ... import constants
from ...decode.event_time import REACH_DAYS
from ...windows import DAY, Window, iter_days
from .loaded_windows import LoadedWindows

REMEMBERED_DAYS = constants.LOOKBACK_DAYS_MAX
"""Days before the newest synced day for which the time of reading is kept."""
OVERLAP_S = 3_600.0
"""Events become visible out of order, up to 45 minutes late: those received in the hour before a
read or a search may be missing from it."""


class Ledger:
    """The days that were loaded, and when each was read."""

    def __init__(self, state: dict[str, Any]) -> None:
        """Read and write `state`, a dict of JSON values."""
        self._state = state

    def record_window(self, window: Window, *, has_strays: bool) -> None:
        """Record that the days of `window` were read together.

        Args:
            window: now in the load package.
            has_strays: whether the own day of a row was not one of these days.
        """
        self.windows.record(window, has_strays=has_strays)
        if has_strays:
            self._state["has_strays"] = True

    @property
    def windows(self) -> LoadedWindows:
        """The days that were read together."""
        filters = json.dumps(self._state.get("filters") or {}, sort_keys=True)
        digest = blake2b(filters.encode(), digest_size=4).hexdigest()
        return LoadedWindows(self._state.setdefault("windows", {}), digest)

    @property
    def rows_a_day(self) -> int:
        """The events of the day loaded last, duplicates included; 0 before the first."""
        rows: int = self._state.get("rows_a_day", 0)
        return rows

    def record_rows(self, window: Window, rows: int) -> None:
        """Record that the days of `window` have as many events, duplicates included."""
        self._state["rows_a_day"] = rows // window.length_days

    @property
    def synced_through(self) -> date | None:
        """The newest day that a sync has loaded."""
        text = self._state.get("synced_through")
        return None if text is None else date.fromisoformat(text)

    @property
    def loaded_span(self) -> Window | None:
        """From the oldest remembered day to the newest; None before the first load."""
        days = sorted(self.read_on)
        return Window(days[0], days[-1]) if days else None

    @property
    def read_on(self) -> Mapping[date, date]:
        """Recently loaded day -> the date (UTC) of the request that was loaded last."""
        return {
            date.fromisoformat(day): datetime.fromtimestamp(at, timezone.utc).date()
            for day, at in self._read_at.items()
        }

    def read_at(self, window: Window) -> float:
        """When a day of the window was last read, in seconds since the epoch; 0 if never."""
        return max((self._read_at.get(str(day), 0.0) for day in window.days), default=0.0)

    def backfilled_through(self, wanted: Window) -> date | None:
        """The newest day loaded of an unfinished backfill of exactly `wanted`."""
        text = self._state.get("backfills", {}).get(str(wanted))
        return None if text is None else date.fromisoformat(text)

    def record_sync(self, window: Window, *, read_at: float) -> None:
        """Record that a sync loads `window`, read at `read_at`."""
        newest = max(window.last, self.synced_through or window.last)
        self._state["synced_through"] = str(newest)
        self._remember(window, read_at, newest)

    def record_backfill(self, window: Window, wanted: Window, *, read_at: float) -> None:
        """Record that a backfill of `wanted` loads `window`; the cursor of syncs does not move."""
        backfills = self._state.setdefault("backfills", {})
        if window.last < wanted.last:
            backfills[str(wanted)] = str(window.last)
        else:
            backfills.pop(str(wanted), None)
        self._remember(window, read_at, self.synced_through or window.last)

    def end_backfill(self, wanted: Window) -> None:
        """Record that `wanted` is complete: the next backfill of it starts over."""
        self._state.get("backfills", {}).pop(str(wanted), None)

    @property
    def searched_at(self) -> float | None:
        """When late events were last searched for, in seconds since the epoch; None if never."""
        at: float | None = self._state.get("searched_at")
        return at

    def loaded_days(self, window: Window) -> list[date]:
        """The days of `window` that were loaded: the remembered ones, and older synced ones."""
        through = self.synced_through
        forgotten = date.min if through is None else through - DAY * REMEMBERED_DAYS
        return [day for day in window.days if str(day) in self._read_at or day < forgotten]

    def known_until(self, days: Collection[date]) -> float:
        """The time up to which all arrivals for `days` are known, in seconds since the epoch.

        Arrivals for a day are known up to its last read or search, less the overlap. Days too old
        to be remembered are assumed to be as the remembered ones.
        """
        searched = self._searched_days
        until = [
            max(
                self._read_at.get(str(day), 0.0),
                (self.searched_at or 0.0) if day in searched else 0.0,
            )
            for day in days
        ]
        known = filter(None, until) if any(until) else self._read_at.values()
        return max(0.0, min(known, default=0.0) - OVERLAP_S)

    def record_search(self, window: Window, *, at: float, newest: Mapping[date, float]) -> None:
        """Record that all of `window` was searched for late events.

        Args:
            window: all days of the search, loaded or not.
            at: when the search began, seconds since the epoch.
            newest: day -> when its newest event arrived, seconds since the epoch.
        """
        # an event may be filed under another day than that of its time
        reach = REACH_DAYS if self._state.get("has_strays") else 0
        for day in self.loaded_days(window):
            around = iter_days(day - DAY * reach, day + DAY * reach)
            arrived = max((newest.get(other, 0.0) for other in around), default=0.0)
            if arrived:
                self._late[str(day)] = max(arrived, self._late.get(str(day), 0.0))
        self._state["late"] = {str(day): self._late[str(day)] for day in self.late_days}
        self._state["searched_at"] = at
        self._state["searched_days"] = [str(window.first), str(window.last)]

    @property
    def late_days(self) -> list[date]:
        """The days for which events arrived after they were last read."""
        return [
            date.fromisoformat(day)
            for day, arrived_at in sorted(self._late.items())
            if arrived_at > self._read_at.get(day, 0.0) - OVERLAP_S
        ]

    def record_catch_up(self, window: Window, *, read_at: float) -> None:
        """Record that a catch-up loads `window`; the cursor of syncs does not move."""
        for day in window.days:
            self._late.pop(str(day), None)
        self._remember(window, read_at, self.synced_through or window.last)

    @property
    def lost_days(self) -> list[date]:
        """The days that were loaded and are no longer in the table, or not completely."""
        return [date.fromisoformat(day) for day in self._state.get("lost", ())]

    def record_lost(self, days: Iterable[date]) -> None:
        """Record days that a sync has to read again, whatever was recorded before."""
        lost = sorted({*self._state.get("lost", ()), *map(str, days)})
        if lost:
            self._state["lost"] = lost

    def note_filters(self, filters: dict[str, Any]) -> bool:
        """Record the filters that events are loaded with; returns whether they changed."""
        before = self._state.get("filters")
        self._state["filters"] = filters
        return before is not None and before != filters

    @property
    def _late(self) -> dict[str, float]:
        late: dict[str, float] = self._state.setdefault("late", {})
        return late

    @property
    def _searched_days(self) -> Collection[date]:
        first, last = self._state.get("searched_days", (str(date.max), str(date.min)))
        return {*iter_days(date.fromisoformat(first), date.fromisoformat(last))}

    @property
    def _read_at(self) -> dict[str, float]:
        read_at: dict[str, float] = self._state.setdefault("read_at", {})
        return read_at

    def _remember(self, window: Window, read_at: float, newest: date) -> None:
        self._read_at.update({str(day): read_at for day in window.days})
        if "lost" in self._state:
            read = {*map(str, window.days)}
            self._state["lost"] = [day for day in self._state["lost"] if day not in read]
        oldest = str(newest - DAY * REMEMBERED_DAYS)
        self._state["read_at"] = {
            day: at for day, at in sorted(self._read_at.items()) if day >= oldest
        }
