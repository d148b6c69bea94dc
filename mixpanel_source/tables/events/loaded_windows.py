"""Which days were read in one request, kept in the pipeline's state.

Pure. A reply does not say which day Mixpanel files an event under, only that it is one of the days
requested. Usually it is the day of the event's `time`. If it is another day of the same window,
nothing shows that. Then the rows of the window as a whole are exact, those of each of its days
perhaps not: a later window that covers only some of these days would replace rows that it does not
serve, or add rows that are stored under the other days. Where this may be so, the days that such a
window leaves out have to be read again with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import date
from typing import Any, NamedTuple

from ...decode.event_time import REACH_DAYS
from ...windows import DAY, Window


class LoadedWindow(NamedTuple):
    """Days that were read in one request."""

    window: Window
    has_strays: bool
    """Whether the own day of a row was not one of these days."""
    filters: str
    """Identifies the filters that it was read with."""


class LoadedWindows:
    """The windows of more than one day, as far as later windows have not replaced them.

    They do not overlap. Days in none of them were read one by one.
    """

    def __init__(self, state: dict[str, Any], filters: str = "") -> None:
        """Read and write a part of the state.

        Args:
            state: a dict of JSON values, first day -> last day, whether strays, filters.
            filters: identifies the filters that are set now.
        """
        self._state = state
        self._filters = filters

    def record(self, window: Window, *, has_strays: bool) -> None:
        """Record that `window` was read in one request.

        What it leaves of other windows is from now on a window of its own: the caller has found
        that rows can be told apart by their day, or reads the rest as well.
        """
        for loaded in self.cut_by(window):
            self._remove(loaded.window)
            for rest in loaded.window.without(window):
                self._add(loaded._replace(window=rest))
        for loaded in self._overlapping([window]):
            self._remove(loaded.window)
        self._add(LoadedWindow(window, has_strays, self._filters))

    def cut_by(self, window: Window) -> list[LoadedWindow]:
        """The windows of which `window` covers some of the days but not all, oldest first."""
        return [
            loaded
            for loaded in self._overlapping([window])
            if loaded.window.first < window.first or window.last < loaded.window.last
        ]

    def rests_to_read(
        self, window: Window, *, has_strays: bool, lost_rows: Callable[[Sequence[date]], bool]
    ) -> list[Window]:
        """What has to be read together with `window`, so that both replace exactly their rows.

        Args:
            window: that was read, and is not recorded yet.
            has_strays: whether the own day of one of its rows is outside it.
            lost_rows: whether the table holds rows under some days, all of them in `window`, that
                the reply does not have.
        """
        rests = []
        for loaded in self.cut_by(window):
            # with other filters rows are missing for another reason
            comparable = loaded.filters == self._filters
            border = border_days(loaded.window, window) if comparable else []
            if has_strays or loaded.has_strays or lost_rows(border):
                rests += loaded.window.without(window)
        return rests

    def with_whole_windows(self, days: Iterable[date]) -> list[date]:
        """The days, and all others that were read together with one of them, ascending."""
        given = {*days}
        windows = [Window(day, day) for day in given]
        return sorted(given.union(*(found.window.days for found in self._overlapping(windows))))

    def _overlapping(self, windows: Sequence[Window]) -> list[LoadedWindow]:
        all_loaded = (
            LoadedWindow(Window(date.fromisoformat(first), date.fromisoformat(last)), *rest)
            for first, (last, *rest) in sorted(self._state.items())
        )
        return [
            loaded
            for loaded in all_loaded
            if any(loaded.window.overlaps(window) for window in windows)
        ]

    def _add(self, loaded: LoadedWindow) -> None:
        window, *rest = loaded
        if window.length_days > 1:
            self._state[str(window.first)] = [str(window.last), *rest]

    def _remove(self, window: Window) -> None:
        del self._state[str(window.first)]


def border_days(loaded: Window, window: Window) -> list[date]:
    """The days of both windows under which rows of the rest of `loaded` may be stored."""
    shared = Window(max(loaded.first, window.first), min(loaded.last, window.last))
    return [
        day
        for day in shared.days
        if (loaded.first < window.first and day < window.first + DAY * REACH_DAYS)
        or (window.last < loaded.last and day > window.last - DAY * REACH_DAYS)
    ]
