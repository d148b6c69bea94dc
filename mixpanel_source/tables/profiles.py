"""Profiles of users: all of them, replaced at once or not at all.

With `engage_full_days` only those that were updated since the last time are asked for in between,
and replace what the table holds of them. What that cannot see (profiles that were deleted or merged
into others, and updates with `$ignore_time`) goes and comes with the next full reading.

Source: https://developer.mixpanel.com/reference/engage-query.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

import dlt
import orjson
import pyarrow as pa
from dlt.common.typing import TDataItems
from dlt.extract import DltResource

from ..api.client import Request
from ..config.model import Config
from ..decode.layout import ENGAGE_COLUMNS, ENGAGE_SCHEMA, engage_layout
from ..decode.value_types import PROFILE
from .context import Job, claim_dataset, growing_tables
from .emit import Shape, build_decoder, closing_items, iter_items, replace_all, stored_columns
from .profile_dump import ProfileQuery, build_request, take_profiles

logger = logging.getLogger("mixpanel_source")

NAME = "engage"
READ_AT, READ_ALL_AT, FILTERS = "read_at", "read_all_at", "filters"
DAY_S = 86_400.0
OVERLAP_S = 3_600.0
"""How much earlier than the last reading an update may have been stamped and be seen only now."""
REPLACE_SOME: Any = {
    **replace_all("distinct_id"),
    # a row without an id says that all there are have been read
    "destination_scope": (
        "distinct_id IN (SELECT distinct_id FROM {staging_table}) "
        "OR EXISTS (SELECT 1 FROM {staging_table} WHERE distinct_id IS NULL)"
    ),
}


def engage_resource(config: Config, job: Job) -> DltResource:
    """The resource `engage`."""
    return dlt.resource(
        _iter_items,
        name=NAME,
        write_disposition=REPLACE_SOME if config.engage_full_days else replace_all("distinct_id"),
        file_format="parquet",
    )(config, job)


def _iter_items(config: Config, job: Job) -> Iterator[TDataItems]:
    claim_dataset(config)
    state = dlt.current.resource_state()
    now = job.clock.time()
    filters = _filters(config)
    since = _since(state, config, filters, now)
    decoder = build_decoder(config, PROFILE)
    asked = ProfileQuery(NAME, _form(config, since, now))
    dump = take_profiles(job, config, asked, after=state.get(READ_AT, 0.0))
    state[READ_AT] = dump.spooled.fetched_at
    state[FILTERS] = filters
    report = dump.report()
    report.filters = filters if since is None else {**filters, "last_seen_from": _iso(since)}
    with stored_columns(state, ENGAGE_COLUMNS, config) as columns, growing_tables():
        shape = Shape(engage_layout, ENGAGE_SCHEMA)
        yield from iter_items(dump, decoder, shape, columns, report)
    if since is None:
        state[READ_ALL_AT] = dump.spooled.fetched_at
        if config.engage_full_days or not report.rows:
            yield _mark()
    job.report(report)
    yield from closing_items(NAME, job, state)


def _mark() -> pa.Table:
    """A row without an id, which makes deletions happen and goes no further."""
    nothing = {field.name: pa.nulls(1, field.type) for field in ENGAGE_SCHEMA}
    return pa.table(nothing, schema=ENGAGE_SCHEMA)


def _filters(config: Config) -> dict[str, Any]:
    """The filters that are set; empty if all profiles are loaded whole."""
    filters = {
        "where": config.engage_where,
        "output_properties": [*config.engage_output_properties],
        "behaviors": config.engage_behaviors,
        "cohort": config.engage_cohort,
    }
    return {name: value for name, value in filters.items() if value}


def _since(
    state: dict[str, Any], config: Config, filters: dict[str, Any], now: float
) -> float | None:
    """When the profiles to ask for were updated at the earliest; None to ask for all.

    In seconds since the epoch.
    """
    if state.get(FILTERS, {}) != filters and READ_AT in state:
        logger.warning(
            "engage: its filters have changed. All profiles that %s lets through are read anew.",
            filters or "no filter",
        )
        return None
    due_at = state.get(READ_ALL_AT, 0.0) + config.engage_full_days * DAY_S
    if READ_AT not in state or now >= due_at:
        return None
    return float(state[READ_AT]) - OVERLAP_S


def _form(config: Config, since: float | None, now: float) -> dict[str, str]:
    """What the pages are asked with."""
    form: dict[str, str] = {}
    conditions = [config.engage_where] if config.engage_where else []
    if since is not None:
        conditions.append(f'properties["$last_seen"] >= "{_iso(since)}"')
    if conditions:
        form["where"] = " and ".join(f"({one})" for one in conditions)
    if config.engage_output_properties:
        form["output_properties"] = orjson.dumps(config.engage_output_properties).decode()
    if config.engage_behaviors:
        # without a moment to hold on to, pages after the first are refused
        form |= {"behaviors": config.engage_behaviors, "as_of_timestamp": str(int(now))}
    if config.engage_cohort:
        form |= cohort_form(config.engage_cohort)
    return form


def cohort_form(cohort_id: int) -> dict[str, str]:
    """What asks for the members of a cohort, and for nobody else."""
    return {
        "filter_by_cohort": orjson.dumps({"id": cohort_id}).decode(),
        "include_all_users": "false",
    }


def _iso(at: float) -> str:
    """A moment as `$last_seen` has it: UTC, without saying so."""
    return datetime.fromtimestamp(at, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")


def probe(_config: Config, _now: datetime) -> Request:
    """The request that shows, at the least cost, whether this may be read."""
    return build_request(ProfileQuery(NAME), page_size=1)
