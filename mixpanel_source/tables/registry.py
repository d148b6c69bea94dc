"""How each table is loaded: the one place where a table meets its resource."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple

import dlt
from dlt.common.typing import TDataItems
from dlt.extract import DltResource

from ..api.request import Request
from ..catalog.tables import TABLES, Table
from ..config.model import Config
from ..destinations.registry import destination_of
from ..destinations.replacement import Replacement
from ..memory import release_memory
from .context import LoadContext
from .dlt_items import growing_tables, iter_without_tombstones
from .events import loading as events
from .events import planning
from .item_files import adds_load_id, iter_as_files
from .lists import loading as lists
from .profiles import cohort_members, groups
from .profiles import users as profiles
from .reports import loading as reports
from .reports import report_requests
from .reports.schemas import replacement_of


class Resource(NamedTuple):
    """How a table is loaded and probed, and what a sync of it costs."""

    iter_items: Callable[[LoadContext], Iterator[TDataItems]]
    replacement: Callable[[Config], Replacement] | None
    """What a load replaces; None where the items say it themselves."""
    probe: Callable[[Config, datetime], Request]
    """The cheapest request that shows whether the table can be read, at a time."""
    count_requests: Callable[[Config, Mapping[str, Any]], int | None]
    """Metered requests of a sync, given the state of the resource; None if it is not known before
    the first sync."""


def _resource(table: Table) -> Resource:
    name = table.name
    if table.columns:
        return Resource(
            partial(lists.iter_list, name=name),
            None,
            partial(lists.probe, name),
            lambda _config, _state: lists.count_requests(name),
        )
    if table.is_report:
        return Resource(
            partial(reports.iter_reports, table=name),
            lambda _config: replacement_of(name),
            partial(report_requests.probe, name),
            partial(reports.count_requests, name),
        )
    return _OWN_MODULES[name]


_OWN_MODULES: dict[str, Resource] = {
    "export": Resource(
        events.iter_events,
        lambda _config: events.REPLACEMENT,
        planning.probe,
        lambda _config, _state: None,
    ),
    "engage": Resource(
        profiles.iter_profiles,
        profiles.replacement,
        profiles.probe,
        lambda _config, _state: 1,
    ),
    "cohort_members": Resource(
        cohort_members.iter_cohort_members,
        lambda _config: cohort_members.REPLACEMENT,
        cohort_members.probe,
        cohort_members.count_requests,
    ),
    "groups": Resource(
        groups.iter_groups,
        lambda _config: groups.REPLACEMENT,
        groups.probe,
        groups.count_requests,
    ),
}
RESOURCES = {table.name: _resource(table) for table in TABLES}
"""Name of the table -> how it is loaded."""


def build_resource(table: Table, context: LoadContext) -> DltResource:
    """The dlt resource of a table; nothing is requested before it is extracted."""
    resource = RESOURCES[table.name]
    hints: dict[str, Any] = {}
    if resource.replacement is not None:
        hints["write_disposition"] = resource.replacement(context.config).write_disposition

    def iter_items(context: LoadContext) -> Iterator[TDataItems]:
        items = resource.iter_items(context)
        if _appends():
            items = iter_without_tombstones(items)
        elif context.checkpoint is not None and _reads_our_files():
            items = iter_as_files(items, table.name)
        try:
            with growing_tables():
                yield from items
        finally:
            context.discard_unmasked(table.name)
        # the destination works next, in the same process
        release_memory()

    built: DltResource = dlt.resource(
        iter_items,
        name=table.name,
        file_format="parquet",
        selected=table.is_default,
        **hints,
    )(context)
    return built


def _reads_our_files() -> bool:
    """Whether the destination of the job takes parquet files that dlt has not written."""
    return destination_of(dlt.current.pipeline()).reads_our_files and not adds_load_id()


def _appends() -> bool:
    """Whether the destination of the pipeline that is running replaces no rows."""
    pipeline = dlt.current.pipeline()
    # a pipeline that extracts only has none
    return getattr(pipeline, "destination", None) is not None and destination_of(pipeline).appends
