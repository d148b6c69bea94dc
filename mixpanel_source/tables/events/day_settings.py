"""Which settings each day was loaded with, kept in the pipeline's state.

Pure. Days that were loaded with another `project_timezone`, `properties` or `mask` have other
values or columns than the rest. Only loading them again changes that, so each run names them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator
from datetime import date
from typing import Any

from ...config.masking import UNMASKED, key_of
from ...config.model import Config
from ...windows import DAY, Window

EFFECTS = {
    "project_timezone": "their times are of another zone",
    "properties": "their properties are in other columns",
    "mask": "they hold values as Mixpanel served them, or masked in another way",
}
"""Setting -> what is different about days that were loaded with another value."""

OLDEST = {"mask": UNMASKED}
"""Setting -> its value for days that were loaded before it was recorded."""
MAX_NAMED = 3
"""Runs of days that a warning lists."""
Values = dict[str, str]


class DaySettings:
    """The settings of all loaded days, as runs of days with the same values."""

    def __init__(self, state: dict[str, Any], config: Config) -> None:
        """Read and write a part of the state.

        Args:
            state: of the resource.
            config: the settings of this run.
        """
        self._state = state
        self._now = {
            "project_timezone": config.project_timezone,
            "properties": config.properties,
            "mask": config.mask_version,
        }

    def start(self, loaded: Window | None) -> None:
        """Assume that days loaded before this was kept have the settings of this run.

        Args:
            loaded: these days; None if there are none.
        """
        if loaded is not None and "day_settings" not in self._state:
            self._record(loaded, {**self._now, **OLDEST})

    def record(self, window: Window, *, kept: Collection[date] = ()) -> None:
        """Record that `window` is loaded with the settings of this run.

        Args:
            window: now in the load package.
            kept: days of it that keep the rows that they had.
        """
        if not kept:
            self._record(window, self._now)
            return
        for day in window.days:
            if day not in kept:
                self._record(Window(day, day), self._now)

    def with_other_key(self, days: Collection[date]) -> list[date]:
        """Those of the days whose keys of rows were made with another `mask_key`, or with none."""
        masks = [(run, key_of(values["mask"])) for run, values in self._runs()]
        return [
            day
            for day in days
            if next((key for run, key in masks if run.first <= day <= run.last), UNMASKED)
            != key_of(self._now["mask"])
        ]

    def _record(self, window: Window, of_window: Values) -> None:
        runs = [(rest, values) for days, values in self._runs() for rest in days.without(window)]
        merged: list[tuple[Window, Values]] = []
        for days, values in sorted([*runs, (window, of_window)], key=lambda run: run[0]):
            if merged and merged[-1][1] == values and merged[-1][0].last + DAY == days.first:
                merged[-1] = (Window(merged[-1][0].first, days.last), values)
            else:
                merged.append((days, values))
        self._state["day_settings"] = [
            [str(days.first), str(days.last), values] for days, values in merged
        ]

    def warnings(self) -> Iterator[str]:
        """Yields a sentence for each setting that days were loaded with another value of."""
        others: defaultdict[tuple[str, str], list[Window]] = defaultdict(list)
        for days, values in self._runs():
            for name in EFFECTS:
                if values.get(name, self._now[name]) != self._now[name]:
                    others[name, values[name]].append(days)
        for (name, value), windows in others.items():
            named = ", ".join(map(str, windows[:MAX_NAMED])) + "..." * (len(windows) > MAX_NAMED)
            yield (
                f"{name} is {self._now[name]}, but {named} were loaded with "
                f"{value}: {EFFECTS[name]}. Set {name} back, or load the days again: "
                f"backfill --range {windows[0].first},{windows[-1].last}"
            )

    def _runs(self) -> list[tuple[Window, Values]]:
        return [
            (Window(date.fromisoformat(first), date.fromisoformat(last)), {**OLDEST, **values})
            for first, last, values in self._state.get("day_settings", ())
        ]
