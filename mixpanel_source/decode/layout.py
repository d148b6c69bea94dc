"""The columns that every row of a table has, worked out of what was decoded.

Pure. What is taken over here whole is gone from the properties; what does not fit (a `time` that is
no time, a `distinct_id` that is a number) stays among them too and so gets a variant column.
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from .dedup import Index
from .identity import MS_FROM, parse_moment
from .value_types import JsonType, Typed

Properties = dict[Typed, pa.Array]

_FIRST_MS = -62_135_510_400_000
_LAST_MS = 253_402_214_399_999
"""The years 1 to 9999, which every destination can hold, less a day at each end for time zones."""

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
"""Columns of `export` that are no property's own, with the property each is taken from."""

ENGAGE_SCHEMA = pa.schema(
    [pa.field("distinct_id", pa.string()), pa.field("profile_key", pa.string())]
)
"""The columns of `engage` that every project has."""

ENGAGE_COLUMNS: dict[str, str | None] = dict.fromkeys(ENGAGE_SCHEMA.names)
"""Columns of `engage` that are no property's own."""

EXPORT_IDENTITY = ("time", "distinct_id", "$insert_id")
"""The properties that `export_layout` needs."""


class Laid(NamedTuple):
    """Columns every row has, and the properties that are left."""

    fixed: dict[str, pa.Array]
    properties: Properties


def _split(table: pa.Table) -> tuple[dict[str, pa.Array], Properties]:
    """A decoded table as the columns every row has, and the properties."""
    fixed: dict[str, pa.Array] = {}
    properties: Properties = {}
    for name in table.column_names:
        typed = Typed.from_field(name)
        chunks = table[name]
        # one chunk is combined by copying it
        array = chunks.chunk(0) if chunks.num_chunks == 1 else chunks.combine_chunks()
        if typed is None:
            fixed[name] = array
        else:
            properties[typed] = array
    return fixed, properties


def export_layout(table: pa.Table, index: Index, *, zone: str) -> Laid:
    """Lay out decoded events.

    Args:
        table: as `decode.Decoder` gives it, for events.
        index: the identities of the window the events are from.
        zone: IANA name; other than UTC, `time` is the wall clock there, written as if it were UTC.
    """
    decoded, properties = _split(table)
    moments, epochs = _moments(properties, len(table))
    fixed = {
        "event": decoded["name"],
        "time": _as_utc(moments, zone),
        "event_date": index.date_array(decoded["position"]),
        "distinct_id": _as_text(properties, "distinct_id", len(table)),
        "insert_id": _as_text(properties, "$insert_id", len(table)),
        "event_key": index.hex_keys(decoded["position"]),
    }
    if zone != "UTC":
        fixed["time_epoch"] = epochs
    if "raw_properties" in decoded:
        fixed["properties"] = decoded["raw_properties"]
    return Laid(fixed, properties)


def engage_layout(table: pa.Table) -> Laid:
    """Lay out decoded profiles."""
    decoded, properties = _split(table)
    fixed = {"distinct_id": decoded["name"], "profile_key": decoded["digest"]}
    if "raw_properties" in decoded:
        fixed["properties"] = decoded["raw_properties"]
    return Laid(fixed, properties)


def _as_text(properties: Properties, name: str, rows: int) -> pa.Array:
    """A property as text, whatever it was; what was no text stays among the properties."""
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

    A `time` that these do not give back exactly stays among the properties too.
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
    """Timestamps without zone, read as the wall clock of `zone`, as instants in UTC.

    A time that the clocks skipped becomes the instant they went forward; one that they showed twice
    the earlier of the two. `time_epoch` keeps the number as it came.
    """
    if zone == "UTC":
        return pc.assume_timezone(moments, "UTC")
    local = pc.assume_timezone(moments, zone, ambiguous="earliest", nonexistent="latest")
    return local.cast(pa.timestamp("us", "UTC"))
