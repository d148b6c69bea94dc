"""Who is in which cohort, and since when.

A reply lists who is in a cohort now. It is compared with the one before: a new member gets an open
row, the row of a member who left is closed. So the table also tells who was in a cohort on a past
day. Cohorts are read one by one; one that fails keeps what it had.

Source: https://developer.mixpanel.com/reference/engage-query (filter_by_cohort).
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import partial
from typing import Any

import dlt
import pyarrow as pa
import pyarrow.compute as pc
from dlt.common.typing import TDataItems

from ...api.request import Request
from ...config.masking import UNMASKED
from ...config.model import Config
from ...decode.decoded import Decoded, Selection
from ...decode.decoder import BlockDecoder
from ...decode.layout import Layout
from ...decode.row_shape import find_entry_problem
from ...decode.value_types import PROFILE
from ...destinations.replacement import Replacement
from ..context import LoadContext
from ..emit import TableFormat, closing_items, count_workers, stored_columns
from ..lists.fetching import ListFetcher, list_request
from ..masked_columns import build_mask
from ..package import LoadPackage
from ..partitions import iter_parts
from ..rejected import RejectedWriter
from .dump import ProfileQuery, iter_dump, take_dump
from .users import cohort_form

logger = logging.getLogger("mixpanel_source")

NAME = "cohort_members"
COHORTS, READ_AT, MASKS = "cohorts", "read_at", "masks"
"""State of the resource: the known cohorts; cohort -> when it was read, seconds since the epoch;
the masks that the ids of members were stored with."""
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


def iter_cohort_members(context: LoadContext) -> Iterator[TDataItems]:
    """Yields the items of the resource `cohort_members`."""
    package = context.start_package(NAME)
    config = context.config
    state = dlt.current.resource_state()
    _note_mask(config, state, is_lost=package.loss is not None and package.loss.is_table_lost)
    load = partial(_iter_cohort, context, package, state)
    known: list[int] = state.get(COHORTS, [])
    cohorts = [*config.cohort_ids]
    lister = ListFetcher(context, package)
    if not cohorts:
        cohorts = _list_cohorts(lister)
        yield from _iter_rejected_cohorts(context, package, lister)
    parts = [(str(cohort), cohort) for cohort in cohorts]
    yield from iter_parts(context, package, parts, load)
    if not config.cohort_ids:
        # a cohort whose entry was rejected is not deleted
        deleted = set() if lister.rejected else {*known} - {*cohorts}
        if deleted:
            yield REPLACEMENT.tombstones(SCHEMA, cohort_id=[*deleted])
        state[COHORTS] = sorted({*cohorts, *known} - deleted)
    yield from closing_items(package)


def _note_mask(config: Config, state: dict[str, Any], *, is_lost: bool) -> None:
    """Warn while the table holds ids of members that were masked in another way, or not at all."""
    masks: list[str] = [] if is_lost else state.get(MASKS, [UNMASKED] if READ_AT in state else [])
    state[MASKS] = [*dict.fromkeys([*masks, config.mask_version])]
    if len(state[MASKS]) > 1:
        logger.warning(
            "cohort_members: mask or mask_key has changed since it was first loaded. Former "
            "members keep their ids as they were. To have one kind of ids, drop the table, with "
            "its history, and sync again."
        )


def _list_cohorts(lister: ListFetcher) -> list[int]:
    cohorts = []
    for row in lister.rows("cohorts"):
        if problem := find_entry_problem(row, {"id": "bigint"}):
            lister.reject("cohorts", row, problem)
        else:
            cohorts.append(int(row["id"]))
    return cohorts


def _iter_rejected_cohorts(
    context: LoadContext, package: LoadPackage, lister: ListFetcher
) -> Iterator[TDataItems]:
    """Yields the entries of the list of cohorts that have no usable id."""
    rejected = lister.rejected.get("cohorts", ())
    load = lister.take_window_load(NAME, 0)
    yield from RejectedWriter(load, context.forgotten).iter_items(rejected)
    if rejected:
        package.add(load)


def _iter_cohort(
    context: LoadContext, package: LoadPackage, state: dict[str, Any], cohort: int
) -> Iterator[TDataItems]:
    workers = count_workers(context.config)
    mask = build_mask(context.config)
    decoder = BlockDecoder(PROFILE, Selection(only=()), workers, context.forgotten, mask)
    read_at: dict[str, float] = state.setdefault(READ_AT, {})
    after = read_at.get(str(cohort), 0.0)
    dump = take_dump(context, package, _query(cohort), after=after)
    load = dump.window_load()
    with stored_columns({}, {}, context.config) as columns:
        table_format = TableFormat(decoder, partial(_lay_out, cohort), SCHEMA, columns)
        yield from iter_dump(dump, table_format, load, context.forgotten)
    if not load.rows:
        yield REPLACEMENT.tombstones(SCHEMA, cohort_id=[cohort])
    read_at[str(cohort)] = dump.spooled.fetched_at
    package.add(load)


def _lay_out(cohort: int, decoded: Decoded) -> Layout:
    members = decoded.names
    ids = pa.array([cohort] * len(members), pa.int64())
    keys = pc.binary_join_element_wise(str(cohort), members, ":")
    return Layout({"cohort_id": ids, "distinct_id": members, MEMBER_KEY: keys}, {})


def _query(cohort: int) -> ProfileQuery:
    # with no property named Mixpanel sends all of them; members without this one are sent too
    form = {**cohort_form(cohort), "output_properties": '["$last_seen"]'}
    return ProfileQuery(NAME, form, part=str(cohort))


def count_requests(config: Config, state: Mapping[str, Any]) -> int | None:
    """Metered requests of a sync; None if the cohorts are not known yet."""
    if config.cohort_ids:
        return len(config.cohort_ids)
    return 1 + len(state[COHORTS]) if COHORTS in state else None


def probe(_config: Config, _now: datetime) -> Request:
    """The cheapest request that shows whether the table can be read."""
    return list_request(NAME, "cohorts")
