"""Prepares a resource of dlt for the destination."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import count
from typing import Any

import dlt
import pyarrow as pa
from dlt.common.schema.typing import TTableSchemaColumns
from dlt.extract import DltResource

from mixpanel_source.errors import ConfigError

from . import constants
from .rows.checks import Period
from .rows.events import EventPacker
from .rows.insert_ids import InsertIds
from .rows.objects import to_line
from .rows.staged import KIND_HINT, KINDS, SCHEMA, Staged
from .rows.updates import OPERATIONS, UNREPEATABLE, UpdatePacker

_TYPES = {"int64": "bigint", "string": "text", "bool": "bool"}
COLUMNS: TTableSchemaColumns = {
    column.name: {"name": column.name, "data_type": _TYPES[str(column.type)]}  # type: ignore[typeddict-item]
    for column in SCHEMA
}


def mixpanel_adapter(
    data: Any,  # noqa: ANN401 - whatever dlt makes a resource of
    *,
    kind: str = "events",
    operation: str = "set",
    group_key: str | None = None,
    insert_id_salt: str = "",
    retention_days: int = constants.RETENTION_DAYS,
) -> DltResource:
    """Prepare a resource, so that its rows are sent as they are.

    Args:
        data: a resource, or what dlt makes one of. Rows of events have `event` and either
            `properties` or a column for each property; profiles have `distinct_id`, groups
            `group_id`, and the properties.
        kind: events, profiles or groups.
        operation: what is done with the properties of a profile: set, set_once, union, unset or
            remove.
        group_key: of groups.
        insert_id_salt: changes the ids of all events; see `InsertIds`.
        retention_days: that the project keeps events; older ones are expected to be refused.

    Raises:
        ConfigError: an argument is wrong.
    """
    _check(kind, operation, group_key)
    resource = data if isinstance(data, DltResource) else dlt.resource(data, name=kind)
    packer: EventPacker | UpdatePacker
    if kind == "events":
        packer = EventPacker(Period.at(time.time(), retention_days), ids=InsertIds(insert_id_salt))
    else:
        packer = UpdatePacker(operation, group_key=group_key)
    numbers = count()

    def pack(item: Any) -> Iterator[dict[str, Any]]:  # noqa: ANN401 - a row, or rows
        for row in _rows(item):
            yield _as_item(packer.pack(to_line(row)), next(numbers))

    resource.add_yield_map(lambda item, _meta=None: iter([[*pack(item)]]))
    resource.apply_hints(
        columns=COLUMNS,
        write_disposition="append",
        additional_table_hints={KIND_HINT: kind},
    )
    return resource


def _check(kind: str, operation: str, group_key: str | None) -> None:
    if kind not in KINDS:
        raise ConfigError(f"kind is {kind!r}; it must be one of {', '.join(KINDS)}.")
    repeatable = [name for name in OPERATIONS if f"${name}" not in UNREPEATABLE]
    if operation not in repeatable:
        raise ConfigError(
            f"operation is {operation!r}; it must be one of {', '.join(repeatable)}. Others cannot "
            "be repeated, and dlt repeats what was interrupted."
        )
    if kind == "groups" and not group_key:
        raise ConfigError("group_key is not set: groups need the name of their group key.")


def _rows(item: Any) -> Iterator[dict[str, Any]]:  # noqa: ANN401 - whatever a resource yields
    if isinstance(item, (pa.Table, pa.RecordBatch)):
        yield from item.to_pylist()
    elif isinstance(item, dict):
        yield item
    elif isinstance(item, list):
        for part in item:
            yield from _rows(part)
    elif hasattr(item, "to_dict"):  # a data frame
        yield from item.to_dict("records")
    else:
        raise ConfigError(
            f"rows of type {type(item).__name__} cannot be sent: they must be dictionaries, arrow "
            "tables or data frames."
        )


def _as_item(staged: Staged, number: int) -> dict[str, Any]:
    return {"row": number, **staged._asdict()}
