"""The view `mixpanel_event`: `export` with the column names of Fivetran's table `event`.

It lets the public dbt package for Mixpanel run on this dataset. The type of each column is fixed,
so that views that depend on this one remain valid when other properties are loaded.

Source of the names: https://github.com/fivetran/dbt_mixpanel/blob/main/models/staging/src_mixpanel.yml
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence

from ..sql import quote_name, quote_text
from .properties import OVERFLOW_COLUMN, Property, as_text, group_by_name

RAW_COLUMN = "properties"
"""Optional column of `export` with all properties of an event as received."""

_TEXT_PROPERTIES = (
    "$ae_session_length",
    "$app_build_number",
    "$app_version_string",
    "$bluetooth_version",
    "$brand",
    "$browser",
    "$browser_version",
    "$carrier",
    "$city",
    "$current_url",
    "$device",
    "$device_id",
    "$distinct_id_before_identity",
    "$google_play_services",
    "$initial_referrer",
    "$initial_referring_domain",
    "$lib_version",
    "$manufacturer",
    "$model",
    "mp_country_code",
    "mp_keyword",
    "mp_lib",
    "$os",
    "$os_version",
    "$radio",
    "$referrer",
    "$referring_domain",
    "$region",
    "$search_engine",
)
_TYPED_PROPERTIES = {
    "$bluetooth_enabled": "bool",
    "$has_nfc": "bool",
    "$has_telephone": "bool",
    "mp_processing_time_ms": "bigint",
    "$screen_dpi": "bigint",
    "$screen_height": "bigint",
    "$screen_width": "bigint",
    "$wifi": "bool",
}
_SQL_TYPES = {"bool": "boolean", "bigint": "bigint"}
_OWN_COLUMNS = ("time", "distinct_id", "insert_id")

_QUERY = """\
-- One row per event, with the column names of Fivetran's table `event`; times are in UTC.
WITH days AS (
    SELECT DISTINCT event_date FROM {schema}.export
),
synced AS (
    SELECT days.event_date, max(loads.fetched_at) AS fetched_at
    FROM days
    JOIN {schema}._mixpanel_loads AS loads
        ON loads.table_name = 'export'
        AND days.event_date BETWEEN loads.first_day AND loads.last_day
    GROUP BY days.event_date
)
SELECT
    event_key AS _fivetran_id,
    event AS name,
    time AT TIME ZONE 'UTC' AS time,
    distinct_id,
    coalesce(insert_id, event_key) AS insert_id,
    synced.fetched_at AS _fivetran_synced,
    {columns},
    {properties} AS properties
FROM {schema}.export AS export
LEFT JOIN synced ON synced.event_date = export.event_date
"""


def build_mixpanel_event(schema: str, properties: Sequence[Property], *, raw: bool = False) -> str:
    """Build the query of the view.

    Events without an insert id get their event key instead: the dbt package would treat all events
    of a user and a day without an insert id as duplicates.

    Args:
        schema: Schema of `export` and `_mixpanel_loads`, as SQL.
        properties: The rows of `_mixpanel_columns` for `export`.
        raw: Whether `export` has the column `properties`.
    """
    by_name = group_by_name(properties)
    columns = [f"{as_text(by_name[name])} AS {name.lstrip('$')}" for name in _TEXT_PROPERTIES]
    columns += [
        f"{_as_typed(by_name[name], data_type)} AS {name.lstrip('$')}"
        for name, data_type in _TYPED_PROPERTIES.items()
    ]
    as_object = _as_object(by_name)
    if raw:
        as_object = f"coalesce(CAST({quote_name(RAW_COLUMN)} AS text), {as_object})"
    # not str.format(): property names are arbitrary and may contain braces
    before, _, rest = _QUERY.replace("{schema}", schema).partition("{columns}")
    between, _, after = rest.partition("{properties}")
    listed = ",\n    ".join(columns)
    return f"{before}{listed}{between}{as_object}{after}"


def _as_typed(items: Iterable[Property], data_type: str) -> str:
    """SQL for the values of a property of one type; other values are only in `properties`."""
    columns = [quote_name(item.column) for item in items if item.data_type == data_type]
    return columns[0] if columns else f"CAST(NULL AS {_SQL_TYPES[data_type]})"


def _as_object(by_name: Mapping[str, Sequence[Property]]) -> str:
    """SQL for a JSON object of all properties of an event, by their names in Mixpanel."""
    members = []
    for name, items in by_name.items():
        start = quote_text(_json_key(name))
        members += [
            f"{start} || CAST(to_json({quote_name(item.column)}) AS text)"
            for item in items
            if item.is_own and item.column not in _OWN_COLUMNS
        ]
    if any(item.column == OVERFLOW_COLUMN for items in by_name.values() for item in items):
        text = f"CAST({quote_name(OVERFLOW_COLUMN)} AS text)"
        members.append(f"nullif(trim(substr({text}, 2, length({text}) - 2)), '')")
    # coalesce: the object of an event without properties is {}, not NULL
    joined = f"coalesce(array_to_string(ARRAY[{', '.join(members)}], ','), '')" if members else "''"
    return f"'{{' || {joined} || '}}'"


def _json_key(name: str) -> str:
    return json.dumps(name, ensure_ascii=False) + ":"
