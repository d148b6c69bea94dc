"""Raw events, day by day.

Each window is downloaded to the spool and verified there before a row of it goes to dlt. The days
of a window replace what the table holds of them: late events arrive, changed ones change, deleted
ones go. A day without events is loaded as a mark that deletes and is not itself inserted, so that
a day that was emptied is empty.

Source: https://developer.mixpanel.com/reference/raw-event-export.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from datetime import date, datetime, timezone
from functools import partial
from typing import Any

import dlt
import pyarrow as pa
from dlt.common.typing import TDataItems
from dlt.extract import DltResource

from ..api.client import Request
from ..config.model import Config
from ..decode.columns import ColumnMap, StoredColumn
from ..decode.event_time import EPOCH_ORDINAL
from ..decode.layout import EXPORT_COLUMNS, EXPORT_IDENTITY, EXPORT_SCHEMA, export_layout
from ..decode.value_types import EVENT
from ..decode.verify import VerifiedWindow
from ..errors import MixpanelError, ServerError, TruncatedError
from ..windows import DAY, Window, WindowQueue, days_to_sync, iter_days, newest_day, settled_on
from .context import Job, claim_dataset, growing_tables, open_spool
from .emit import Shape, build_decoder, closing_items, iter_items, stored_columns
from .event_downloads import NAME, Downloads, Fetched, build_request, receive
from .late_events import look_for_late_events
from .ledger import Ledger
from .load_log import WindowLoad
from .spool import Spooled

logger = logging.getLogger("mixpanel_source")

__all__ = ["NAME", "build_request", "export_resource", "plan_days", "receive"]

REPLACE_DAYS: Any = {
    "disposition": "merge",
    "strategy": "delete-insert",
    # every staged day goes, and of what is staged all but the marks comes
    "destination_scope": "event_date IN (SELECT event_date FROM {staging_table})",
    "source_filter": "event_key <> ''",
}
PROPERTY_COLUMNS = (
    StoredColumn("time", "time", "timestamp"),
    StoredColumn("distinct_id", "distinct_id", "text"),
    StoredColumn("$insert_id", "insert_id", "text"),
)
"""The columns of the properties that every event has a column for."""


def export_resource(config: Config, job: Job) -> DltResource:
    """The resource `export`."""
    return dlt.resource(
        _iter_items,
        name=NAME,
        write_disposition=REPLACE_DAYS,
        file_format="parquet",
    )(config, job)


def _iter_items(config: Config, job: Job) -> Iterator[TDataItems]:
    claim_dataset(config)
    state = dlt.current.resource_state()
    ledger = Ledger(state)
    if ledger.note_filters(config.filters):
        logger.warning(
            "export: events, where or limit have changed. From now on days are loaded with %s; "
            "days loaded before keep what they have until a backfill replaces them.",
            config.filters or "no filter",
        )
    with stored_columns(state, EXPORT_COLUMNS, config) as columns, growing_tables():
        loader = _WindowLoader(config, job, ledger, columns)
        if job.catches_up and not job.looked:
            look_for_late_events(config, job, ledger, open_spool())
        days = plan_days(config, ledger, job)
        job.progress.planned(NAME, len(days))
        yield from loader.iter_items(days)
    yield from closing_items(NAME, job, state, PROPERTY_COLUMNS)


def plan_days(config: Config, ledger: Ledger, job: Job) -> list[date]:
    """The days that are to be loaded now, in order."""
    if job.catches_up:
        return ledger.late_days
    newest = newest_day(job.now(), zone=config.project_timezone, include_today=config.include_today)
    if config.range is None:
        days = days_to_sync(
            anchor=config.anchor(newest + DAY),
            newest=newest,
            synced_through=ledger.synced_through,
            read_on=ledger.read_on,
            lookback_days=config.lookback_days,
        )
        # a later package of the same job does not read again what an earlier one has just loaded
        return [day for day in days if (NAME, day) not in job.loaded]
    done = ledger.backfilled_through(config.range)
    first = config.range.first if done is None else done + DAY
    return list(iter_days(first, min(config.range.last, newest)))


class _WindowLoader:
    """Turns windows into items for dlt, and notes what is loaded of them."""

    def __init__(self, config: Config, job: Job, ledger: Ledger, columns: ColumnMap) -> None:
        self._config = config
        self._job = job
        self._ledger = ledger
        self._columns = columns
        self._downloads = Downloads(config, job, ledger, open_spool())
        self._sizer = job.sizer(config.window_days)

    def iter_items(self, days: Iterable[date]) -> Iterator[TDataItems]:
        waiting = WindowQueue(days, self._sizer)
        while waiting and not self._job.is_checkpoint_due():
            window = waiting.next()
            try:
                fetched = self._downloads.take(window)
            except (ServerError, TruncatedError) as failure:
                if waiting.split(window):
                    logger.warning("%s Trying fewer days at once.", failure)
                    continue
                if not self._job.hold(failure):
                    raise
                return
            except MixpanelError as failure:
                if not self._job.hold(failure):
                    raise
                return
            self._sizer.note(window, fetched.spooled.lines_bytes)
            if waiting:
                self._downloads.look_ahead(waiting.peek())
            try:
                yield from self._iter_window(window, fetched)
            except GeneratorExit:
                self._job.drop_ahead()
                raise
            self._record(window, fetched.spooled)
        if not waiting and self._config.range is not None:
            self._ledger.end_backfill(self._config.range)

    def _iter_window(self, window: Window, fetched: Fetched) -> Iterator[TDataItems]:
        _, spooled, verified = fetched
        report = self._report(window, spooled, verified)
        decoder = build_decoder(self._config, EVENT, identity=EXPORT_IDENTITY)
        lay = partial(export_layout, index=verified.index, zone=self._config.project_timezone)
        yield from iter_items(fetched, decoder, Shape(lay, EXPORT_SCHEMA), self._columns, report)
        marks = _marks(window, verified)
        if len(marks):
            yield marks
        self._job.report(report)

    def _report(self, window: Window, spooled: Spooled, verified: VerifiedWindow) -> WindowLoad:
        read_on = datetime.fromtimestamp(spooled.fetched_at, timezone.utc).date()
        settled = settled_on(window.last, lookback_days=self._config.lookback_days)
        return WindowLoad(
            table_name=NAME,
            first_day=window.first,
            last_day=window.last,
            bytes=spooled.lines_bytes,
            requests=spooled.requests,
            fetched_at=spooled.fetched_at,
            is_final=read_on >= settled,
            duplicates_dropped=len(verified.index.dropped),
            filters=self._config.filters,
        )

    def _record(self, window: Window, spooled: Spooled) -> None:
        read_at = spooled.fetched_at
        if self._job.catches_up:
            self._ledger.record_catch_up(window, read_at=read_at)
        elif self._config.range is None:
            self._ledger.record_sync(window, read_at=read_at)
        else:
            self._ledger.record_backfill(window, self._config.range, read_at=read_at)


def probe(config: Config, now: datetime) -> Request:
    """The request that shows, at the least cost, whether this may be read."""
    day = newest_day(now, zone=config.project_timezone, include_today=False)
    return build_request(Window(day, day), config, limit=1)


def _marks(window: Window, verified: VerifiedWindow) -> pa.Table:
    """A row without a key for each day without events: it empties the day and goes no further."""
    kept = set(verified.index.days)
    empty = [day for day in window.days if day.toordinal() - EPOCH_ORDINAL not in kept]
    columns = {field.name: pa.nulls(len(empty), field.type) for field in EXPORT_SCHEMA}
    columns |= {
        "event_date": pa.array(empty, pa.date32()),
        "event_key": pa.array([""] * len(empty)),
    }
    return pa.table(columns, schema=EXPORT_SCHEMA)
