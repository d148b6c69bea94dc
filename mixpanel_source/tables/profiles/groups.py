"""Profiles of groups: companies, teams, whatever a project groups its users by.

Each group type is a part of the table. Mixpanel knows it by a number, which may be negative.

Source: https://developer.mixpanel.com/reference/engage-query (data_group_id).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import partial
from typing import Any

import dlt
import pyarrow as pa
from dlt.common.typing import TDataItems

from ...api.request import Request
from ...config.model import Config
from ...decode.decoded import Decoded
from ...decode.layout import ENGAGE_COLUMNS, ENGAGE_SCHEMA, Layout, engage_layout
from ...decode.value_types import PROFILE
from ...destinations.replacement import Replacement
from ...errors import ConfigError
from ..context import LoadContext
from ..emit import TableFormat, build_decoder, closing_items, column_items, stored_columns
from ..package import LoadPackage
from ..partitions import iter_parts
from .dump import ProfileQuery, iter_dump, take_dump

NAME = "groups"
READ_AT = "read_at"
"""State of the resource: group type -> when it was read, seconds since the epoch."""
GROUP_ID = "data_group_id"
SCHEMA = ENGAGE_SCHEMA.append(pa.field(GROUP_ID, pa.string(), nullable=False))
COLUMNS: dict[str, str | None] = {**ENGAGE_COLUMNS, GROUP_ID: None}
REPLACEMENT = Replacement(scope=(GROUP_ID,), keep="distinct_id")


def iter_groups(context: LoadContext) -> Iterator[TDataItems]:
    """Yields the items of the resource `groups`."""
    package = context.start_package(NAME)
    state = dlt.current.resource_state()
    load = partial(_iter_group, context, package, state)
    parts = [(group, group) for group in _group_ids(context.config)]
    yield from iter_parts(context, package, parts, load)
    yield from column_items(package, state, context.config)
    yield from closing_items(package)


def _iter_group(
    context: LoadContext, package: LoadPackage, state: dict[str, Any], group: str
) -> Iterator[TDataItems]:
    decoder = build_decoder(context.config, PROFILE, forgotten=context.forgotten)
    read_at: dict[str, float] = state.setdefault(READ_AT, {})
    dump = take_dump(context, package, _query(group), after=read_at.get(group, 0.0))
    load = dump.window_load()
    with stored_columns(state, COLUMNS, context.config) as columns:
        table_format = TableFormat(decoder, partial(_lay_out, group), SCHEMA, columns)
        yield from iter_dump(dump, table_format, load, context.forgotten)
    if not load.rows:
        yield REPLACEMENT.tombstones(SCHEMA, data_group_id=[group])
    read_at[group] = dump.spooled.fetched_at
    package.add(load)


def _lay_out(group: str, decoded: Decoded) -> Layout:
    fixed, properties = engage_layout(decoded)
    groups = pa.array([group] * decoded.row_count, pa.string())
    return Layout({**fixed, GROUP_ID: groups}, properties)


def _query(group: str) -> ProfileQuery:
    return ProfileQuery(NAME, {GROUP_ID: group}, part=group)


def _group_ids(config: Config) -> list[str]:
    if not config.data_group_ids:
        raise ConfigError(
            "data_group_ids is not set, so there are no groups to load. Set it to the numbers that "
            "Mixpanel shows in Project Settings, under Group Keys, such as "
            "-1405123841946871899; or leave the table groups out of tables."
        )
    return [str(group) for group in config.data_group_ids]


def probe(config: Config, _now: datetime) -> Request:
    """The cheapest request that shows whether the table can be read."""
    return _query(_group_ids(config)[0]).request(page_size=1)


def count_requests(config: Config, _state: Mapping[str, Any]) -> int:
    """Metered requests of a sync."""
    return len(config.data_group_ids)
