"""Rows of tables and of Python, as the JSON that the packers take.

Pure.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

from mixpanel_source.decode.json_values import dump_json

_OWN = frozenset(("event_key", "event_date", "other_properties"))
"""Columns of `export` that are no properties."""
_REST = "other_properties"
"""Column of the properties that have no column."""
_IDS = ("$distinct_id", "distinct_id", "$group_id", "group_id")
_EXACT_DIGITS = 15


def to_line(row: Mapping[str, Any]) -> bytes:
    """A row as JSON: of an event with `properties`, or with a column for each property.

    Columns of dlt and columns without a value are left out, because in a table every row has every
    column. Instants become ISO 8601 text, except `time`.

    Args:
        row: column -> value.
    """
    properties = row.get("properties")
    if isinstance(properties, (dict, str)) and properties:
        text = properties if isinstance(properties, str) else _dump(properties)
        # JSON text is taken over as it is, so its numbers stay exact
        return _join(row, text)
    if "event" not in row:
        return _dump({name: value for name, value in row.items() if _is_own(name, value)}).encode()
    flat = {name: value for name, value in row.items() if _is_own(name, value)}
    name = flat.pop("event", None)
    if "insert_id" in flat and "$insert_id" not in flat:
        flat["$insert_id"] = flat.pop("insert_id")
    if isinstance(flat.get("time"), (datetime, date)):
        flat["time"] = _milliseconds(flat["time"])
    return _dump({"event": name, "properties": flat}).encode()


def _is_own(name: str, value: object) -> bool:
    """Whether a column is a property of its row."""
    return value is not None and not name.startswith("_dlt_") and name not in _OWN


def _milliseconds(value: datetime | date) -> int:
    midnight = datetime.min.time()
    moment = value if isinstance(value, datetime) else datetime.combine(value, midnight)
    in_utc = moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
    return round(in_utc.timestamp() * 1000)


def _dump(value: object) -> str:
    return dump_json(_plain(value))


def _plain(value: Any) -> Any:  # noqa: ANN401, PLR0911 - a return for each type
    """A value as JSON has it."""
    if value is None or type(value) in (str, int, bool):
        return value
    if isinstance(value, float):
        # what is no number is no JSON either; as text it is at least not lost
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple, set)):
        return [_plain(item) for item in value]
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    if isinstance(value, Decimal):
        return _plain_decimal(value)
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value).hex()
    return str(value)


def _plain_decimal(value: Decimal) -> int | float | str:
    if not value.is_finite():
        return str(value)
    if value == value.to_integral_value():
        return int(value)
    digits = len(value.as_tuple().digits)
    return float(value) if digits <= _EXACT_DIGITS else str(value)


def _join(row: Mapping[str, Any], properties: str) -> bytes:
    """The JSON of an event or a profile whose properties are JSON already."""
    if "event" in row:
        return f'{{"event":{_dump(row["event"])},"properties":{properties}}}'.encode()
    name, value = next(
        ((name, row[name]) for name in _IDS if row.get(name) is not None), ("distinct_id", None)
    )
    return f'{{"{name}":{_dump(value)},"properties":{properties}}}'.encode()


class ColumnMap:
    """Columns of a table of `mixpanel_source`, as the properties that they hold."""

    def __init__(self, columns: Iterable[tuple[str, str, str]]) -> None:
        """Take rows of `_mixpanel_columns`.

        Args:
            columns: property, name of the column and data type of it.
        """
        self._columns = [(name, column, kind) for name, column, kind in columns]
        self._has_rest = self.has(_REST)

    def has(self, column: str) -> bool:
        """Whether a column holds values of a property."""
        return any(column == known for _, known, _ in self._columns)

    def to_line(self, row: Mapping[str, Any]) -> bytes:
        """A row as JSON: each property that has a value under its own name."""
        parts = [
            f"{_dump(name)}:{_column_value(row[column], kind)}"
            for name, column, kind in self._columns
            if column != _REST and row.get(column) is not None
        ]
        if self._has_rest and row.get(_REST) is not None:
            rest = _column_value(row[_REST], "json").strip()[1:-1].strip()
            parts += [rest] if rest else []
        return _join(row, "{" + ",".join(parts) + "}")


def _column_value(value: Any, kind: str) -> str:  # noqa: ANN401 - any value of a database
    if kind == "json" and isinstance(value, str):
        return value
    if kind == "timestamp" and isinstance(value, (datetime, date)):
        return str(_milliseconds(value))
    return _dump(value)
