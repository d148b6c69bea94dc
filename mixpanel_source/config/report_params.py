"""Which parameters the endpoints of reports take, and what they may be; data only.

Which parameters there are, and which are required, is in the catalog.

Source: the page of each endpoint in https://developer.mixpanel.com/reference/query-api.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

RESERVED: Final = ("from_date", "to_date", "format", "project_id", "workspace_id")
"""Parameters that follow from other settings; a report must not declare them."""

SCRIPT: Final = "script"
"""Parameter of `jql`: the text of the script."""
SCRIPT_FILE: Final = "script_file"
"""Takes the place of `SCRIPT`: the path of the script, which is read when the report is loaded."""

COUNTS_BACK: Final = ("event_counts", "event_properties")
"""Tables where `interval` is another way to give the days, so that it is reserved too."""

EXCLUSIVE_UNIT: Final = ("funnels", "retention", "segmentation")
"""Tables that take either `unit` or `interval`.

Source: https://developer.mixpanel.com/reference/retention-query, which answers status 500 to both.
"""

NUMBERS: Final = ("bookmark_id", "funnel_id", "interval", "interval_count", "length", "limit")
"""Parameters that are whole numbers of 1 or more."""

OBJECTS: Final = ("bookmark",)
"""Parameters that are a JSON object."""

PROPERTY_FILTERS: Final = ("where", "born_where", "values", "distinct_ids", "bookmark")
"""Parameters that may hold property values, which must not be logged."""

LISTS: Final = {
    "event_counts": "event",
    "event_properties": "values",
    "activity": "distinct_ids",
}
"""Table -> the parameter that is a JSON list; a single name stands for a list of one."""

_TYPES = ("general", "unique", "average")
_UNITS = ("minute", "hour", "day", "week", "month")
_LONG_UNITS = ("day", "week", "month")
_SHORT_UNITS = ("hour", "day")

CHOICES: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = {
    "funnels": {"unit": _LONG_UNITS, "length_unit": ("day", "hour", "minute", "second")},
    "segmentation": {"unit": ("minute", "hour", "day", "month"), "type": _TYPES},
    "segmentation_numeric": {"unit": _SHORT_UNITS, "type": _TYPES},
    "segmentation_sum": {"unit": _SHORT_UNITS},
    "segmentation_average": {"unit": _SHORT_UNITS},
    "retention": {"unit": _LONG_UNITS, "retention_type": ("birth", "compounded")},
    "frequency": {"unit": _LONG_UNITS, "addiction_unit": _SHORT_UNITS},
    "event_counts": {"unit": _UNITS, "type": _TYPES},
    "event_properties": {"unit": _UNITS, "type": _TYPES},
    "top_events": {"type": _TYPES},
    "event_names": {"type": _TYPES},
    "flows": {"query_type": ("flows_sankey", "flows_top_paths")},
}
"""Table -> parameter -> its valid values."""
