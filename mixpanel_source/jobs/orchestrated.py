"""Jobs as an orchestrator runs them: named when its code is imported, configured when they run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime, timezone
from threading import Event
from typing import Any, Final, TypeVar

from .. import constants
from ..catalog.tables import EXPORT
from ..config.projects import default_dataset, read_project, select_projects
from ..config.settings import Settings
from ..decode.parallel import Task
from ..errors import MixpanelError
from .pipeline import open_pipeline
from .reporting.report import CURRENT_PROJECT
from .runner import JobResult
from .summary import summarize
from .sync import backfill, sync

T = TypeVar("T")

LATER: Final = 75
"""Exit code of what should be tried again later."""
UNCHANGED: Final = 3
MAX_WAIT_SECONDS: Final = 600.0
"""Default of the wait for the quota or another job: a longer one would occupy a worker."""
RETRY_AFTER_SECONDS: Final = 1_800.0
"""Default of the time until a job that stopped for now is tried again."""


class TargetArguments(Settings, total=False):
    """Keyword arguments that say where jobs load to, and settings.

    `destination` is the name of a dlt destination, by default `duckdb`; `dataset` the dataset, or
    schema, of the tables; `pipeline` the name of the dlt pipeline. `project` is the name of a
    configured project, whose dataset, pipeline and settings are used instead. `max_wait_s` is the
    maximum number of seconds to wait for the quota, or for another job. Settings take precedence
    over those configured.
    """

    destination: str
    dataset: str
    pipeline: str
    project: str | None
    max_wait_s: float


@dataclass(frozen=True, kw_only=True)
class Target:
    """Where jobs load to, and with which settings; nothing is looked up before a job runs."""

    destination: str = "duckdb"
    dataset: str = constants.DATASET_NAME
    pipeline: str = constants.PIPELINE_NAME
    project: str | None = None
    """Name of a configured project, which has a dataset, a pipeline and settings of its own."""
    max_wait_s: float = MAX_WAIT_SECONDS
    settings: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """Take precedence over those configured."""

    @classmethod
    def of(cls, arguments: TargetArguments) -> Target:
        """The target that keyword arguments describe."""
        own = {target.name for target in fields(cls)} - {"settings"}
        given: dict[str, Any] = {**arguments}
        settings = {name: value for name, value in given.items() if name not in own}
        return cls(**{name: given[name] for name in own & {*given}}, settings=settings)

    @property
    def name(self) -> str:
        """Name of the dataset as an orchestrator shows it, without looking up the project."""
        return default_dataset(self.project) if self.project else self.dataset


def run_target(target: Target, tables: Sequence[str], *, days: str | None = None) -> JobResult:
    """Run a sync, or with `days` a backfill, that an exception in this thread cancels.

    Args:
        target: where to load to.
        tables: names of tables.
        days: `first,last`, both inclusive.

    Raises:
        MixpanelError: the job failed as a whole, or a table did; of several the one whose exit
            code is that of the job.
    """
    result = run_interruptible(lambda cancelled: _run(target, tables, days, cancelled))
    if result.exit_code not in (0, UNCHANGED):
        raise next(
            error for error in result.failures.values() if error.exit_code == result.exit_code
        )
    return result


def _run(target: Target, tables: Sequence[str], days: str | None, cancelled: Event) -> JobResult:
    dataset, name, settings = target.dataset, target.pipeline, {**target.settings}
    if target.project is not None:
        (known,) = select_projects([target.project])
        project = read_project(known)
        dataset, name = project.dataset, project.pipeline
        settings = {**project.settings, **settings}
        CURRENT_PROJECT.set(known)
    shared: dict[str, Any] = {
        "pipeline": open_pipeline(target.destination, dataset=dataset, name=name),
        "max_wait_s": target.max_wait_s,
        "cancelled": cancelled,
        **settings,
    }
    return sync(tables, **shared) if days is None else backfill(days, **shared)


def run_interruptible(job: Callable[[Event], T]) -> T:
    """Run a job on a thread of its own, and cancel it when this one is interrupted.

    Orchestrators stop a job by an exception in the main thread, anywhere. The job then loads what
    it has fetched and ends.

    Args:
        job: what to run; it ends soon after the event is set.
    """
    cancelled = Event()
    task = Task(lambda: job(cancelled), name="mixpanel-job")
    try:
        return task.result()
    except BaseException:
        cancelled.set()
        task.join()
        raise


def metadata_of(result: JobResult, table: str) -> dict[str, Any]:
    """What a job did for a table, as JSON values: rows, requests, and how fresh it is."""
    windows = [window for window in result.windows if window.table_name == table]
    facts = {name: value for name, value in summarize(result).items() if name != "rows"}
    facts |= {"rows": sum(window.rows for window in windows)}
    if windows:
        read_at = max(window.fetched_at for window in windows)
        facts["read_at"] = datetime.fromtimestamp(read_at, timezone.utc).isoformat()
    if windows and table == EXPORT:
        facts["first_day"] = str(min(window.first_day for window in windows))
        facts["last_day"] = str(max(window.last_day for window in windows))
    return facts


def is_for_later(error: MixpanelError) -> bool:
    """Whether the same job continues when it is run again later."""
    return error.exit_code == LATER
