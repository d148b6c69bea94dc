"""The columns of the tables of reports, and what a load of them replaces."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any, NamedTuple

import dlt
import pyarrow as pa
from dlt.common.typing import TDataItems

from .. import constants
from .emit import replace_all, with_json_columns
from .report_shapes import Activity, Item, Measure, Name, Rows

FUNNELS = "funnels"
FUNNEL_STEPS = "funnel_steps"
"""Where the numbers of funnels go; the table `funnels` is the list of them."""


class _Layout(NamedTuple):
    """The rows of a table: their columns, and which of them a load replaces."""

    schema: pa.Schema
    scope: tuple[str, ...]
    """Columns that the rows to replace agree in."""
    kept: str
    """What is true of rows and not of marks."""

    @property
    def disposition(self) -> Any:  # noqa: ANN401 - a dict that dlt types by its content
        columns = ", ".join(self.scope)
        return {
            "disposition": "merge",
            "strategy": "delete-insert",
            "destination_scope": f"({columns}) IN (SELECT {columns} FROM {{staging_table}})",  # noqa: S608 - our own names
            "source_filter": self.kept,
        }


def _schema(**types: pa.DataType) -> pa.Schema:
    # a mark has no JSON: Postgres takes no empty text for it
    optional = ("label", "value", "time", "distinct_id", "properties", "row")
    return pa.schema([pa.field(n, t, nullable=n in optional) for n, t in types.items()])


_TEXT, _BIGINT, _DATE = pa.string(), pa.int64(), pa.date32()
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
        ("report", "date"),
        "metric <> ''",
    ),
    Name: _Layout(_schema(report=_TEXT, position=_BIGINT, name=_TEXT), ("report",), "position > 0"),
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
        ("report", "date"),
        "position > 0",
    ),
    Item: _Layout(_schema(report=_TEXT, position=_BIGINT, row=_TEXT), ("report",), "position > 0"),
}
_ROWS = {"event_names": Name, "property_values": Name, "activity": Activity, "jql": Item}
"""Table -> its kind of row, where that is no measure."""
_BLANKS = {_TEXT: "", _BIGINT: 0}
"""What a mark has where there must be something."""
_JSON_COLUMNS = {"activity": ["properties"], "jql": ["row"]}


def disposition_of(table: str) -> Any:  # noqa: ANN401 - a dict that dlt types by its content
    """The write disposition of a table's resource."""
    return replace_all("funnel_id") if table == FUNNELS else _layout(table).disposition


def schema_of(table: str) -> pa.Schema:
    """The columns of the rows of a table's reports."""
    return _layout(table).schema


def is_dated(table: str) -> bool:
    """Whether its rows have a day, and a load replaces days and not whole reports."""
    return "date" in _layout(table).scope


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
    marked: Sequence[Any] = days if "date" in names else [None]
    by_name = dict(zip(names, zip(*rows, strict=True), strict=True)) if rows else {}
    columns = [pa.array([report] * (len(rows) + len(marked)))]
    for field in list(layout.schema)[1:]:
        blank = None if field.nullable else _BLANKS.get(field.type)
        marks = marked if field.name == "date" else [blank] * len(marked)
        columns.append(pa.array([*by_name.get(field.name, ()), *marks], field.type))
    return pa.table(columns, schema=layout.schema)


def _as_funnel_steps(table: pa.Table) -> TDataItems:
    """Rows for another table than the resource's own, in the same load package."""
    hints = dlt.mark.make_hints(
        table_name=FUNNEL_STEPS,
        write_disposition=_layout(FUNNELS).disposition,
        # none: the columns of the resource itself would come along with any
        columns={},
        file_format="parquet",
    )
    return dlt.mark.with_hints(table, hints, create_table_variant=True)
