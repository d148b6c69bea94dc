"""The columns of the tables of reports, and what a load of them replaces."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any, NamedTuple

import dlt
import pyarrow as pa
from dlt.common.schema.typing import TWriteDispositionConfig
from dlt.common.typing import TDataItems

from .. import constants
from ..destinations.replacement import Replacement
from .emit import with_json_columns
from .report_shapes import Activity, Item, Measure, Name, Rows

FUNNELS = "funnels"
FUNNEL_STEPS = "funnel_steps"
"""Where the numbers of funnels go; the table `funnels` is the list of them."""
REPLACE_FUNNELS = Replacement(keep="funnel_id")


class _Layout(NamedTuple):
    """The rows of a table: their columns, and which of them a load replaces."""

    schema: pa.Schema
    replacement: Replacement


def _schema(**types: pa.DataType) -> pa.Schema:
    # a mark has no JSON: Postgres takes no empty text for it
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
_ROWS = {"event_names": Name, "property_values": Name, "activity": Activity, "jql": Item}
"""Table -> its kind of row, where that is no measure."""
_JSON_COLUMNS = {"activity": ["properties"], "jql": ["row"]}


def disposition_of(table: str) -> TWriteDispositionConfig:
    """The write disposition of a table's resource."""
    replacement = REPLACE_FUNNELS if table == FUNNELS else _layout(table).replacement
    return replacement.write_disposition


def schema_of(table: str) -> pa.Schema:
    """The columns of the rows of a table's reports."""
    return _layout(table).schema


def is_dated(table: str) -> bool:
    """Whether its rows have a day, and a load replaces days and not whole reports."""
    return "date" in _layout(table).replacement.scope


def iter_tables(table: str, report: str, rows: Rows, days: Sequence[date]) -> Iterator[TDataItems]:
    """Yields the rows of a report, and the marks that delete what was there before.

    Args:
        table: that is loaded.
        report: its name.
        rows: in order.
        days: that the rows replace, where they replace days.
    """
    laid = _to_arrow(_layout(table), report, rows, days)
    for start in range(0, len(laid), constants.BATCH_ROWS):
        some = laid.slice(start, constants.BATCH_ROWS)
        if table == FUNNELS:
            yield _as_funnel_steps(some)
        else:
            yield with_json_columns(some, _JSON_COLUMNS.get(table, ()))


def _layout(table: str) -> _Layout:
    return _LAYOUTS[_ROWS.get(table, Measure)]


def _to_arrow(layout: _Layout, report: str, rows: Rows, days: Sequence[date]) -> pa.Table:
    names = layout.schema.names[1:]
    columns = zip(*rows, strict=True) if rows else [()] * len(names)
    loaded = {"report": [report] * len(rows), **dict(zip(names, columns, strict=True))}
    scope: dict[str, Sequence[Any]] = {"report": [report]}
    if "date" in names:
        scope = {"report": [report] * len(days), "date": days}
    tombstones = layout.replacement.tombstones(layout.schema, **scope)
    return pa.concat_tables([pa.Table.from_pydict(loaded, schema=layout.schema), tombstones])


def _as_funnel_steps(table: pa.Table) -> TDataItems:
    """Rows for another table than the resource's own, in the same load package."""
    hints = dlt.mark.make_hints(
        table_name=FUNNEL_STEPS,
        write_disposition=_layout(FUNNELS).replacement.write_disposition,
        # none: the columns of the resource itself would come along with any
        columns={},
        file_format="parquet",
    )
    return dlt.mark.with_hints(table, hints, create_table_variant=True)
