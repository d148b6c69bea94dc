"""A DAG and an operator for Airflow 3: events day by day, and the other tables as they are now.

    from mixpanel_source.airflow import build_dag

    dag = build_dag("mixpanel", start_date=datetime(2026, 1, 1, tzinfo=timezone.utc))

Parsing such a file needs no settings; they are looked up when a task runs. Install this package
beside Airflow: its constraints come first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
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
    from airflow.sdk import DAG, Asset, BaseOperator, CronDataIntervalTimetable, Param
    from airflow.sdk.exceptions import AirflowFailException, AirflowRescheduleException
except ImportError as error:
    raise ConfigError(
        "mixpanel_source.airflow needs Airflow 3.3, which is not installed: see "
        "https://airflow.apache.org/docs/apache-airflow/stable/installation."
    ) from error

__all__ = ["MixpanelOperator", "build_dag"]

_SCHEDULED = "scheduled"
_DAY: Mapping[str, Any] = {"type": ["null", "string"], "format": "date"}
"""Schema of a parameter of the DAG."""


class MixpanelOperator(BaseOperator):
    """Loads a table. Its result, and the event of its asset, have the rows and how fresh they are.

    `export` loads a range of days: `first` and `last` of the run's parameters, or the day in which
    the data interval begins (UTC), and in scheduled runs some days before it. Other tables are
    brought up to date as a sync does.

    A task that stopped for now, with exit code 75, is rescheduled, which is not a retry. Wrong
    settings fail without a retry.
    """

    def __init__(
        self,
        *,
        table: str = EXPORT,
        target: Target | None = None,
        days_again: int = 5,
        retry_after_s: float = RETRY_AFTER_SECONDS,
        **options: Any,  # noqa: ANN401 - those of every operator
    ) -> None:
        """Declare a task.

        Args:
            table: name of a table.
            target: where to load to, see `build_dag`.
            days_again: days before that of the data interval that a scheduled run loads again, for
                late events.
            retry_after_s: seconds until a task that stopped for now is run again.
            options: `task_id` and other arguments of every operator.
        """
        self.table, self.target = table, target or Target()
        self.days_again, self.retry_after_s = days_again, retry_after_s
        self.asset = Asset(f"{self.target.name}/{table}")
        super().__init__(outlets=[self.asset], **options)

    def execute(self, context: Mapping[str, Any]) -> dict[str, Any]:
        """Load the table.

        Raises:
            AirflowRescheduleException: the job stopped for now.
            AirflowFailException: it failed; an attempt with the same settings would, too.
            MixpanelError: it failed; an attempt may help.
        """
        days = self._days(context) if self.table == EXPORT else None
        try:
            result = run_target(self.target, (self.table,), days=days)
        except MixpanelError as error:
            if is_for_later(error):
                later = datetime.now(timezone.utc) + timedelta(seconds=self.retry_after_s)
                self.log.warning("%s", error)
                raise AirflowRescheduleException(later) from error
            if error.exit_code != 1:
                raise AirflowFailException(str(error)) from error
            raise
        facts = metadata_of(result, self.table)
        context["outlet_events"][self.asset].extra = facts
        return facts

    def _days(self, context: Mapping[str, Any]) -> str:
        """The range of days of a run."""
        params, run = context["params"], context["dag_run"]
        first, last = params.get("first"), params.get("last")
        if first or last:
            return f"{first or last},{last or first}"
        newest = run.data_interval_start.astimezone(timezone.utc).date()
        again = self.days_again if run.run_type == _SCHEDULED else 0
        return f"{newest - timedelta(days=again)},{newest}"


def build_dag(
    dag_id: str = "mixpanel",
    tables: Sequence[str] = DEFAULT_TABLES,
    *,
    start_date: datetime,
    schedule: str = "15 3 * * *",
    retry_after_s: float = RETRY_AFTER_SECONDS,
    days_again: int = 5,
    dag_options: Mapping[str, Any] | None = None,
    **arguments: Unpack[TargetArguments],
) -> DAG:
    """A DAG with a task for each table, one after the other.

    Each run loads the day in which its data interval begins, so that a backfill of Airflow loads
    day by day; a run with the parameters `first` and `last` loads that range at once. Runs may
    overlap: a dataset has one writer at a time, and the others wait or are rescheduled.

    Args:
        dag_id: name of the DAG.
        tables: names of tables.
        start_date: aware; the first data interval begins then.
        schedule: cron expression of a daily schedule, in UTC.
        retry_after_s: seconds until a task that stopped for now, with exit code 75, is run again.
        days_again: see `MixpanelOperator`; 0 with `catchup`.
        dag_options: other arguments of the DAG, such as `catchup`, `max_active_runs` and
            `default_args`.
        arguments: where to load to, and settings; see `TargetArguments`.

    Raises:
        ConfigError: a table is unknown.
    """
    target = Target.of(arguments)
    options = {"catchup": False, **(dag_options or {})}
    with DAG(
        dag_id,
        schedule=CronDataIntervalTimetable(schedule, timezone="UTC"),
        start_date=start_date,
        params={name: Param(None, **_DAY) for name in ("first", "last")},
        **options,
    ) as dag:
        previous = None
        for table in check_tables(tables):
            task = MixpanelOperator(
                task_id=table,
                table=table,
                target=target,
                days_again=days_again,
                retry_after_s=retry_after_s,
                # one table that fails stops no other
                trigger_rule="all_done",
            )
            if previous is not None:
                previous >> task
            previous = task
    return dag
