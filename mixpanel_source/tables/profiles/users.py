"""User profiles: the table `engage`, replaced as a whole in one transaction or not at all.

Rows that would be replaced by equal ones stay, where the destination makes that faster: `changes`.

With `engage_full_days` a sync requests only the profiles updated since the last one, and these
replace their rows. What that cannot see (profiles deleted or merged into others, and updates sent
with `$ignore_time`) comes with the next full read.

Source: https://developer.mixpanel.com/reference/engage-query.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from typing import Any

import dlt
import orjson
from dlt.common.typing import TDataItems

from ...api.request import Request
from ...config.model import Config
from ...decode.layout import ENGAGE_COLUMNS, ENGAGE_SCHEMA, engage_layout
from ...decode.value_types import PROFILE
from ...destinations.replacement import Replacement
from ..context import LoadContext
from ..emit import TableFormat, build_decoder, closing_items, column_items, stored_columns
from ..masked_columns import is_recorded
from ..rejected import REPLACE_PART, REPLACE_ROWS
from .changes import ProfileWriter
from .dump import ProfileQuery, iter_dump, take_dump

logger = logging.getLogger("mixpanel_source")

NAME = "engage"
READ_AT, READ_ALL_AT, FILTERS = "read_at", "read_all_at", "filters"
"""State of the resource: when it was read, when completely (seconds since the epoch), and how."""
DAY_S = 86_400.0
OVERLAP_S = 3_600.0
"""Updates stamped up to this long before a read may become visible only after it."""
REPLACE_ALL = Replacement(keep="distinct_id")
REPLACE_UPDATED = Replacement(scope=("distinct_id",), keep="distinct_id", clears_all=True)
"""For incremental reads; there a tombstone marks a full read, which replaces all rows."""


def replacement(config: Config) -> Replacement:
    """What a load of the table replaces."""
    return REPLACE_UPDATED if config.engage_full_days else REPLACE_ALL


def iter_profiles(context: LoadContext) -> Iterator[TDataItems]:
    """Yields the items of the resource `engage`."""
    package = context.start_package(NAME)
    config = context.config
    state = dlt.current.resource_state()
    if package.loss is not None and package.loss.is_table_lost:
        state.pop(READ_AT, None)
    if _is_archive_older(context, state):
        yield from closing_items(package)
        return
    filters = config.profile_filters
    now = context.clock.time()
    since = None
    if context.from_archive is None:
        since = _updated_since(state, config, filters, now)
    decoder = build_decoder(config, PROFILE, forgotten=context.forgotten)
    query = ProfileQuery(NAME, _form(config, since, now))
    read_at: float | None = state.get(READ_AT)
    writer = ProfileWriter(context, package, state, read_at=read_at)
    dump = take_dump(context, package, query, after=read_at or 0.0, digests_lines=writer.compares)
    if since is None and context.archive is not None:
        dump.keep_in(context.archive)
    state[READ_AT] = dump.spooled.fetched_at
    state[FILTERS] = filters
    load = dump.window_load()
    load.filters = filters if since is None else {**filters, "last_seen_from": _iso(since)}
    with stored_columns(state, ENGAGE_COLUMNS, config) as columns:
        table_format = TableFormat(decoder, engage_layout, ENGAGE_SCHEMA, columns)
        replaces = REPLACE_PART if since is None else REPLACE_ROWS
        yield from iter_dump(
            dump,
            table_format,
            load,
            context.forgotten,
            replaces=replaces,
            iter_rows=writer.iter_items,
        )
    if since is None:
        state[READ_ALL_AT] = dump.spooled.fetched_at
        if config.engage_full_days or not load.rows:
            yield REPLACE_ALL.tombstones(ENGAGE_SCHEMA)
    package.add(load)
    yield from column_items(package, state, config)
    yield from closing_items(package)


def _is_archive_older(context: LoadContext, state: Mapping[str, Any]) -> bool:
    """Whether the profiles of an archive were read before those that are loaded."""
    archived = context.from_archive and context.from_archive.newest(NAME)
    if not archived or state.get(READ_AT, 0.0) <= archived.fetched_at:
        return False
    logger.warning(
        "engage: the profiles that are loaded are newer than those of the archive, of %s. They "
        "stay.",
        archived.day,
    )
    return True


def full_query(config: Config, now: float) -> ProfileQuery:
    """The query for all profiles, at a time in seconds since the epoch."""
    return ProfileQuery(NAME, _form(config, None, now))


def _updated_since(
    state: dict[str, Any], config: Config, filters: dict[str, Any], now: float
) -> float | None:
    """Request profiles updated since then, in seconds since the epoch; None for all profiles."""
    if state.get(FILTERS, {}) != filters and READ_AT in state:
        logger.warning(
            "engage: its filters have changed. All profiles are read again, with %s.",
            filters or "no filter",
        )
        return None
    if not is_recorded(config, state) and READ_AT in state:
        logger.warning("engage: mask or mask_key has changed. All profiles are read again.")
        return None
    due_at = state.get(READ_ALL_AT, 0.0) + config.engage_full_days * DAY_S
    if READ_AT not in state or now >= due_at:
        return None
    return float(state[READ_AT]) - OVERLAP_S


def _form(config: Config, since: float | None, now: float) -> dict[str, str]:
    """The form that is sent with every page."""
    form: dict[str, str] = {}
    conditions = [config.engage_where] if config.engage_where else []
    if since is not None:
        conditions.append(f'properties["$last_seen"] >= "{_iso(since)}"')
    if conditions:
        form["where"] = " and ".join(f"({condition})" for condition in conditions)
    if config.engage_output_properties:
        form["output_properties"] = orjson.dumps(config.engage_output_properties).decode()
    if config.engage_behaviors:
        # without a fixed time Mixpanel refuses the pages after the first
        form |= {"behaviors": config.engage_behaviors, "as_of_timestamp": str(int(now))}
    if config.engage_cohort:
        form |= cohort_form(config.engage_cohort)
    return form


def cohort_form(cohort_id: int) -> dict[str, str]:
    """The form fields that limit profiles to the members of a cohort."""
    return {
        "filter_by_cohort": orjson.dumps({"id": cohort_id}).decode(),
        "include_all_users": "false",
    }


def _iso(at: float) -> str:
    """A time in the format of `$last_seen`: UTC, without a zone."""
    return datetime.fromtimestamp(at, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")


def probe(_config: Config, _now: datetime) -> Request:
    """The cheapest request that shows whether the table can be read."""
    return ProfileQuery(NAME).request(page_size=1)
