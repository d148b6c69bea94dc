"""The tables, each with how it is loaded, tried out and reckoned with."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple

from dlt.extract import DltResource

from ..api.client import Request
from ..config.model import Config
from ..constants import REPORT_TABLES, TABLES
from . import cohort_members, events, groups, lists, profiles, reports
from .context import Job

__all__ = ["RESOURCES", "Resource"]


class Resource(NamedTuple):
    """What is to be known of a table."""

    build: Callable[[Config, Job], DltResource]
    probe: Callable[[Config, datetime], Request]
    """The request that shows, at the least cost, whether it would load now."""
    count_requests: Callable[[Config, dict[str, Any]], int | None]
    """Requests of a sync that count against the quota, given what the source remembers of the
    table; None if that is not known before the first sync."""


def _snapshot(name: str) -> Resource:
    return Resource(
        partial(lists.list_resource, name),
        lambda _config, _now: lists.build_request(name),
        lambda _config, _state: lists.count_requests(name),
    )


def _report(table: str) -> Resource:
    return Resource(
        partial(reports.report_resource, table),
        partial(reports.probe, table),
        lambda config, state: reports.requests_for(config, table, state),
    )


_FOUND: dict[str, Resource] = {
    "export": Resource(events.export_resource, events.probe, lambda _config, _state: None),
    "engage": Resource(profiles.engage_resource, profiles.probe, lambda _config, _state: 1),
    "cohort_members": Resource(
        cohort_members.cohort_members_resource,
        cohort_members.probe,
        cohort_members.count_requests,
    ),
    "groups": Resource(groups.groups_resource, groups.probe, groups.count_requests),
    **{name: _snapshot(name) for name in lists.LISTS},
    **{table: _report(table) for table in REPORT_TABLES},
}
RESOURCES = {name: _FOUND[name] for name in TABLES}
"""Name of the table -> what is to be known of it."""
