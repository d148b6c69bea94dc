"""Who is in which cohort, and from when to when.

A reply is who is in a cohort now. Each reading is held against the one before: whoever came gets a
row that is open, whoever left has the row closed, so the table also tells who was in it on a day of
the past. The cohorts are read one by one; one that is broken keeps what it had.

Source: https://developer.mixpanel.com/reference/engage-query (filter_by_cohort).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any

import dlt
import pyarrow as pa
import pyarrow.compute as pc
from dlt.common.typing import TDataItems
from dlt.extract import DltResource

from ..api.client import Request
from ..config.model import Config
from ..decode.decoder import Decoder
from ..decode.identity import ProfileIdentifier
from ..decode.layout import Laid
from ..destinations.replacement import Replacement
from .context import Job, claim_dataset
from .emit import Shape, build_decoder, closing_items, iter_items, stored_columns
from .lists import ListFetcher, build_request
from .load_log import WindowLoad
from .partitions import iter_parts
from .profile_dump import ProfileQuery, take_profiles
from .profiles import cohort_form

NAME = "cohort_members"
COHORTS, READ_AT = "cohorts", "read_at"
MEMBER_KEY = "member_key"
SCHEMA = pa.schema(
    [
        pa.field("cohort_id", pa.int64(), nullable=False),
        pa.field("distinct_id", pa.string()),
        pa.field(MEMBER_KEY, pa.string(), nullable=False),
    ]
)
# a cohort that was not read keeps its members
REPLACEMENT = Replacement(scope=("cohort_id",), keep="distinct_id", row_version=MEMBER_KEY)


def cohort_members_resource(config: Config, job: Job) -> DltResource:
    """The resource `cohort_members`, not selected unless asked for: it needs a paid plan."""
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
    load = partial(_iter_members, config, job, state)
    known: list[int] = state.get(COHORTS, [])
    cohorts = [*config.cohort_ids] or _list_cohorts(config, job)
    yield from iter_parts(job, NAME, [(str(cohort), cohort) for cohort in cohorts], load)
    if not config.cohort_ids:
        gone = {*known} - {*cohorts}
        if gone:
            yield REPLACEMENT.tombstones(SCHEMA, cohort_id=[*gone])
        state[COHORTS] = cohorts
    yield from closing_items(NAME, job, {})


def _list_cohorts(config: Config, job: Job) -> list[int]:
    return [row["id"] for row in ListFetcher(config, job).rows("cohorts")]


def _iter_members(
    config: Config, job: Job, state: dict[str, Any], cohort: int
) -> Iterator[TDataItems]:
    decoder = _decoder(config)
    read_at: dict[str, float] = state.setdefault(READ_AT, {})
    after = read_at.get(str(cohort), 0.0)
    dump = take_profiles(job, config, _asked(cohort), decoder, after=after)
    report: WindowLoad = dump.report()
    with stored_columns({}, {}, config) as columns:
        shape = Shape(partial(_lay, cohort), SCHEMA)
        yield from iter_items(dump, decoder, shape, columns, report)
    if not report.rows:
        yield REPLACEMENT.tombstones(SCHEMA, cohort_id=[cohort])
    read_at[str(cohort)] = dump.spooled.fetched_at
    job.report(report)


def _lay(cohort: int, table: pa.Table) -> Laid:
    members = table["name"].combine_chunks()
    ids = pa.array([cohort] * len(members), pa.int64())
    keys = pc.binary_join_element_wise(str(cohort), members, ":")
    return Laid({"cohort_id": ids, "distinct_id": members, MEMBER_KEY: keys}, {})


def _asked(cohort: int) -> ProfileQuery:
    # some property has to be named, or all of them come; who has not got it comes all the same
    form = {**cohort_form(cohort), "output_properties": '["$last_seen"]'}
    return ProfileQuery(NAME, form, part=str(cohort))


def _decoder(config: Config) -> Decoder:
    decoder = build_decoder(config, ProfileIdentifier())
    return replace(decoder, only=(), raw=False, digest=False)


def count_requests(config: Config, state: dict[str, Any]) -> int | None:
    """Requests of a sync that count against the quota; None if the cohorts are not known yet."""
    if config.cohort_ids:
        return len(config.cohort_ids)
    return 1 + len(state[COHORTS]) if COHORTS in state else None


def probe(_config: Config, _now: datetime) -> Request:
    """The request that shows, at the least cost, whether this may be read."""
    return build_request("cohorts")
