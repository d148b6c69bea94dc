"""Raw events, day by day: the table `export`.

Each window is downloaded to the spool and verified there before any of its rows goes to dlt. The
days of a window replace what the table holds of them: late events arrive, changed events change,
deleted events go. A day without events is loaded as a tombstone, so that it becomes empty.

Source: https://developer.mixpanel.com/reference/raw-event-export.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from datetime import date
from functools import partial
from itertools import compress

import dlt
from dlt.common.typing import TDataItems

from ...catalog.tables import EXPORT
from ...decode.columns import ColumnMap, StoredColumn
from ...decode.decoded import Selection
from ...decode.decoder import BlockDecoder
from ...decode.layout import EXPORT_COLUMNS, EXPORT_IDENTITY, EXPORT_SCHEMA, export_layout
from ...decode.value_types import EVENT
from ...destinations.replacement import Replacement
from ...errors import MixpanelError
from ...windows import Window, WindowQueue, iter_days, settled_on
from ..context import LoadContext
from ..emit import (
    TableFormat,
    VerifiedRows,
    build_decoder,
    closing_items,
    column_items,
    count_workers,
    find_positions,
    stored_columns,
)
from ..load_log import KeptDay, WindowLoad, date_in_utc
from ..package import LoadPackage
from ..rejected import RejectedWriter, find_rejected, keeping
from .archive_guard import ArchiveGuard, count_held, settled_days
from .day_settings import DaySettings
from .downloads import EventDownloads
from .late_events import search_late_events
from .ledger import Ledger
from .planning import find_days, record_lost_days
from .reading import ReadWindow, Unit, UnitReader
from .served_days import ServedDays

logger = logging.getLogger("mixpanel_source")

DAY_COLUMN = "event_date"
REPLACEMENT = Replacement(scope=(DAY_COLUMN,), keep="event_key", blank="")
PROPERTY_COLUMNS = (
    StoredColumn("time", "time", "timestamp"),
    StoredColumn("distinct_id", "distinct_id", "text"),
    StoredColumn("$insert_id", "insert_id", "text"),
)
"""The columns of the properties that every event has a column for."""


def iter_events(context: LoadContext) -> Iterator[TDataItems]:
    """Yields the items of the resource `export`."""
    package = context.start_package(EXPORT)
    config = context.config
    state = dlt.current.resource_state()
    ledger = Ledger(state)
    if ledger.note_filters(config.filters):
        logger.warning(
            "export: events, where or limit have changed. From now on days are loaded with %s; "
            "days loaded before keep their rows until a backfill replaces them.",
            config.filters or "no filter",
        )
    settings = DaySettings(state, config)
    settings.start(ledger.loaded_span)
    if not context.record.windows:
        for warning in settings.warnings():
            logger.warning("export: %s", warning)
    record_lost_days(context, package, ledger)
    with stored_columns(state, EXPORT_COLUMNS, config) as columns:
        loader = _WindowLoader(context, package, ledger, columns, settings=settings)
        if context.catches_up and not context.record.searched_late_events:
            search_late_events(context, package, ledger, context.open_spool())
        days = find_days(context, ledger)
        context.progress.days_planned(EXPORT, len(days))
        yield from loader.iter_items(days)
    yield from column_items(package, state, config, PROPERTY_COLUMNS)
    yield from closing_items(package)


class _WindowLoader:
    """Turns windows into items for dlt, and records what is loaded of them."""

    def __init__(
        self,
        context: LoadContext,
        package: LoadPackage,
        ledger: Ledger,
        columns: ColumnMap,
        *,
        settings: DaySettings,
    ) -> None:
        self._settings = settings
        self._context = context
        self._config = context.config
        self._package = package
        self._ledger = ledger
        self._columns = columns
        self._requests = context.window_requests
        self._downloads = EventDownloads(context, package, ledger, context.open_spool())
        self._reader = UnitReader(context, self._downloads, ledger)
        self._guard = ArchiveGuard(self._config, REPLACEMENT, {})

    def iter_items(self, days: Sequence[date]) -> Iterator[TDataItems]:
        self._guard = self._build_guard(days)
        self._requests.splitter.note(self._ledger.rows_a_day)
        queue = WindowQueue(days, self._requests.sizer)
        served = ServedDays(self._context, self._downloads, queue, days)
        self._context.engine.begin(self._context, self._columns)
        while queue and not self._context.is_checkpoint_due(self._package):
            if self._requests.ahead > 1:
                self._downloads.prefetch(queue)
            window = queue.next()
            try:
                unit = self._read(window, queue)
            except MixpanelError as failure:
                if served.leave_out(window, failure):
                    continue
                if not self._package.end_with(failure):
                    raise
                return
            if unit is None:
                continue
            served.discard_future()
            self._downloads.prefetch(queue)
            try:
                yield from self._iter_unit(unit)
            except GeneratorExit:
                self._requests.cancel_prefetch()
                raise
        if not queue and self._config.range is not None:
            self._ledger.end_backfill(self._config.range)

    def _build_guard(self, days: Sequence[date]) -> ArchiveGuard:
        # days that were read together may have to be read together again
        touched = self._ledger.windows.with_whole_windows(days)
        guarded = settled_days(touched, self._context.now().date(), self._config)
        held = count_held(dlt.current.pipeline(), EXPORT, DAY_COLUMN, guarded)
        return ArchiveGuard(self._config, REPLACEMENT, held.by_day, table=held.table)

    def _read(self, window: Window, queue: WindowQueue) -> Unit | None:
        """The unit of a window; None if halves of the window are in the queue instead."""
        unit = self._reader.read(window, queue)
        if isinstance(unit, Unit):
            read = next(part for part in unit.parts if part.window == window)
            self._requests.sizer.note(window, read.fetched.spooled.lines_bytes)
            rows = len(read.fetched.verified.index)
            self._requests.splitter.note(rows // window.length_days)
            self._ledger.record_rows(window, rows)
            return unit
        if not self._requests.halve(window, queue):
            raise unit
        logger.warning("%s Trying fewer days at once.", unit)
        return None

    def _iter_unit(self, unit: Unit) -> Iterator[TDataItems]:
        kept: dict[date, KeptDay] = {}
        for part in unit.parts:
            load = self._window_load(part)
            load.kept_days = self._guard.check(
                part.window,
                # by day of the unit: what moved to another part of it is not missing
                self._count_part(part, part.window) if unit.is_single else self._count_unit(unit),
                read_on=load.read_on,
                has_strays=unit.has_strays,
            )
            self._leave_out_unknown(part, load.kept_days)
            yield from self._iter_window(part, load)
            kept |= load.kept_days
        for part in unit.parts:
            self._record(part.window, part.fetched.spooled.fetched_at)
            self._ledger.record_window(part.window, has_strays=part.filed.has_strays)
            self._settings.record(part.window, kept=kept)
        if kept and not unit.is_single:
            # a row that was kept is stored where it was, which may be in another part
            self._ledger.record_window(unit.span, has_strays=unit.has_strays)

    def _leave_out_unknown(self, part: ReadWindow, kept: Collection[date]) -> None:
        """Add no events to kept days whose events have other keys, so that none is there twice."""
        days = self._settings.with_other_key(kept)
        if not days:
            return
        index = part.fetched.verified.index
        index.drop(index.positions_of(days))
        logger.warning(
            "export: mask or mask_key has changed since %s was loaded. It keeps its events as they "
            "are, and no new ones are added to it.",
            ", ".join(map(str, days)),
        )

    def _iter_window(self, part: ReadWindow, load: WindowLoad) -> Iterator[TDataItems]:
        window, fetched = part.window, part.fetched
        zone = self._config.project_timezone
        lay = partial(export_layout, index=fetched.verified.index, zone=zone)
        forgotten = self._context.forgotten
        decoder = build_decoder(self._config, EVENT, forgotten=forgotten, identity=EXPORT_IDENTITY)
        served = self._count_part(part, window)
        load.replaces_days = self._guard.replaces_days(window, served)
        replacement = self._guard.replacement if load.kept_days else None
        yield from self._iter_rejected(fetched, decoder, load)
        table_format = TableFormat(decoder, lay, EXPORT_SCHEMA, self._columns, replacement)
        yield from self._context.engine.iter_items(fetched, table_format, load)
        # if rows were left out any day may be empty; a tombstone beside rows changes nothing
        present = {} if load.rows_forgotten else served
        empty = [day for day in window.days if day not in present and day not in load.kept_days]
        if empty:
            yield REPLACEMENT.tombstones(EXPORT_SCHEMA, event_date=empty)
        self._package.add(load)

    def _iter_rejected(
        self, fetched: VerifiedRows, decoder: BlockDecoder, load: WindowLoad
    ) -> Iterator[TDataItems]:
        replaced = keeping(self._guard.kept_days)
        writer = RejectedWriter(load, self._context.forgotten, replaced, mask=decoder.mask)
        window = iter_days(load.first_day, load.last_day)
        days = [day for day in window if day not in load.kept_days]
        rows = find_rejected(fetched, decoder)
        if self._requests.serves_other_days:
            own = fetched.verified.index.is_rejected_of(Window(load.first_day, load.last_day))
            rows = compress(rows, own.tolist())
        yield from writer.iter_items(rows, days=days)

    def _count_unit(self, unit: Unit) -> dict[date, int]:
        """Day -> events of all parts whose own day, within the unit, it is."""
        counts: Counter[date] = Counter()
        for part in unit.parts:
            counts.update(self._count_part(part, unit.span))
        return counts

    def _count_part(self, part: ReadWindow, window: Window) -> dict[date, int]:
        """Day -> events of a part, without duplicates, and without forgotten persons if guarded.

        The table holds no rows of these persons. Their events must not hide that Mixpanel no longer
        serves the others.

        Args:
            part: whose events are counted.
            window: whose days they are counted under.
        """
        index, forgotten = part.fetched.verified.index, self._context.forgotten
        if not forgotten or not self._guard.guards(part.window):
            return index.rows_by_day(window=window)
        decoder = BlockDecoder(EVENT, Selection(only=()), count_workers(self._config), forgotten)
        return index.rows_by_day(find_positions(part.fetched, decoder), window=window)

    def _window_load(self, part: ReadWindow) -> WindowLoad:
        window, spooled = part.window, part.fetched.spooled
        settled = settled_on(window.last, lookback_days=self._config.lookback_days)
        outside, index = part.filed.rows_outside, part.fetched.verified.index
        return WindowLoad(
            table_name=EXPORT,
            first_day=window.first,
            last_day=window.last,
            bytes=spooled.lines_bytes,
            requests=spooled.requests,
            fetched_at=spooled.fetched_at,
            is_final=date_in_utc(spooled.fetched_at) >= settled,
            duplicates_dropped=len(index.dropped) - len(index.rejected) - outside,
            rows_outside_window=outside,
            filters=self._config.filters,
        )

    def _record(self, window: Window, read_at: float) -> None:
        if self._context.catches_up:
            self._ledger.record_catch_up(window, read_at=read_at)
        elif self._config.range is None:
            self._ledger.record_sync(window, read_at=read_at)
        else:
            self._ledger.record_backfill(window, self._config.range, read_at=read_at)
