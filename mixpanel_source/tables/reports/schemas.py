"""The columns of the tables of reports, and what a load of each replaces."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import NamedTuple

import dlt
import pyarrow as pa
from dlt.common.typing import TDataItems

from ... import constants
from ...destinations.replacement import Replacement
from ..dlt_items import with_hints
from .rows import Activity, Item, Measure, Name, Rows

FUNNELS = "funnels"
FUNNEL_STEPS = "funnel_steps"
"""Table of the numbers of funnels; the table `funnels` lists them."""
REPLACE_FUNNELS = Replacement(keep="funnel_id")


class _Layout(NamedTuple):
    """The columns of a table, and what a load replaces."""

    schema: pa.Schema
    replacement: Replacement


def _schema(**types: pa.DataType) -> pa.Schema:
    # nullable, because a tombstone has no JSON: Postgres rejects empty text as JSON
    optional = ("label", "value", "time", "distinct_id", "properties", "row")
    return pa.schema([pa.field(n, t, nullable=n in optional) for n, t in types.items()])


_TEXT, _BIGINT, _DATE = pa.string(), pa.int64(), pa.date32()
_REPLACE_REPORT = Replacement(scope=("report",), keep="position", blank=0)
_LAYOUTS: Mapping[type, _Layout] = {
    Measure: _Layout(
        _schema(
            report=_TEXT,
            date=_DATE,
            bucket=_TEXT,
            segment=_TEXT,
            step=_BIGINT,
            metric=_TEXT,
            label=_TEXT,
            value=pa.float64(),
        ),
        Replacement(scope=("report", "date"), keep="metric", blank=""),
    ),
    Name: _Layout(_schema(report=_TEXT, position=_BIGINT, name=_TEXT), _REPLACE_REPORT),
    Activity: _Layout(
        _schema(
            report=_TEXT,
            date=_DATE,
            position=_BIGINT,
            time=pa.timestamp("us", tz="UTC"),
            event=_TEXT,
            distinct_id=_TEXT,
            properties=_TEXT,
        ),
        Replacement(scope=("report", "date"), keep="position", blank=0),
    ),
    Item: _Layout(_schema(report=_TEXT, position=_BIGINT, row=_TEXT), _REPLACE_REPORT),
}
_ROWS = {
    "event_names": Name,
    "property_values": Name,
    "activity": Activity,
    "jql": Item,
    "flows": Item,
}
"""Table -> its kind of row, if it is not `Measure`."""
_JSON_COLUMNS = {"activity": ["properties"], "jql": ["row"], "flows": ["row"]}


def replacement_of(table: str) -> Replacement:
    """What a load of a table's resource replaces."""
    return REPLACE_FUNNELS if table == FUNNELS else _layout(table).replacement


def schema_of(table: str) -> pa.Schema:
    """The columns of the rows of a table's reports."""
    return _layout(table).schema


def is_dated(table: str) -> bool:
    """Whether its rows have a day, so that a load replaces days instead of whole reports."""
    return "date" in _layout(table).replacement.scope


def iter_tables(table: str, report: str, rows: Rows, days: Sequence[date]) -> Iterator[TDataItems]:
    """Yields the rows of a report, and tombstones for what they replace.

    Args:
        table: that is loaded.
        report: name of the report.
        rows: in order.
        days: that the rows replace, if they replace days.
    """
    table_rows = _to_arrow(_layout(table), report, rows, days)
    for start in range(0, len(table_rows), constants.BATCH_ROWS):
        batch = table_rows.slice(start, constants.BATCH_ROWS)
        if table == FUNNELS:
            yield _as_funnel_steps(batch)
        else:
            yield with_hints(batch, json_columns=_JSON_COLUMNS.get(table, ()))


def _layout(table: str) -> _Layout:
    return _LAYOUTS[_ROWS.get(table, Measure)]


def _to_arrow(layout: _Layout, report: str, rows: Rows, days: Sequence[date]) -> pa.Table:
    names = layout.schema.names[1:]
    columns = zip(*rows, strict=True) if rows else [()] * len(names)
    loaded = {"report": [report] * len(rows), **dict(zip(names, columns, strict=True))}
    scope = (
        {"report": [report] * len(days), "date": days} if "date" in names else {"report": [report]}
    )
    tombstones = layout.replacement.tombstones(layout.schema, **scope)
    rows = pa.Table.from_pydict(loaded, schema=tombstones.schema)
    return pa.concat_tables([rows, tombstones])


def _as_funnel_steps(table: pa.Table) -> TDataItems:
    """Rows for a table other than the resource's own, in the same load package."""
    hints = dlt.mark.make_hints(
        table_name=FUNNEL_STEPS,
        write_disposition=_layout(FUNNELS).replacement.write_disposition,
        # an empty dict, not None: dlt would add the columns of the resource itself
        columns={},
        file_format="parquet",
    )
    return dlt.mark.with_hints(table, hints, create_table_variant=True)
