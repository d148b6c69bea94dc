"""Load Mixpanel events, profiles, cohorts and reports with dlt: complete, exact, once.

The public API is what `__all__` names, `mixpanel_source.errors`, and for orchestrators
`mixpanel_source.dagster` and `mixpanel_source.airflow`; everything else is private.

Names are imported on first use: dlt takes half a second to load, and neither
`mixpanel-source --help` nor a process that only decodes needs it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .commands.check import check
    from .commands.forget import ForgetResult, forget
    from .commands.plan import Plan, TablePlan, plan
    from .commands.reconcile import Reconciliation, reconcile
    from .commands.request import request
    from .commands.response import ApiResponse
    from .commands.status import Status, TableStatus, status
    from .config.projects import ProjectSettings
    from .jobs.archive import ArchiveResult, archive
    from .jobs.pipeline import open_pipeline
    from .jobs.projects import ProjectResult, ProjectResults, for_each_project, sync_projects
    from .jobs.source import mixpanel_source
    from .jobs.sync import Checkpoint, JobResult, backfill, catch_up, sync
    from .views import build_views, create_union_views, create_views

_MODULES = {
    "ApiResponse": ".commands.response",
    "ArchiveResult": ".jobs.archive",
    "Checkpoint": ".jobs.sync",
    "ForgetResult": ".commands.forget",
    "JobResult": ".jobs.sync",
    "Plan": ".commands.plan",
    "ProjectResult": ".jobs.projects",
    "ProjectResults": ".jobs.projects",
    "ProjectSettings": ".config.projects",
    "Reconciliation": ".commands.reconcile",
    "Status": ".commands.status",
    "TablePlan": ".commands.plan",
    "TableStatus": ".commands.status",
    "archive": ".jobs.archive",
    "backfill": ".jobs.sync",
    "build_views": ".views",
    "catch_up": ".jobs.sync",
    "check": ".commands.check",
    "create_union_views": ".views",
    "create_views": ".views",
    "for_each_project": ".jobs.projects",
    "forget": ".commands.forget",
    "mixpanel_source": ".jobs.source",
    "open_pipeline": ".jobs.pipeline",
    "plan": ".commands.plan",
    "reconcile": ".commands.reconcile",
    "request": ".commands.request",
    "status": ".commands.status",
    "sync": ".jobs.sync",
    "sync_projects": ".jobs.projects",
}
"""Public name -> the module that defines it."""

__all__ = [
    "ApiResponse",
    "ArchiveResult",
    "Checkpoint",
    "ForgetResult",
    "JobResult",
    "Plan",
    "ProjectResult",
    "ProjectResults",
    "ProjectSettings",
    "Reconciliation",
    "Status",
    "TablePlan",
    "TableStatus",
    "archive",
    "backfill",
    "build_views",
    "catch_up",
    "check",
    "create_union_views",
    "create_views",
    "for_each_project",
    "forget",
    "mixpanel_source",
    "open_pipeline",
    "plan",
    "reconcile",
    "request",
    "status",
    "sync",
    "sync_projects",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - types are those of the imports above
    if name in _MODULES:
        return getattr(import_module(_MODULES[name], __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
