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
from ..decode.identity import ProfileIdentifier
from ..decode.layout import ENGAGE_COLUMNS, ENGAGE_SCHEMA, Laid, engage_layout
from ..destinations.replacement import Replacement
from ..errors import ConfigError
from .context import Job, claim_dataset, growing_tables
from .emit import Shape, build_decoder, closing_items, iter_items, stored_columns
from .partitions import iter_parts
from .profile_dump import ProfileQuery, build_request, take_profiles

NAME = "groups"
READ_AT = "read_at"
GROUP_ID = "data_group_id"
SCHEMA = ENGAGE_SCHEMA.append(pa.field(GROUP_ID, pa.string(), nullable=False))
COLUMNS: dict[str, str | None] = {**ENGAGE_COLUMNS, GROUP_ID: None}
REPLACEMENT = Replacement(scope=(GROUP_ID,), keep="distinct_id")


def groups_resource(config: Config, job: Job) -> DltResource:
    """The resource `groups`, not selected unless asked for."""
    return dlt.resource(
        _iter_items,
        name=NAME,
        write_disposition=REPLACEMENT.write_disposition,
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
    decoder = build_decoder(config, ProfileIdentifier())
    read_at: dict[str, float] = state.setdefault(READ_AT, {})
    dump = take_profiles(job, config, _asked(group), decoder, after=read_at.get(group, 0.0))
    report = dump.report()
    with stored_columns(state, COLUMNS, config) as columns:
        shape = Shape(partial(_lay, group), SCHEMA)
        yield from iter_items(dump, decoder, shape, columns, report)
    if not report.rows:
        yield REPLACEMENT.tombstones(SCHEMA, data_group_id=[group])
    read_at[group] = dump.spooled.fetched_at
    job.report(report)


def _lay(group: str, table: pa.Table) -> Laid:
    fixed, properties = engage_layout(table)
    return Laid({**fixed, GROUP_ID: pa.array([group] * len(table), pa.string())}, properties)


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
