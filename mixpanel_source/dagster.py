"""Assets for Dagster: events in daily partitions, and the other tables as they are now.

    from mixpanel_source.dagster import build_definitions

    defs = build_definitions("2026-01-01", project="shop")

Importing this needs no settings; they are looked up when an asset is materialized. Install Dagster
beside this package: `pip install dagster`.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from typing_extensions import Unpack

from .catalog.tables import DEFAULT_TABLES, EXPORT
from .config.tables import check_tables
from .errors import ConfigError, MixpanelError
from .jobs.orchestrated import (
    RETRY_AFTER_SECONDS,
    Target,
    TargetArguments,
    is_for_later,
    metadata_of,
    run_target,
)

try:
    import dagster as dg
except ImportError as error:
    raise ConfigError(
        "mixpanel_source.dagster needs Dagster, which is not installed: pip install "
        "'dagster>=1.13'."
    ) from error

__all__ = ["build_assets", "build_definitions"]

MAX_RETRIES = 100
"""Times that a job that stopped for now is tried again within one run."""


def build_assets(
    start_date: str,
    tables: Sequence[str] = DEFAULT_TABLES,
    *,
    retry_after_s: float = RETRY_AFTER_SECONDS,
    stale_after: timedelta = timedelta(days=2),
    **arguments: Unpack[TargetArguments],
) -> list[dg.AssetsDefinition]:
    """An asset for each table, with the dataset and the table as its key.

    `export` has a partition for each day in UTC, and a range of partitions is loaded in one run.
    The other tables have none: each is brought up to date as a sync does. Assets may be
    materialized at the same time: a dataset has one writer at a time, and the others wait.

    Args:
        start_date: first partition of `export`, as YYYY-MM-DD.
        tables: names of tables.
        retry_after_s: seconds until a job that stopped for now, with exit code 75, is tried again.
        stale_after: age at which Dagster reports an asset as stale.
        arguments: where to load to, and settings; see `TargetArguments`.

    Raises:
        ConfigError: a table is unknown.
    """
    target = Target.of(arguments)
    common: dict[str, Any] = {
        "key_prefix": [target.name],
        "group_name": target.name,
        "kinds": {"mixpanel", target.destination},
        "freshness_policy": dg.FreshnessPolicy.time_window(fail_window=stale_after),
    }
    return [
        _export_asset(start_date, target, retry_after_s, common)
        if table == EXPORT
        else _table_asset(table, target, retry_after_s, common)
        for table in check_tables(tables)
    ]


def build_definitions(
    start_date: str,
    tables: Sequence[str] = DEFAULT_TABLES,
    *,
    cron_schedule: str = "15 3 * * *",
    days_again: int = 5,
    **options: Any,  # noqa: ANN401 - those of `build_assets`
) -> dg.Definitions:
    """The assets, with a schedule that materializes all of them every day.

    Args:
        start_date: see `build_assets`.
        tables: see `build_assets`.
        cron_schedule: when, in UTC.
        days_again: how many partitions before the newest are loaded again each time, for late
            events; in one run with it.
        options: other arguments of `build_assets`, settings included.
    """
    assets = build_assets(start_date, tables, **options)
    name = assets[0].key.path[0]
    job = dg.define_asset_job(f"{name}_job", selection=dg.AssetSelection.assets(*assets))

    @dg.schedule(
        name=f"{name}_schedule",
        job=job,
        cron_schedule=cron_schedule,
        execution_timezone="UTC",
    )
    def schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        last = context.scheduled_execution_time.date() - timedelta(days=1)
        tags = _range_tags(assets, str(last - timedelta(days=days_again)), str(last))
        return dg.RunRequest(run_key=str(last), tags=tags)

    return dg.Definitions(assets=assets, jobs=[job], schedules=[schedule])


def _range_tags(assets: Sequence[dg.AssetsDefinition], first: str, last: str) -> Mapping[str, str]:
    """Tags of a run over a range of partitions; empty if no asset has partitions."""
    partitions = next((asset.partitions_def for asset in assets if asset.partitions_def), None)
    if partitions is None:
        return {}
    return {
        "dagster/asset_partition_range_start": max(first, partitions.get_first_partition_key()),
        "dagster/asset_partition_range_end": last,
    }


def _export_asset(
    start_date: str, target: Target, retry_after_s: float, common: Mapping[str, Any]
) -> dg.AssetsDefinition:
    @dg.asset(
        name=EXPORT,
        description="Raw events, a partition for each day.",
        partitions_def=dg.DailyPartitionsDefinition(start_date=start_date, timezone="UTC"),
        backfill_policy=dg.BackfillPolicy.single_run(),
        **common,
    )
    def export(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        days = context.partition_key_range
        return _materialize(target, EXPORT, retry_after_s, days=f"{days.start},{days.end}")

    return export


def _table_asset(
    table: str, target: Target, retry_after_s: float, common: Mapping[str, Any]
) -> dg.AssetsDefinition:
    @dg.asset(name=table, **common)
    def loaded(_context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        return _materialize(target, table, retry_after_s)

    return loaded


def _materialize(
    target: Target, table: str, retry_after_s: float, *, days: str | None = None
) -> dg.MaterializeResult:
    """Load a table, and report its rows and freshness as metadata.

    Raises:
        RetryRequested: the job stopped for now.
        Failure: it failed; an attempt with the same settings would, too.
    """
    try:
        result = run_target(target, (table,), days=days)
    except MixpanelError as error:
        if is_for_later(error):
            raise dg.RetryRequested(MAX_RETRIES, seconds_to_wait=retry_after_s) from error
        raise dg.Failure(str(error), allow_retries=error.exit_code == 1) from error
    facts = metadata_of(result, table)
    rows = "dagster/partition_row_count" if days else "dagster/row_count"
    return dg.MaterializeResult(metadata={**facts, rows: facts["rows"]})
