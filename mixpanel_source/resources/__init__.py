"""The tables, one module each, and what they share."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from dlt.extract import DltResource

from ..config import Config
from ..settings import REPORT_TABLES
from .cohorts import cohorts_resource
from .engage import engage_resource
from .export import export_resource
from .reports import report_resource
from .session import Job

REPORT_RESOURCES = tuple(partial(report_resource, table) for table in REPORT_TABLES)
RESOURCES: tuple[Callable[[Config, Job], DltResource], ...] = (
    export_resource,
    engage_resource,
    cohorts_resource,
    *REPORT_RESOURCES,
)

__all__ = ["RESOURCES"]
