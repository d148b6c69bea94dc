"""Profiles of groups: companies, teams, whatever a project groups its users by.

Each group type, known to Mixpanel by a number that may be negative, is a part of the one table.

Source: https://developer.mixpanel.com/reference/engage-query (data_group_id).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from functools import partial
from typing import Any

import dlt
import pyarrow as pa
from dlt.common.typing import TDataItems
from dlt.extract import DltResource

from ..api.client import Request
from ..config.model import Config
from ..decode.decoded import Decoded
from ..decode.layout import ENGAGE_COLUMNS, ENGAGE_SCHEMA, Layout, engage_layout
from ..decode.value_types import PROFILE
from ..errors import ConfigError
from .context import Job, claim_dataset, growing_tables
from .emit import Shape, build_decoder, closing_items, iter_items, replace_all, stored_columns
from .partitions import iter_parts
from .profile_dump import ProfileQuery, build_request, take_profiles

NAME = "groups"
READ_AT = "read_at"
GROUP_ID = "data_group_id"
SCHEMA = ENGAGE_SCHEMA.append(pa.field(GROUP_ID, pa.string(), nullable=False))
COLUMNS: dict[str, str | None] = {**ENGAGE_COLUMNS, GROUP_ID: None}
REPLACE_GROUPS: Any = {
    **replace_all("distinct_id"),
    "destination_scope": "data_group_id IN (SELECT data_group_id FROM {staging_table})",
}


def groups_resource(config: Config, job: Job) -> DltResource:
    """The resource `groups`, not selected unless asked for."""
    return dlt.resource(
        _iter_items,
        name=NAME,
        write_disposition=REPLACE_GROUPS,
        file_format="parquet",
        selected=False,
    )(config, job)


def _iter_items(config: Config, job: Job) -> Iterator[TDataItems]:
    claim_dataset(config)
    state = dlt.current.resource_state()
    load = partial(_iter_group, config, job, state)
    parts = [(group, group) for group in _group_ids(config)]
    with growing_tables():
        yield from iter_parts(job, NAME, parts, load)
    yield from closing_items(NAME, job, state)


def _iter_group(
    config: Config, job: Job, state: dict[str, Any], group: str
) -> Iterator[TDataItems]:
    decoder = build_decoder(config, PROFILE)
    read_at: dict[str, float] = state.setdefault(READ_AT, {})
    dump = take_profiles(job, config, _asked(group), after=read_at.get(group, 0.0))
    report = dump.report()
    with stored_columns(state, COLUMNS, config) as columns:
        shape = Shape(partial(_lay, group), SCHEMA)
        yield from iter_items(dump, decoder, shape, columns, report)
    if not report.rows:
        nothing = {field.name: pa.nulls(1, field.type) for field in SCHEMA}
        yield pa.table({**nothing, GROUP_ID: [group]}, schema=SCHEMA)
    read_at[group] = dump.spooled.fetched_at
    job.report(report)


def _lay(group: str, decoded: Decoded) -> Layout:
    fixed, properties = engage_layout(decoded)
    groups = pa.array([group] * decoded.row_count, pa.string())
    return Layout({**fixed, GROUP_ID: groups}, properties)


def _asked(group: str) -> ProfileQuery:
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
    """The request that shows, at the least cost, whether this may be read."""
    return build_request(_asked(_group_ids(config)[0]), page_size=1)


def count_requests(config: Config, _state: dict[str, Any]) -> int:
    """Requests of a sync that count against the quota."""
    return len(config.data_group_ids)
