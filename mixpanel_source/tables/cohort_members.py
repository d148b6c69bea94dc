"""Who is in which cohort, and from when to when.

A reply is who is in a cohort now. Each reading is held against the one before: whoever came gets a
row that is open, whoever left has the row closed, so the table also tells who was in it on a day of
the past. The cohorts are read one by one; one that is broken keeps what it had.

Source: https://developer.mixpanel.com/reference/engage-query (filter_by_cohort).
"""

from __future__ import annotations

from collections.abc import Iterator
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
from ..decode.decoded import Decoded, Selection
from ..decode.decoder import BlockDecoder
from ..decode.layout import Layout
from ..decode.value_types import PROFILE
from .context import Job, claim_dataset
from .emit import Shape, closing_items, count_workers, iter_items, stored_columns
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
HISTORY: Any = {
    "disposition": "merge",
    "strategy": "scd2",
    "row_version_column_name": MEMBER_KEY,
    # a cohort that was not read keeps its members; one without any has a row without an id
    "destination_scope": "cohort_id IN (SELECT cohort_id FROM {staging_table})",
    "source_filter": "distinct_id IS NOT NULL",
}


def cohort_members_resource(config: Config, job: Job) -> DltResource:
    """The resource `cohort_members`, not selected unless asked for: it needs a paid plan."""
    return dlt.resource(
        _iter_items,
        name=NAME,
        write_disposition=HISTORY,
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
        for cohort in {*known} - {*cohorts}:
            yield _nobody(cohort)
        state[COHORTS] = cohorts
    yield from closing_items(NAME, job, {})


def _list_cohorts(config: Config, job: Job) -> list[int]:
    return [row["id"] for row in ListFetcher(config, job).rows("cohorts")]


def _iter_members(
    config: Config, job: Job, state: dict[str, Any], cohort: int
) -> Iterator[TDataItems]:
    decoder = BlockDecoder(PROFILE, Selection(only=()), workers=count_workers(config))
    read_at: dict[str, float] = state.setdefault(READ_AT, {})
    after = read_at.get(str(cohort), 0.0)
    dump = take_profiles(job, config, _asked(cohort), after=after)
    report: WindowLoad = dump.report()
    with stored_columns({}, {}, config) as columns:
        shape = Shape(partial(_lay, cohort), SCHEMA)
        yield from iter_items(dump, decoder, shape, columns, report)
    if not report.rows:
        yield _nobody(cohort)
    read_at[str(cohort)] = dump.spooled.fetched_at
    job.report(report)


def _lay(cohort: int, decoded: Decoded) -> Layout:
    members = decoded.names
    ids = pa.array([cohort] * len(members), pa.int64())
    keys = pc.binary_join_element_wise(str(cohort), members, ":")
    return Layout({"cohort_id": ids, "distinct_id": members, MEMBER_KEY: keys}, {})


def _nobody(cohort: int) -> pa.Table:
    """A row without a member: it closes what is open of a cohort and goes no further."""
    nobody = {"cohort_id": [cohort], "distinct_id": [None], MEMBER_KEY: [""]}
    return pa.table(nobody, schema=SCHEMA)


def _asked(cohort: int) -> ProfileQuery:
    # some property has to be named, or all of them come; who has not got it comes all the same
    form = {**cohort_form(cohort), "output_properties": '["$last_seen"]'}
    return ProfileQuery(NAME, form, part=str(cohort))


def count_requests(config: Config, state: dict[str, Any]) -> int | None:
    """Requests of a sync that count against the quota; None if the cohorts are not known yet."""
    if config.cohort_ids:
        return len(config.cohort_ids)
    return 1 + len(state[COHORTS]) if COHORTS in state else None


def probe(_config: Config, _now: datetime) -> Request:
    """The request that shows, at the least cost, whether this may be read."""
    return build_request("cohorts")
