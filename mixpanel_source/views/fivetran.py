"""The view `mixpanel_event`: `export` under the names of Fivetran's table `event`.

With it the public dbt package for Mixpanel can run on what is loaded here. Each column keeps its
type whatever is loaded later, so views that stand on this one stay as they are.

Source: https://github.com/fivetran/dbt_mixpanel/blob/main/models/staging/src_mixpanel.yml (names).
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from ..sql import quote_name, quote_text
from .properties import Property

RAW_COLUMN = "properties"
"""Column of `export` that holds all properties as they came, if the setting asks for it."""
OVERFLOW_COLUMN = "other_properties"

_TEXTS = (
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
_TYPED = {
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
-- A row for each event, under the names of Fivetran's table `event`; the time is in UTC.
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
    """The query of the view.

    Where a sender gave no insert id the event's key stands for it: the dbt package takes events of
    a user and a day for one that have none.

    Args:
        schema: where `export` and `_mixpanel_loads` are, as SQL.
        properties: the rows of `_mixpanel_columns` that are about `export`.
        raw: whether `export` has the column `properties`.
    """
    found: defaultdict[str, list[Property]] = defaultdict(list)
    for item in properties:
        found[item.name].append(item)
    columns = [f"{_as_text(found[name])} AS {name.lstrip('$')}" for name in _TEXTS]
    columns += [
        f"{_as_typed(found[name], kind)} AS {name.lstrip('$')}" for name, kind in _TYPED.items()
    ]
    whole = _as_object(found)
    if raw:
        whole = f"coalesce(CAST({quote_name(RAW_COLUMN)} AS text), {whole})"
    # placed one by one, and not with format(): a property may have any name, {schema} too
    before, _, rest = _QUERY.replace("{schema}", schema).partition("{columns}")
    between, _, after = rest.partition("{properties}")
    listed = ",\n    ".join(columns)
    return f"{before}{listed}{between}{whole}{after}"


def _as_text(items: Iterable[Property]) -> str:
    """A property's value as text, whichever of its columns it is in."""
    texts = [f"CAST({quote_name(item.column)} AS text)" for item in items if _is_own(item)]
    return f"coalesce({', '.join(texts)})" if texts else "CAST(NULL AS text)"


def _as_typed(items: Iterable[Property], kind: str) -> str:
    """A property's values of one type; those of another are in `properties` alone."""
    columns = [quote_name(item.column) for item in items if item.data_type == kind]
    return columns[0] if columns else f"CAST(NULL AS {_SQL_TYPES[kind]})"


def _as_object(found: Mapping[str, Sequence[Property]]) -> str:
    """The properties an event has as a JSON object, under the names that Mixpanel has for them."""
    members = []
    for name, items in found.items():
        start = quote_text(_json_key(name))
        members += [
            f"{start} || CAST(to_json({quote_name(item.column)}) AS text)"
            for item in items
            if _is_own(item) and item.column not in _OWN_COLUMNS
        ]
    if any(item.column == OVERFLOW_COLUMN for items in found.values() for item in items):
        text = f"CAST({quote_name(OVERFLOW_COLUMN)} AS text)"
        members.append(f"nullif(trim(substr({text}, 2, length({text}) - 2)), '')")
    # without coalesce an event that has no property at all would have no object either
    joined = f"coalesce(array_to_string(ARRAY[{', '.join(members)}], ','), '')" if members else "''"
    return f"'{{' || {joined} || '}}'"


def _is_own(item: Property) -> bool:
    """Whether the column is this property's alone."""
    return item.column != OVERFLOW_COLUMN


def _json_key(name: str) -> str:
    return json.dumps(name, ensure_ascii=False) + ":"
