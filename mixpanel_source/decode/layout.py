"""The columns that every row of a table has, from decoded rows.

Pure. A property that such a column holds exactly is removed from the properties. One that does not
fit (a `time` that is not a time, a `distinct_id` that is a number) also stays among them, and so
gets a variant column.
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from .decoded import Decoded
from .event_time import MS_FROM, parse_moment
from .index.row_index import RowIndex
from .value_types import JsonType, Typed

Properties = dict[Typed, pa.Array]

_FIRST_MS = -62_135_510_400_000
_LAST_MS = 253_402_214_399_999
"""The years 1 to 9999, which every destination stores, less a day at each end for time zones."""

EXPORT_SCHEMA = pa.schema(
    [
        pa.field("event", pa.string()),
        pa.field("time", pa.timestamp("us", "UTC")),
        pa.field("event_date", pa.date32()),
        pa.field("distinct_id", pa.string()),
        pa.field("insert_id", pa.string()),
        pa.field("event_key", pa.string(), nullable=False),
    ]
)
"""The columns of `export` that every project has."""

EXPORT_COLUMNS: dict[str, str | None] = {
    **dict.fromkeys((*EXPORT_SCHEMA.names, "time_epoch")),
    "time": "time",
    "distinct_id": "distinct_id",
    "insert_id": "$insert_id",
}
"""Fixed columns of `export` -> the property each is taken from, if any."""

ENGAGE_SCHEMA = pa.schema(
    [pa.field("distinct_id", pa.string()), pa.field("profile_key", pa.string())]
)
"""The columns of `engage` that every project has."""

ENGAGE_COLUMNS: dict[str, str | None] = dict.fromkeys(ENGAGE_SCHEMA.names)
"""Fixed columns of `engage` -> the property each is taken from, if any."""

EXPORT_IDENTITY = ("time", "distinct_id", "$insert_id")
"""The properties that the fixed columns of `export` are taken from."""


class Layout(NamedTuple):
    """The columns of a table for some rows, before the properties have columns."""

    fixed: dict[str, pa.Array]
    """The columns every row has."""
    properties: Properties
    """The properties that are not, or not exactly, in a fixed column."""


def export_layout(decoded: Decoded, index: RowIndex, *, zone: str) -> Layout:
    """Lay out decoded events.

    Args:
        decoded: events.
        index: the identities of the window the events are from.
        zone: IANA name. Unless it is UTC, `time` holds the local wall clock time there, as a number
            of seconds or milliseconds as if it were UTC.
    """
    rows, properties = decoded.row_count, dict(decoded.properties)
    moments, epochs_ms = _moments(properties, rows)
    fixed = {
        "event": decoded.names,
        "time": _as_utc(moments, zone),
        "event_date": index.date_array(decoded.positions),
        "distinct_id": _as_text(properties, "distinct_id", rows),
        "insert_id": _as_text(properties, "$insert_id", rows),
        "event_key": index.hex_keys(decoded.positions),
    }
    if zone != "UTC":
        fixed["time_epoch"] = epochs_ms
    if decoded.raw_properties is not None:
        fixed["properties"] = decoded.raw_properties
    return Layout(fixed, properties)


def engage_layout(decoded: Decoded) -> Layout:
    """Lay out decoded profiles, which must have digests."""
    fixed = {"distinct_id": decoded.names, "profile_key": decoded.digests}
    if decoded.raw_properties is not None:
        fixed["properties"] = decoded.raw_properties
    return Layout(fixed, decoded.properties)


def _as_text(properties: Properties, name: str, rows: int) -> pa.Array:
    """A property of any type as text; values that are not text also stay among the properties."""
    texts = [pa.nulls(rows, pa.string())]
    for kind in JsonType:
        array = properties.get(Typed(name, kind))
        if array is None:
            continue
        if kind is JsonType.TEXT:
            del properties[Typed(name, kind)]
        texts.append(array.cast(pa.string()))
    return pc.coalesce(*texts)


def _moments(properties: Properties, rows: int) -> tuple[pa.Array, pa.Array]:
    """The `time` of each row as a timestamp without zone, and as whole milliseconds.

    A `time` that these do not hold exactly also stays among the properties.
    """
    micros = [pa.nulls(rows, pa.int64())]
    numbers = properties.pop(Typed("time", JsonType.BIGINT), None)
    if numbers is not None:
        millis = _whole_millis(numbers)
        micros.append(pc.multiply(millis, 1_000))
        rest = pc.if_else(pc.is_valid(millis), None, numbers)
        if rest.null_count < rows:
            properties[Typed("time", JsonType.BIGINT)] = rest
    fractions = properties.get(Typed("time", JsonType.DOUBLE))
    if fractions is not None:
        micros.append(_fraction_micros(fractions))
    texts = properties.get(Typed("time", JsonType.TEXT))
    if texts is not None:
        micros.append(_text_micros(texts))
    moments = _in_range(pc.coalesce(*micros), per_ms=1_000)
    return moments.cast(pa.timestamp("us")), pc.divide(moments, 1_000)


def _whole_millis(numbers: pa.Array) -> pa.Array:
    """Milliseconds from seconds or milliseconds; null if out of range."""
    numbers = _in_range(numbers)
    is_millis = pc.greater_equal(pc.abs(numbers), MS_FROM)
    millis = pc.if_else(is_millis, numbers, pc.multiply(numbers, 1_000))
    return _in_range(millis)


def _in_range(numbers: pa.Array, *, per_ms: int = 1) -> pa.Array:
    inside = pc.and_(
        pc.greater_equal(numbers, _FIRST_MS * per_ms), pc.less_equal(numbers, _LAST_MS * per_ms)
    )
    return pc.if_else(inside, numbers, None)


def _fraction_micros(numbers: pa.Array) -> pa.Array:
    is_millis = pc.greater_equal(pc.abs(numbers), float(MS_FROM))
    millis = pc.if_else(is_millis, numbers, pc.multiply(numbers, 1_000.0))
    millis = _in_range(millis)
    return pc.round(pc.multiply(millis, 1_000.0)).cast(pa.int64())


def _text_micros(texts: pa.Array) -> pa.Array:
    moments: list[datetime | None] = [
        None if text is None else parse_moment(text) for text in texts.to_pylist()
    ]
    return pa.array(moments, pa.timestamp("us")).cast(pa.int64())


def _as_utc(moments: pa.Array, zone: str) -> pa.Array:
    """Timestamps without zone, read as local wall clock time in `zone`, as instants in UTC.

    A time that the clocks skipped becomes the instant they went forward; a time that they showed
    twice, the earlier of the two. `time_epoch` keeps the original number.
    """
    if zone == "UTC":
        return pc.assume_timezone(moments, "UTC")
    local = pc.assume_timezone(moments, zone, ambiguous="earliest", nonexistent="latest")
    return local.cast(pa.timestamp("us", "UTC"))
