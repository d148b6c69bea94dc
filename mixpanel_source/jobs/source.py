"""The dlt source: every table of a Mixpanel project as a resource."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any

import dlt
from dlt.common.configuration.specs import BaseConfiguration
from dlt.extract import DltResource

from ..catalog.tables import TABLES, Table
from ..config.providers import load_config
from ..tables.context import LoadContext
from ..tables.registry import build_resource


# an empty spec, because `config.providers` resolves the settings: dlt would also accept a bare
# USERNAME from the environment. The section is the package; dlt would take this module's name.
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
    split_days_above: int | str | None = None,
    include_today: bool | str | None = None,
    project_timezone: str | None = None,
    catch_up_days: int | str | None = None,
    accept_deletions: bool | str | None = None,
    archive: str | None = None,
    events: Sequence[str] | str | None = None,
    where: str | None = None,
    limit: int | str | None = None,
    properties: str | None = None,
    max_columns: int | str | None = None,
    mask: Mapping[str, str] | str | None = None,
    mask_key: str | None = None,
    encrypt_spool: bool | str | None = None,
    engage_page_size: int | str | None = None,
    engage_where: str | None = None,
    engage_output_properties: Sequence[str] | str | None = None,
    engage_behaviors: Sequence[Mapping[str, Any]] | str | None = None,
    engage_cohort: int | str | None = None,
    engage_full_days: int | str | None = None,
    cohort_ids: Sequence[int | str] | int | str | None = None,
    data_group_ids: Sequence[int | str] | int | str | None = None,
    history: Sequence[str] | str | None = None,
    requests_per_second: float | str | None = None,
    requests_per_hour: int | str | None = None,
    quota_store: str | None = None,
    retries: int | str | None = None,
    retry_base_seconds: float | str | None = None,
    workers: int | str | None = None,
    metrics_file: str | None = None,
    on_failure_url: str | None = None,
    reports: Sequence[Mapping[str, Any]] | str | None = None,
) -> Iterable[DltResource]:
    """The tables of one Mixpanel project: `export`, `engage` and those that are selected.

    Every argument can also be set in `[sources.mixpanel]` of `.dlt/config.toml` or
    `.dlt/secrets.toml`, or in the environment as `SOURCES__MIXPANEL__...`; None means not passed.
    No request is made before the source is extracted.

    Args:
        username: User name of the service account; see Organization settings > Service accounts
            (text; required).
        secret: Secret of the service account (text; required).
        project_id: Number of the project; see Project settings > Overview (a whole number of 1 or
            more; required).
        region: Data residency of the project (one of us, eu, in; default: `us`).
        base_url: Host of profiles, cohorts and reports, such as a proxy or the sandbox (an http or
            https address; default: the region's).
        export_base_url: Host of raw events (an http or https address; default: the region's).
        ingestion_base_url: Host of lookup tables (an http or https address; default: the region's).
        workspace_id: Number of the data view through which profiles, cohorts and reports are seen
            (a whole number of 1 or more; default: the account's).
        anchor_date: First day of the first sync (a calendar day YYYY-MM-DD; default: a year ago).
        range: First and last day of a backfill, which is loaded instead of a sync (two days
            first,last; default: none).
        lookback_days: Days after which a day is final; until then each sync reads it again, for
            late events (a whole number from 0 to 366; default: `5`).
        window_days: Days per request; `auto`: more where days are small, up to 31 (auto or a whole
            number from 1 to 366; default: `1`).
        split_days_above: Maximum events per request: a day that is expected to have more is read in
            parts (a whole number of 1 or more; default: `20000000`).
        include_today: Also load today, which is still incomplete (true or false; default: `false`).
        project_timezone: Time zone of a project created before 2023, whose event times are local
            (an IANA time zone; default: `UTC`).
        catch_up_days: Days back that a catch-up looks for late events (a whole number from 1 to
            3,660; default: `365`).
        accept_deletions: Delete events of settled days that Mixpanel no longer serves; by default
            they are kept (true or false; default: `false`).
        archive: Archive that keeps what Mixpanel serves, a file for each day; see docs/archive.md
            (a directory, or an address such as s3://bucket/archive; default: none).
        events: Events to load (a list of event names; default: all).
        where: Mixpanel expression that events must match (text; default: none).
        limit: Maximum events per request; reaching it is an error, not a silent loss (a whole
            number from 1 to 100,000; default: none).
        properties: Where properties go: `columns`, one each; `json`, all in the column
            `properties`; `both` (one of columns, json, both; default: `columns`).
        max_columns: Maximum columns of a table; further properties go to the JSON column
            `other_properties` (a whole number from 10 to 10,000; default: `1000`).
        mask: Properties of events and profiles that are stored masked or left out; see
            docs/privacy.md (a table of properties and rules; default: none).
        mask_key: Key of the hashes, needed by `mask`; with another key hashes of the same value
            differ (text of 16 characters or more; default: none).
        encrypt_spool: Encrypt the spool, where downloads wait to be loaded; needs the extra
            `encryption` (true or false; default: `false`).
        engage_page_size: Profiles per page (a whole number from 1 to 1,000,000; default:
            Mixpanel's).
        engage_where: Mixpanel expression that profiles must match (text; default: none).
        engage_output_properties: Properties of profiles to load (a list of property names; default:
            all).
        engage_behaviors: Behaviors that `engage_where` may refer to, as in `(behaviors["b1"] > 0)`
            (JSON text, or lists and tables; default: none).
        engage_cohort: Number of a cohort, to load only its profiles (a whole number of 1 or more;
            default: none).
        engage_full_days: Days between full reads of the profiles, with only the updated ones read
            in between; 0: each read is full (a whole number from 0 to 366; default: `0`).
        cohort_ids: Numbers of the cohorts to load the members of (whole numbers; default: all).
        data_group_ids: Group types to load the profiles of; see Project settings > Group Keys
            (whole numbers; default: none).
        history: Tables of which each row keeps its earlier versions, with the time of each (a list
            of table names; default: none).
        requests_per_second: Maximum requests per second (a number from 0.001 to 1,000; default:
            `1`).
        requests_per_hour: Maximum requests per hour to each host; 0: no limit (a whole number from
            0 to 1,000,000; default: `60`).
        quota_store: Where requests are logged for all who share the project's quota: a directory,
            or the address of a Postgres database (a directory, or the address of a Postgres
            database; default: dlt's data directory).
        retries: Maximum retries of a failed request (a whole number from 0 to 100; default: `5`).
        retry_base_seconds: Seconds before the first retry; doubled for each one after (a number
            from 0 to 3,600; default: `10`).
        workers: Threads that decode; `auto`: one less than there are processors, up to 4 (auto or a
            whole number from 1 to 64; default: `auto`).
        metrics_file: File for Prometheus' textfile collector, written at the end of each job; see
            docs/observability.md (text; default: none).
        on_failure_url: Address that receives a POST when a job fails; a secret, if it contains a
            token (an https address; default: none).
        reports: Reports to load, each a table `[[sources.mixpanel.reports]]`; see docs/reports.md
            (a list of tables; default: none).

    Raises:
        ConfigError: a setting is missing, unknown or malformed.
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
