"""The log of loaded windows: the rows of `_mixpanel_loads`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timezone
from typing import Any, NamedTuple

from ..decode.json_values import Repairs

LOADS_TABLE = "_mixpanel_loads"
COLUMNS_TABLE = "_mixpanel_columns"
REJECTED_TABLE = "_mixpanel_rejected"
SOURCE_NAME = "mixpanel"
"""Name of the source, under which dlt keeps its schema and its state."""
LOADS_KEY = ["table_name", "first_day", "last_day", "fetched_at"]


class KeptDay(NamedTuple):
    """A day whose rows stay although Mixpanel serves fewer events."""

    held: int
    """Rows in the table."""
    served: int
    """Events that Mixpanel serves now, without duplicates."""


@dataclass
class WindowLoad:
    """A window in a load package; becomes a row of `_mixpanel_loads`."""

    table_name: str
    first_day: date
    last_day: date
    bytes: int
    requests: int
    fetched_at: float
    is_final: bool
    rows: int = 0
    duplicates_dropped: int = 0
    duplicates_differing: int = 0
    """Duplicates whose content is not that of the row kept instead."""
    rows_outside_window: int = 0
    """Rows of days that were not requested, dropped because their own window has them."""
    rows_forgotten: int = 0
    """Rows of forgotten persons, which are not loaded."""
    rows_rejected: int = 0
    """Rows of another shape than expected, which are in `_mixpanel_rejected` instead."""
    repairs: Repairs = field(default_factory=Counter)
    filters: dict[str, Any] = field(default_factory=dict)
    """The filters that were set for it."""
    is_truncated: bool = False
    """Whether Mixpanel says that it left out segments of a report."""
    part: str = ""
    """The cohort, group type or report, in a table that is loaded part by part."""
    kept_days: dict[date, KeptDay] = field(default_factory=dict)
    """Settled days whose rows stay although Mixpanel serves fewer events, see `archive_guard`."""
    replaces_days: bool = True
    """Whether it replaces or adds any day other than these."""
    masked: frozenset[str] = frozenset()
    """Properties that were masked in its rows."""

    @classmethod
    def of_reading(
        cls, table_name: str, *, rows: int, size: int, requests: int, fetched_at: float
    ) -> WindowLoad:
        """The window of a table that is read as a whole: the day of the reading, in UTC."""
        day = date_in_utc(fetched_at)
        return cls(table_name, day, day, size, requests, fetched_at, is_final=True, rows=rows)

    @property
    def read_on(self) -> date:
        """Date (UTC) of the request."""
        return date_in_utc(self.fetched_at)

    def as_row(self) -> dict[str, Any]:
        """The row of `_mixpanel_loads`."""
        return {
            "table_name": self.table_name,
            "part": self.part,
            "first_day": self.first_day,
            "last_day": self.last_day,
            "rows": self.rows,
            "bytes": self.bytes,
            "requests": self.requests,
            "retries": self.requests - 1,
            "duplicates_dropped": self.duplicates_dropped,
            "duplicates_differing": self.duplicates_differing,
            "rows_outside_window": self.rows_outside_window,
            "rows_kept": sum(day.held - day.served for day in self.kept_days.values()),
            "days_kept": {str(day): kept._asdict() for day, kept in self.kept_days.items()},
            "rows_forgotten": self.rows_forgotten,
            "rows_rejected": self.rows_rejected,
            "values_repaired": self.repairs.total(),
            "repairs": dict(self.repairs),
            "filters": self.filters,
            "is_truncated": self.is_truncated,
            "is_final": self.is_final,
            "fetched_at": datetime.fromtimestamp(self.fetched_at, timezone.utc),
        }

    @property
    def log_fields(self) -> dict[str, Any]:
        """Fields for a log that has more than text."""
        return {
            "table": self.table_name,
            **({"part": self.part} if self.part else {}),
            "window": f"{self.first_day}..{self.last_day}",
            "rows": self.rows,
            "bytes": self.bytes,
            "requests": self.requests,
            "duplicates_dropped": self.duplicates_dropped,
            "rows_rejected": self.rows_rejected,
            "values_repaired": self.repairs.total(),
        }

    def __str__(self) -> str:
        """One line for the log."""
        days = str(self.first_day)
        if self.first_day != self.last_day:
            days += f"..{self.last_day}"
        notes = [f"{self.rows:,} rows", f"{self.bytes / 1e6:,.1f} MB"]
        if self.requests > 1:
            notes.append(f"{self.requests} requests")
        if self.duplicates_dropped:
            notes.append(f"{self.duplicates_dropped:,} duplicates dropped")
        if self.duplicates_differing:
            notes.append(f"{self.duplicates_differing:,} of them with other content")
        if self.rows_outside_window:
            notes.append(f"{self.rows_outside_window:,} of days not requested dropped")
        if self.rows_forgotten:
            notes.append(f"{self.rows_forgotten:,} of forgotten persons left out")
        if self.rows_rejected:
            notes.append(f"{self.rows_rejected:,} rejected")
        notes += [f"{count:,} {kind} repaired" for kind, count in sorted(self.repairs.items())]
        table = f"{self.table_name} {self.part}".rstrip()
        return f"{table} {days}: {', '.join(notes)}"


def describe_rejected(loads: Iterable[WindowLoad]) -> str:
    """What to report of loads with rejected rows; empty if there are none."""
    counts: Counter[str] = Counter()
    for load in loads:
        counts[load.table_name] += load.rows_rejected
    if not counts.total():
        return ""
    rows = ", ".join(f"{number:,} of {table}" for table, number in counts.items() if number)
    return (
        f"Rows that do not have the expected shape: {rows}. They are in the table "
        f"{REJECTED_TABLE}; everything else was loaded."
    )


def completed_loads(client: Any) -> str:  # noqa: ANN401 - any SQL client
    """The load log as a table in SQL, of completed loads only.

    The log is committed apart from the data, so a load that failed half way may be in it. dlt
    stores the id of a load once all of it is committed.
    """
    loads, ids = map(client.make_qualified_table_name, (LOADS_TABLE, "_dlt_loads"))
    completed = f"SELECT load_id FROM {ids} WHERE status = 0"  # noqa: S608 - dlt's own name
    return f"(SELECT * FROM {loads} WHERE _dlt_load_id IN ({completed})) AS loads"  # noqa: S608 - our own names


def date_in_utc(at: float) -> date:
    """The date in UTC of a time in seconds since the epoch."""
    return datetime.fromtimestamp(at, timezone.utc).date()
