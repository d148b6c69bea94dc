"""Reports how each run of a job ended: to a file of metrics, and failures to a webhook.

Neither changes what the job does or how it ends. Both are looked up apart from the other settings,
so that broken settings are reported too.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar
from urllib.parse import urlsplit

from filelock import FileLock, Timeout

from ...api.clock import Clock
from ...api.webhook import post_json
from ...catalog.tables import EXPORT
from ...config.model import SETTINGS
from ...config.parsers import is_given
from ...config.providers import look_up
from ...errors import ConfigError, MixpanelError
from ...tables.context import LoadContext
from ...tables.package import TablePart
from ...windows import newest_day
from .metrics import Sample, merge, parse, render

logger = logging.getLogger("mixpanel_source")

CURRENT_PROJECT: ContextVar[str] = ContextVar("mixpanel_source_project", default="")
"""Name of the configured project that is run; empty outside a run over projects."""
ARCHIVE: Final = "archive"
"""Name of the job that archives, which loads no windows."""
DONE: Final = 0
FAILED: Final = (1, 2)
"""Exit codes for which the webhook is called."""
_LOCK_SECONDS: Final = 10.0


class Result(Protocol):
    """What a job did."""

    @property
    def rows(self) -> Counter[str]:
        """Table -> rows."""

    @property
    def failures(self) -> Mapping[TablePart, MixpanelError]:
        """Table, or part of one -> the error that ended it."""

    @property
    def exit_code(self) -> int:
        """Of a command with this result."""


AnyResult = TypeVar("AnyResult", bound=Result)


@dataclass
class RunReport:
    """One run of a job, as far as it came."""

    job: str
    """`sync`, `backfill`, `catch-up` or `archive`."""
    began_at: float
    """Seconds since the epoch."""
    project: str = ""
    """Name of a configured project; else the number of the project, if that is known."""
    tables: Sequence[str] = ()
    """The selected tables."""
    context: LoadContext | None = None
    """Of the run, once its settings are complete."""
    failures: dict[TablePart, MixpanelError | str] = field(default_factory=dict)
    """Table -> why it could not be loaded; the table is empty if the whole run failed."""
    exit_code: int = DONE
    ended_at: float = 0.0
    """Seconds since the epoch."""
    _rows: Counter[str] | None = None
    """Those of the result, if there is one."""

    def start(self, tables: Sequence[str], context: LoadContext) -> None:
        """Note what is loaded, and in which context."""
        self.tables, self.context = tables, context

    def end(self, result: AnyResult) -> AnyResult:
        """Note how the run ended, and return the result."""
        self.failures |= result.failures
        self.exit_code = result.exit_code
        self._rows = result.rows
        return result

    def fail(self, error: BaseException) -> None:
        """Note what ended the run."""
        if isinstance(error, MixpanelError):
            self.failures[TablePart("")] = error
            self.exit_code = error.exit_code
        else:
            # the text of an unexpected error may contain a value
            self.failures[TablePart("")] = type(error).__name__
            self.exit_code = 1

    @property
    def rows(self) -> Counter[str]:
        """Table -> rows loaded, or archived."""
        loaded = self._count(lambda window: window.rows)
        return Counter({**loaded, **(self._rows or {})})

    def _count(self, number: Callable[[Any], int]) -> Counter[str]:
        counts: Counter[str] = Counter(dict.fromkeys(self.tables, 0))
        for window in self.context.record.windows if self.context else ():
            counts[window.table_name] += number(window)
        return counts

    def samples(self) -> Iterator[Sample]:
        """Yields what is known of the run as metrics."""
        by_table = {
            "rows": self.rows,
            **(self._counts_of_windows() if self.job != ARCHIVE else {}),
            "table_failed": {
                table: int(any(part.table in ("", table) for part in self.failures))
                for table in self.tables
            },
        }
        for name, values in by_table.items():
            for table, number in values.items():
                yield self._sample(name, number, table=table)
        yield from self._samples_of_context()
        yield self._sample("exit_code", self.exit_code)
        yield self._sample("run_seconds", round(self.ended_at - self.began_at, 3))
        yield self._sample("last_run_timestamp_seconds", self.ended_at)
        if self.exit_code == DONE:
            yield self._sample("last_success_timestamp_seconds", self.ended_at)

    def _counts_of_windows(self) -> dict[str, Counter[str]]:
        """Metric -> table -> its value, of what is known of loaded windows only."""
        return {
            "bytes": self._count(lambda window: window.bytes),
            "values_repaired": self._count(lambda window: window.repairs.total()),
            "rows_rejected": self._count(lambda window: window.rows_rejected),
        }

    def _samples_of_context(self) -> Iterator[Sample]:
        if self.context is None:
            return
        client = self.context.client
        yield self._sample("requests", client.requests)
        for quota, number in client.requests_left().items():
            yield self._sample("quota_left", number, quota=quota)
        through = self.context.record.synced_through
        if through is not None:
            midnight = datetime(through.year, through.month, through.day, tzinfo=timezone.utc)
            name = "synced_through_timestamp_seconds"
            yield self._sample(name, midnight.timestamp(), table=EXPORT)

    def lag(self, samples: Sequence[Sample]) -> Iterator[Sample]:
        """Yields the lag, from the newest day loaded according to this run or the one before."""
        now = datetime.fromtimestamp(self.ended_at, timezone.utc)
        zone = self.context.config.project_timezone if self.context else "UTC"
        newest = newest_day(now, zone=zone, include_today=False)
        for sample in samples:
            is_own = sample.run == (self.project, self.job)
            if is_own and sample.name == "synced_through_timestamp_seconds":
                through = datetime.fromtimestamp(sample.value, timezone.utc).date()
                yield self._sample("lag_days", max(0, (newest - through).days), table=EXPORT)

    def _sample(self, name: str, value: float, **labels: str) -> Sample:
        return Sample(
            name, float(value), (("project", self.project), ("job", self.job), *labels.items())
        )

    def notice(self) -> dict[str, Any]:
        """What the webhook receives; `text` is what chat services show."""
        causes = [
            {
                "table": part.table or None,
                "part": part.part or None,
                "error": type(error).__name__ if isinstance(error, MixpanelError) else error,
                "message": str(error),
            }
            for part, error in self.failures.items()
        ]
        of = f" of {self.project}" if self.project else ""
        reasons = "; ".join(cause["message"] or "" for cause in causes)
        ending = f"ended with exit code {self.exit_code}: {reasons}"
        return {
            "text": f"mixpanel-source {self.job}{of} {ending}",
            "job": self.job,
            "project": self.project or None,
            "exit_code": self.exit_code,
            "tables": [*self.tables],
            "failures": causes,
            "rows": dict(self.rows),
            "began_at": _instant(self.began_at),
            "ended_at": _instant(self.ended_at),
            "seconds": round(self.ended_at - self.began_at, 3),
        }


@contextmanager
def reported(
    job: str, settings: Mapping[str, object], *, clock: Clock = time
) -> Iterator[RunReport]:
    """Report how the run within ends, whatever ends it.

    Args:
        job: its name.
        settings: take precedence over those configured.
        clock: the time.
    """
    report = RunReport(job, clock.time())
    try:
        yield report
    except BaseException as error:
        report.fail(error)
        raise
    finally:
        report.ended_at = clock.time()
        report.project = CURRENT_PROJECT.get() or _project_id(report, settings)
        if path := _setting("metrics_file", settings):
            write_metrics(Path(path).expanduser(), report)
        if report.exit_code in FAILED and (url := _setting("on_failure_url", settings)):
            _notify(url, report)


def write_metrics(path: Path, report: RunReport) -> None:
    """Merge a run into a file of metrics, at once; failing to write it is logged, not raised."""
    # collectors read every *.prom in the directory, and as another user
    beside = path.with_name(f".{path.name}.new")
    lock = FileLock(path.with_name(f".{path.name}.lock"), timeout=_LOCK_SECONDS)
    try:
        # the lock would create the directory, which nothing collects from
        path.parent.stat()
        with lock:
            before = path.read_text(encoding="utf-8") if path.exists() else ""
            samples = merge(parse(before), report.samples())
            beside.write_text(render([*samples, *report.lag(samples)]), encoding="utf-8")
            beside.replace(path)
    except (OSError, Timeout, UnicodeDecodeError, NotImplementedError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        logger.warning("The metrics could not be written to %s: %s.", path, reason)


def _notify(url: str, report: RunReport) -> None:
    problem = post_json(url, report.notice())
    if problem:
        host = urlsplit(url).hostname
        logger.warning("The failure could not be sent to on_failure_url at %s: %s.", host, problem)


def _setting(name: str, settings: Mapping[str, object]) -> str:
    """The valid value of a setting of text; empty if there is none."""
    given = settings.get(name)
    with suppress(ConfigError):  # reported by the run itself
        value = look_up(name) if given is None else given
        if is_given(value):
            (declared,) = (one for one in SETTINGS if one.name == name)
            return str(declared.parser(name, value))
    return ""


def _project_id(report: RunReport, settings: Mapping[str, object]) -> str:
    if report.context is not None:
        return str(report.context.config.project_id)
    return _setting("project_id", settings)


def _instant(at: float) -> str:
    return datetime.fromtimestamp(at, timezone.utc).isoformat(timespec="seconds")
