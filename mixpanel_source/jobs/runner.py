"""Runs a job: one load package after another, for one table after another.

Each package is loaded before the next is fetched, so what is loaded stays loaded, whatever happens
next. A job starts from what the destination holds, never from what an earlier run left half done: a
package that was interrupted is dropped and fetched again, because loading the rest of it would load
some rows twice.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path

import dlt
from dlt.common.destination.exceptions import DestinationException

from ..api.clock import Clock
from ..catalog.tables import EXPORT, find_table
from ..destinations.exclusive import ExclusiveAccess
from ..destinations.registry import destination_of, target_of
from ..errors import AuthError, BusyError, CancelledError, ConfigError, MixpanelError, PausedError
from ..tables.context import LoadContext, clear_spool
from ..tables.events.archive_guard import count_held
from ..tables.events.ledger import Ledger
from ..tables.events.loading import DAY_COLUMN
from ..tables.load_log import SOURCE_NAME, KeptDay, WindowLoad, describe_rejected
from ..tables.ownership import release_claim
from ..tables.package import TablePart
from .column_comments import write_comments
from .dlt_errors import unwrap_errors
from .history import DONE, FAILED, STOPPED, LastRun, write_last_run
from .lock import job_access
from .pipeline import check_loader_settings, reset_local_state
from .run_notes import notes_on
from .source import build_source
from .working_directory import remove_loaded_packages

logger = logging.getLogger("mixpanel_source")

LEXICON = TablePart("lexicon")
UNCHANGED = 3
"""Exit code of a backfill that changed nothing, because Mixpanel no longer serves the days."""
_EXIT_CODES = (130, 1, 2, 75, UNCHANGED, 0)
"""Exit codes, the worst first."""
_STOPS = (BusyError, CancelledError, PausedError)


@dataclass
class JobResult:
    """What a job did."""

    pipeline: dlt.Pipeline
    windows: list[WindowLoad]
    """What was loaded, in order."""
    failures: dict[TablePart, MixpanelError]
    """What could not be loaded, and why; everything else was."""
    seconds: float = 0.0
    requests: int = 0
    """Requests made, failed and unmetered ones included."""
    requests_left: dict[str, int] = field(default_factory=dict)
    """Quota, `export` or `query` -> requests this hour still allows; empty if there is no bound."""
    is_unchanged: bool = False
    """Whether a backfill changed nothing, because every day kept its events and none was new."""

    @property
    def rows(self) -> Counter[str]:
        """Table -> rows loaded."""
        rows: Counter[str] = Counter()
        for window in self.windows:
            rows[window.table_name] += window.rows
        return rows

    @property
    def kept_days(self) -> dict[date, KeptDay]:
        """Settled days whose events stay although Mixpanel serves fewer, see `accept_deletions`."""
        return {day: kept for window in self.windows for day, kept in window.kept_days.items()}

    @property
    def failed_tables(self) -> set[str]:
        """The tables that could not be loaded, in part or as a whole."""
        return {part.table for part in self.failures}

    @property
    def exit_code(self) -> int:
        """The exit code of a command with these failures; of several, the one that matters most."""
        if not self.failures and self.is_unchanged:
            return UNCHANGED
        return exit_code_of(self.failures.values())


def exit_code_of(failures: Iterable[MixpanelError]) -> int:
    """The exit code of a command with these failures; 0 without any."""
    return worst_exit_code(error.exit_code for error in failures)


def worst_exit_code(codes: Iterable[int]) -> int:
    """The exit code for all of several results; 0 without any."""
    given = {*codes}
    return next((code for code in _EXIT_CODES if code in given), 0)


def run_job(
    name: str, tables: Sequence[str], pipeline: dlt.Pipeline, context: LoadContext
) -> JobResult:
    """Load `tables` in order.

    Args:
        name: of the job, for `status`.
        tables: names of tables, each once.
        pipeline: where to load.
        context: of this run.

    Raises:
        ConfigError: a setting does not fit the destination or Mixpanel, or the dataset belongs to
            another project or another pipeline.
        AuthError: Mixpanel does not know the account or the project.
        BusyError: another job is loading into the same dataset.
    """
    check_loader_settings()
    record = context.record
    result = JobResult(pipeline, record.windows, record.failures)
    destination = destination_of(pipeline)
    if destination.refusal:
        raise ConfigError(f"--destination: {destination.refusal}")
    if destination.limits:
        logger.warning(destination.limits)
    run = LastRun(name, tables, began_at=context.clock.time())
    with (
        job_access(pipeline, context) as access,
        _recorded(run, result, context.clock),
        _cleaned_up(pipeline, context, result),
        closing(context),
    ):
        try:
            _load_tables(tables, pipeline, context, access=access)
        finally:
            if not result.windows:
                _release_claim(pipeline)
        if rejected := describe_rejected(result.windows):
            logger.warning(rejected)
        result.is_unchanged = name == "backfill" and _is_unchanged(result)
        if LEXICON.table in tables and LEXICON not in result.failures:
            write_comments(pipeline)
        if not result.failures:
            # what is still spooled was fetched with other settings, or loaded just before a crash
            clear_spool(pipeline)
    for note in notes_on(result.windows, context.config):
        logger.warning(note)
    result.requests = context.client.requests
    result.requests_left = context.client.requests_left()
    return result


def _release_claim(pipeline: dlt.Pipeline) -> None:
    """Leave no claim if the first job loads nothing, for instance for the wrong project."""
    try:
        release_claim(pipeline)
    except (DestinationException, MixpanelError) as error:
        # such a claim also gives way to the next one
        logger.debug("The claim of the dataset could not be removed: %s.", type(error).__name__)


def _is_unchanged(result: JobResult) -> bool:
    """Whether all that was loaded is days that kept their rows, and no row is new."""
    kept = result.kept_days
    if not kept or any(window.replaces_days for window in result.windows):
        return False
    held = count_held(result.pipeline, EXPORT, DAY_COLUMN, kept).by_day
    return all(held.get(day) == number.held for day, number in kept.items())


def _load_tables(
    tables: Sequence[str], pipeline: dlt.Pipeline, context: LoadContext, *, access: ExclusiveAccess
) -> None:
    """Load one table after another; one that fails does not stop the others.

    Raises:
        AuthError: Mixpanel does not know the account or the project.
        ConfigError: a setting does not fit the destination or Mixpanel.
        MixpanelError: exclusive access to the dataset was lost.
    """
    is_clean = False
    for table in tables:
        if warning := find_table(table).warning:
            logger.warning(warning)
        access.check()
        # a loaded table leaves no local state behind, but an earlier job or a failure may
        if not is_clean:
            reset_local_state(pipeline)
        try:
            _load_table(table, pipeline, context, access=access)
            is_clean = True
        except (AuthError, ConfigError):
            raise
        except MixpanelError as failure:
            is_clean = False
            context.abandon_package()
            if type(failure) is MixpanelError and access.interruption is not None:
                failure = access.interruption
            context.record.failures[TablePart(table)] = failure
            context.window_requests.cancel_prefetch()
            if isinstance(failure, CancelledError):
                return


def _load_table(
    table: str, pipeline: dlt.Pipeline, context: LoadContext, *, access: ExclusiveAccess
) -> None:
    """Load one package of a table after another, until there is nothing left to fetch."""
    with unwrap_errors():
        context.claim(pipeline)
    while True:
        if context.cancelled.is_set():
            raise CancelledError("Cancelled.")
        source = build_source(context, [find_table(table)])
        with unwrap_errors():
            pipeline.run()  # nothing yet: it takes the state from the destination
            pipeline.extract(source.with_resources(table), loader_file_format="parquet")
            pipeline.normalize()
            access.check()
            pipeline.load()
        remove_loaded_packages(Path(pipeline.working_dir))
        package = context.finish_package()
        if table == EXPORT:
            context.record.synced_through = _synced_through(pipeline)
        context.progress.package_loaded(table)
        if package.failure is not None:
            raise package.failure
        if not package.has_more:
            return


def _synced_through(pipeline: dlt.Pipeline) -> date | None:
    source = pipeline.state.get("sources", {}).get(SOURCE_NAME, {})
    return Ledger(source.get("resources", {}).get(EXPORT, {})).synced_through


@contextmanager
def _cleaned_up(pipeline: dlt.Pipeline, context: LoadContext, result: JobResult) -> Iterator[None]:
    """Leave no events or profiles in dlt's working directory after a failure.

    The next job would not use them. Local state goes with them, because it is that of the packages.
    With `mask` the spool goes too, because it has values as Mixpanel served them.
    """
    failed = True
    try:
        yield
        failed = bool(result.failures)
    finally:
        if failed:
            with suppress(OSError):
                reset_local_state(pipeline)
            if context.config.mask:
                clear_spool(pipeline)


@contextmanager
def _recorded(run: LastRun, result: JobResult, clock: Clock) -> Iterator[None]:
    """Record, for `status`, that a run is in progress and how it ends."""
    path = target_of(result.pipeline).last_run_file
    write_last_run(path, run)
    failures: dict[str, str] = {}
    outcome = FAILED
    try:
        yield
        failures = {str(part): str(error) for part, error in result.failures.items()}
        stopped = any(isinstance(error, _STOPS) for error in result.failures.values())
        outcome = STOPPED if stopped else FAILED if failures else DONE
    except MixpanelError as error:
        failures = {"": str(error)}
        raise
    except BaseException as error:
        # the text of an unexpected error may contain a value
        failures = {"": type(error).__name__}
        raise
    finally:
        result.seconds = clock.time() - run.began_at
        ended = replace(
            run,
            ended_at=clock.time(),
            outcome=outcome,
            rows=result.rows.total(),
            failures=failures,
        )
        write_last_run(path, ended)
