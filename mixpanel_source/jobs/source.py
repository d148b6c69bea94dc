"""The dlt source: every table of a Mixpanel project as a resource."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any

import dlt
from dlt.common.configuration.specs import BaseConfiguration
from dlt.extract import DltResource

from ..catalog.tables import TABLES, Table
from ..config.providers import load_config
from ..tables.context import LoadContext
from ..tables.registry import build_resource


# an empty spec: `lookup` finds the settings, for dlt would take a bare USERNAME of the environment;
# dlt would name the section after this module, and people know the package
@dlt.source(name="mixpanel", section="mixpanel_source", max_table_nesting=0, spec=BaseConfiguration)
def mixpanel_source(
    username: str | None = None,
    secret: str | None = None,
    project_id: int | str | None = None,
    *,
    region: str | None = None,
    base_url: str | None = None,
    export_base_url: str | None = None,
    ingestion_base_url: str | None = None,
    workspace_id: int | str | None = None,
    anchor_date: date | str | None = None,
    range: Sequence[date | str] | str | None = None,
    lookback_days: int | str | None = None,
    window_days: int | str | None = None,
    include_today: bool | str | None = None,
    project_timezone: str | None = None,
    events: Sequence[str] | str | None = None,
    where: str | None = None,
    limit: int | str | None = None,
    properties: str | None = None,
    max_columns: int | str | None = None,
    requests_per_second: float | str | None = None,
    requests_per_hour: int | str | None = None,
    retries: int | str | None = None,
    retry_base_seconds: float | str | None = None,
    workers: int | str | None = None,
    engage_page_size: int | str | None = None,
    engage_where: str | None = None,
    engage_output_properties: Sequence[str] | str | None = None,
    engage_behaviors: Sequence[Any] | str | None = None,
    engage_cohort: int | str | None = None,
    engage_full_days: int | str | None = None,
    cohort_ids: Sequence[int] | int | str | None = None,
    data_group_ids: Sequence[int] | int | str | None = None,
    reports: Sequence[Any] | str | None = None,
    catch_up_days: int | str | None = None,
) -> Iterable[DltResource]:
    """The tables of one Mixpanel project: `export`, `engage` and those that are selected.

    Every argument may also stand in `[sources.mixpanel]` of `.dlt/config.toml` or
    `.dlt/secrets.toml`, or in the environment as `SOURCES__MIXPANEL__...`. Nothing is asked of
    Mixpanel before the source is extracted.

    Args:
        username: service account's user name.
        secret: service account's secret.
        project_id: number of the project.
        region: data residency of the project: us, eu or in.
        base_url: address of the query host instead of the region's.
        export_base_url: address of the export host instead of the region's.
        ingestion_base_url: address of the ingestion host, for lookup tables, instead of the
            region's.
        workspace_id: data view that profiles, cohorts and reports are seen through; the account's
            own if not set.
        anchor_date: first day of the first sync, YYYY-MM-DD; a year ago if not set.
        range: first and last day, `first,last`, of a backfill instead of a sync.
        lookback_days: how many of the newest days are read again.
        window_days: days a request, or `auto`: more where days are small.
        include_today: whether to load the day that is not over, too.
        project_timezone: IANA zone of a project created before 2023.
        events: names of the events to load, comma-separated or a list; all if not set.
        where: Mixpanel expression that events must fulfil.
        limit: most events a request; more than that is an error, not a loss.
        properties: columns, json or both.
        max_columns: columns of a table, from which on properties go to `other_properties`.
        requests_per_second: most requests a second.
        requests_per_hour: most requests in an hour to each host; 0 for no bound.
        retries: how often a failed request is tried again.
        retry_base_seconds: seconds before the first retry; doubled for each one after.
        workers: threads that decode, or `auto`: one less than there are processors, up to 4.
        engage_page_size: profiles a page; Mixpanel's own choice if not set.
        engage_where: Mixpanel expression that profiles must fulfil.
        engage_output_properties: properties of profiles to load; all if not set.
        engage_behaviors: Mixpanel's list of behaviors, for `engage_where` to speak of.
        engage_cohort: number of a cohort, to load only its members' profiles.
        engage_full_days: days after which all profiles are read again, and only those seen since
            in between; 0 to read all each time.
        cohort_ids: cohorts to load the members of; all if not set.
        data_group_ids: group types to load the profiles of.
        reports: reports to load, a table each: `name`, `table`, `params`, `since`, `days`.
        catch_up_days: how many days back a catch-up looks for late events.

    Raises:
        ConfigError: a setting is missing or malformed.
    """
    config = load_config(dict(locals()))
    return _build_resources(LoadContext(config), TABLES)


@dlt.source(name="mixpanel", section="mixpanel_source", max_table_nesting=0, spec=BaseConfiguration)
def build_source(context: LoadContext, tables: Sequence[Table]) -> Iterable[DltResource]:
    """The source of a run, with no resources but those of `tables`.

    Args:
        context: of the run; its settings are resolved already.
        tables: to build a resource for.
    """
    return _build_resources(context, tables)


def _build_resources(context: LoadContext, tables: Sequence[Table]) -> list[DltResource]:
    # the name of a property stays text, even where it looks like a date
    dlt.current.source_schema().remove_type_detection("iso_timestamp")
    return [build_resource(table, context) for table in tables]
