"""Runs a job for one configured project after another.

A project that fails stops no other. Each has a dataset, a pipeline, a pace and a quota of its own.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from threading import Event
from typing import Generic, TypeVar

from typing_extensions import Unpack

from .. import constants
from ..api.clock import Clock
from ..catalog.tables import DEFAULT_TABLES
from ..config.projects import ALL, ProjectSettings, read_project, select_projects
from ..config.settings import Settings
from ..errors import CancelledError, MixpanelError
from ..progress import Progress
from .pipeline import open_pipeline
from .reporting.report import CURRENT_PROJECT
from .runner import JobResult, worst_exit_code
from .sync import Checkpoint, sync

T = TypeVar("T")

DONE = 0

logger = logging.getLogger("mixpanel_source")


@dataclass(frozen=True)
class ProjectResult(Generic[T]):
    """How a job ended for one project."""

    project: str
    """Its name in the settings."""
    result: T | None
    """What the job returned; None if it ended with `error`."""
    error: MixpanelError | None
    exit_code: int
    """Of a command that does this for the project alone."""


@dataclass(frozen=True)
class ProjectResults(Generic[T]):
    """How a job ended for each project."""

    projects: Mapping[str, ProjectResult[T]]
    """Name of a project -> its result, in the order of the run."""

    @property
    def exit_code(self) -> int:
        """The worst exit code: of 130, 1, 2, 75, 3 and 0 the first that any project has."""
        return worst_exit_code(result.exit_code for result in self.projects.values())


def _exit_code(result: object) -> int:
    code: int = getattr(result, "exit_code", DONE)
    return code


def _ignore(_result: object) -> None:
    """Do nothing."""


def sync_projects(
    projects: str | Sequence[str] = ALL,
    tables: Sequence[str] | None = None,
    *,
    destination: str = "duckdb",
    checkpoint: Checkpoint | None = None,
    max_wait_s: float = constants.QUOTA_PATIENCE_SECONDS,
    clock: Clock = time,
    progress: Progress | None = None,
    cancelled: Event | None = None,
    **settings: Unpack[Settings],
) -> ProjectResults[JobResult]:
    """Bring the tables of several projects up to date, one project after the other.

    Args:
        projects: names out of `[sources.mixpanel.projects]`, or `all`.
        tables: names of tables; if not given, for each project its setting `tables`, or else the
            default tables.
        destination: name of a dlt destination, for all projects.
        checkpoint: see `sync`.
        max_wait_s: see `sync`; for each project.
        clock: see `sync`.
        progress: see `sync`.
        cancelled: once set, the current project ends as `sync` does, and no other begins.
        settings: take precedence over those configured, for all projects.

    Raises:
        ConfigError: no project is configured, or a name is unknown.
    """

    def run(project: ProjectSettings) -> JobResult:
        given = {name: value for name, value in settings.items() if value is not None}
        return sync(
            tables or project.tables or DEFAULT_TABLES,
            pipeline=open_pipeline(destination, dataset=project.dataset, name=project.pipeline),
            checkpoint=checkpoint,
            max_wait_s=max_wait_s,
            clock=clock,
            progress=progress,
            cancelled=cancelled,
            **{**project.settings, **given},
        )

    return for_each_project(run, projects, cancelled=cancelled)


def for_each_project(
    job: Callable[[ProjectSettings], T],
    projects: str | Sequence[str] = ALL,
    *,
    cancelled: Event | None = None,
    exit_code: Callable[[T], int] = _exit_code,
    on_end: Callable[[ProjectResult[T]], None] = _ignore,
) -> ProjectResults[T]:
    """Call a job for one project after another; one that fails stops no other.

    Args:
        job: receives the project; its `settings` are arguments for `sync`, `status` and the other
            functions, its `dataset` and `pipeline` for `open_pipeline`.
        projects: names out of `[sources.mixpanel.projects]`, or `all`.
        cancelled: once set, no other project begins.
        exit_code: of a result; by default its attribute `exit_code`, or 0 without one.
        on_end: receives the result of each project as soon as there is one.

    Raises:
        ConfigError: no project is configured, or a name is unknown.
    """
    names = select_projects(projects)
    results: dict[str, ProjectResult[T]] = {}
    for number, name in enumerate(names, 1):
        if cancelled is not None and cancelled.is_set():
            error = CancelledError("Cancelled before it began.")
            results[name] = ProjectResult(name, None, error, error.exit_code)
            continue
        logger.info("project %s (%d of %d)", name, number, len(names), extra={"project": name})
        results[name] = _run(job, name, exit_code)
        on_end(results[name])
    return ProjectResults(results)


def _run(
    job: Callable[[ProjectSettings], T], name: str, exit_code: Callable[[T], int]
) -> ProjectResult[T]:
    token = CURRENT_PROJECT.set(name)
    try:
        result = job(read_project(name))
    except MixpanelError as error:
        return ProjectResult(name, None, error, error.exit_code)
    except Exception as error:  # noqa: BLE001 - the other projects are to be loaded all the same
        # only the type: the text may contain a value
        failure = MixpanelError(
            f"unexpected {type(error).__name__}; this is a bug, please report it. What is loaded "
            "is safe."
        )
        failure.__cause__ = error
        return ProjectResult(name, None, failure, failure.exit_code)
    finally:
        CURRENT_PROJECT.reset(token)
    return ProjectResult(name, result, None, exit_code(result))
