"""The job that archives: what Mixpanel serves goes to files, and to no database."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from threading import Event

from typing_extensions import Unpack

from .. import constants
from ..api.clock import Clock
from ..config.model import Config
from ..config.parsers import parse_directory, parse_range
from ..config.providers import load_config
from ..config.settings import Settings
from ..config.tables import select_tables
from ..errors import AuthError, CancelledError, ConfigError, MixpanelError
from ..files import make_private
from ..paths import archive_files, data_directory
from ..progress import Progress
from ..tables.archive.archive import EVENTS, PROFILES, TABLES, Archive
from ..tables.archive.manifest import ArchivedFile
from ..tables.context import LoadContext
from ..tables.events.downloads import EventDownloads
from ..tables.events.ledger import Ledger
from ..tables.events.planning import check_range
from ..tables.events.served_days import ServedDays
from ..tables.load_log import date_in_utc
from ..tables.package import Checkpoint, LoadPackage, TablePart
from ..tables.profiles.dump import take_dump
from ..tables.profiles.users import full_query
from ..tables.spool.spool import Spool
from ..windows import DAY, WindowQueue, iter_days, newest_day
from .reporting.report import ARCHIVE, reported
from .runner import exit_code_of

logger = logging.getLogger("mixpanel_source")


@dataclass
class ArchiveResult:
    """What was archived."""

    location: str
    """Of the archive: an absolute path, or an address."""
    files: Counter[str] = field(default_factory=Counter)
    """Table -> files written or confirmed."""
    rows: Counter[str] = field(default_factory=Counter)
    """Table -> their rows."""
    failures: dict[TablePart, MixpanelError] = field(default_factory=dict)
    """Table -> why it could not be archived completely; everything before is."""
    requests: int = 0
    """Requests made, failed and unmetered ones included."""
    requests_left: Mapping[str, int] = field(default_factory=dict)
    """Quota, `export` or `query` -> requests this hour still allows; empty if there is no bound."""

    def add(self, context: LoadContext, file: ArchivedFile | None) -> None:
        """Note a file that is in the archive, and report it."""
        if file is None:
            raise RuntimeError("the file is not in the archive")
        self.files[file.table] += 1
        self.rows[file.table] += file.rows
        context.progress.window_loaded(file.table, days=1, rows=file.rows, size=file.lines_bytes)
        megabytes = file.bytes / 1e6
        logger.info("%s: %s rows, %.1f MB", file.path, f"{file.rows:,}", megabytes)

    @property
    def exit_code(self) -> int:
        """The exit code of a command with these failures."""
        return exit_code_of(self.failures.values())


def archive(
    to: str | Path,
    tables: Sequence[str] = TABLES,
    *,
    days: str | None = None,
    max_wait_s: float = constants.QUOTA_PATIENCE_SECONDS,
    clock: Clock = time,
    progress: Progress | None = None,
    cancelled: Event | None = None,
    **settings: Unpack[Settings],
) -> ArchiveResult:
    """Keep what Mixpanel serves in files: each day of events, and the profiles as they are now.

    Safe to run at any time: what is archived is not requested again, except for days that were not
    final when they were read. An archive that was interrupted continues where it stopped.

    Args:
        to: directory of the archive, which is created.
        tables: `export`, `engage` or both.
        days: `first,last`, both inclusive, as YYYY-MM-DD; from `anchor_date` to yesterday if not
            given.
        max_wait_s: maximum seconds to wait for the quota; a longer wait ends the job for now.
        clock: the time, and how to wait.
        progress: receives progress events.
        cancelled: once set, the job ends after the day that it is reading.
        settings: take precedence over those configured.

    Raises:
        ConfigError: a setting or a table is unknown or malformed, or the directory holds something
            else.
        AuthError: Mixpanel does not know the account or the project.
        BusyError: another job writes the archive.
        MixpanelError: the archive cannot be written.
    """
    with reported(ARCHIVE, settings, clock=clock) as report:
        context = LoadContext(
            archive_config(to, days, settings),
            checkpoint=Checkpoint(),
            max_wait_s=max_wait_s,
            clock=clock,
            progress=progress,
            cancelled=cancelled,
        )
        report.start(select_tables(tables, context.config), context)
        return report.end(run_archive(tables, context))


def archive_config(to: str | Path, days: str | None, settings: Mapping[str, object]) -> Config:
    """The settings of a job that archives; see `archive`.

    Raises:
        ConfigError: a setting is missing, unknown or malformed.
    """
    if days is not None:
        parse_range("range", days)
    # an archive has a file for each day, whatever windows a sync is configured to request
    directory = parse_directory("--to", to)
    return replace(load_config({**settings, "range": days}), archive=directory, window_days=1)


def run_archive(tables: Sequence[str], context: LoadContext) -> ArchiveResult:
    """Archive in a context that was prepared for it; see `archive`."""
    selected = select_tables(tables, context.config)
    if others := [table for table in selected if table not in TABLES]:
        raise ConfigError(
            f"--tables: an archive holds {' and '.join(TABLES)} only, and not {', '.join(others)}."
        )
    check_range(context.config, context.now())
    make_private(data_directory())
    with closing(context):
        opened = context.archive
        if opened is None:
            raise RuntimeError("the context has no archive")
        result = ArchiveResult(opened.location)
        spool = context.open_spool(archive_files(opened.location) / "spool")
        for table in selected:
            try:
                _ARCHIVERS[table](context, opened, spool, result)
            except (AuthError, ConfigError):
                raise
            except MixpanelError as failure:
                result.failures[TablePart(table)] = failure
                context.window_requests.cancel_prefetch()
                if isinstance(failure, CancelledError):
                    break
        if not result.failures:
            spool.clear()
    result.requests = context.client.requests
    result.requests_left = context.client.requests_left()
    return result


def _archive_events(
    context: LoadContext, archive: Archive, spool: Spool, result: ArchiveResult
) -> None:
    package = _start_package(context, EVENTS)
    downloads = EventDownloads(context, package, Ledger({}), spool)
    days = due_days(context, archive)
    context.progress.days_planned(EVENTS, len(days))
    queue = WindowQueue(days, context.window_requests.sizer)
    served = ServedDays(context, downloads, queue, days)
    while queue:
        _check_cancelled(context)
        window = queue.next()
        try:
            fetched = downloads.take(window)
        except MixpanelError as failure:
            if served.leave_out(window, failure):
                continue
            raise
        served.discard_future()
        downloads.prefetch(queue)
        for name in fetched.names:
            spool.remove(name)
        result.add(context, archive.find(EVENTS, window.first))


def due_days(context: LoadContext, archive: Archive) -> list[date]:
    """The days to request: first those that are missing, then those to read again."""
    config, now = context.config, context.now()
    newest = newest_day(now, zone=config.project_timezone, include_today=config.include_today)
    first, last = config.range or (config.anchor(newest + DAY), newest)
    due = [day for day in iter_days(first, min(last, newest)) if archive.is_due(day, now.date())]
    return sorted(due, key=lambda day: (archive.find(EVENTS, day) is not None, day))


def _archive_profiles(
    context: LoadContext, archive: Archive, spool: Spool, result: ArchiveResult
) -> None:
    now = context.time()
    if archive.find(PROFILES, date_in_utc(now)) is not None:
        return
    package = _start_package(context, PROFILES)
    dump = take_dump(context, package, full_query(context.config, now), after=0.0, spool=spool)
    dump.keep_in(archive)
    result.add(context, archive.newest(PROFILES))


def _start_package(context: LoadContext, table: str) -> LoadPackage:
    """A package that stays empty: nothing is loaded."""
    _check_cancelled(context)
    return LoadPackage(table, context.clock.time(), context.checkpoint, context.progress)


def _check_cancelled(context: LoadContext) -> None:
    if context.cancelled.is_set():
        raise CancelledError("Cancelled.")


_ARCHIVERS: Mapping[str, Callable[[LoadContext, Archive, Spool, ArchiveResult], None]] = {
    EVENTS: _archive_events,
    PROFILES: _archive_profiles,
}
