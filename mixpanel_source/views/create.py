"""Creates the views in the destination database of a pipeline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import dlt
from dlt.destinations.exceptions import DatabaseUndefinedRelation, DestinationConnectionError

from ..destinations.registry import destination_of, find_names
from ..errors import ConfigError
from ..jobs.pipeline import open_pipeline
from ..sql import quote_text
from .build import build_views
from .fivetran import RAW_COLUMN
from .funnel import FUNNEL_DAYS
from .properties import Property


def create_views(
    pipeline: dlt.Pipeline | None = None,
    *,
    schema: str | None = None,
    funnel: Sequence[str] = (),
    funnel_days: int = FUNNEL_DAYS,
    sums: Sequence[str] = (),
) -> list[str]:
    """Create or replace the views and return their names.

    Views always show the current rows of their tables. `mixpanel_event` has the properties that
    were loaded when it was created: create it again to add new ones.

    Args:
        pipeline: The pipeline that loads the dataset; `open_pipeline()` by default.
        schema: Schema to create the views in, created if missing; that of the tables by default.
        funnel: The events of the view `funnel`, in order; empty for no such view.
        funnel_days: Maximum days from the first step of the funnel to the last.
        sums: Properties of events whose numbers `metrics_by_user_day` adds up.

    Raises:
        ConfigError: Nothing is loaded yet, the destination does not take the views, or the
            funnel has a single step, or a step twice, or a property of `sums` has no numbers.
        BusyError: The DuckDB file is open in another process.
        MixpanelError: The destination cannot be reached.
    """
    pipeline = pipeline or open_pipeline()
    check_destination(pipeline)
    destination = destination_of(pipeline)
    if not destination.exists:  # connecting would create it
        raise _nothing_loaded(pipeline.dataset_name)
    try:
        with pipeline.sql_client() as client:
            return _create(client, schema, funnel=funnel, funnel_days=funnel_days, sums=sums)
    except DestinationConnectionError as error:
        raise destination.connection_error(error) from error


def _create(
    client: Any,  # noqa: ANN401 - SQL clients have no common public type
    schema: str | None,
    *,
    funnel: Sequence[str],
    funnel_days: int,
    sums: Sequence[str],
) -> list[str]:
    # only where DuckDB needs it with the database name, which changes when a file is renamed
    tables = client.fully_qualified_dataset_name()
    with client.with_alternative_dataset_name(schema or client.dataset_name):
        target = client.fully_qualified_dataset_name()
    views = build_views(
        tables,
        _read_properties(client, tables),
        funnel=funnel,
        funnel_days=funnel_days,
        sums=sums,
        raw=_has_raw_column(client),
    )
    if schema:
        client.execute_sql(f"CREATE SCHEMA IF NOT EXISTS {target}")
    for name, query in views.items():
        client.execute_sql(f"CREATE OR REPLACE VIEW {target}.{name} AS\n{query}")
    return list(views)


def check_destination(pipeline: dlt.Pipeline) -> None:
    """Check that views can be created of the tables of a pipeline.

    Raises:
        ConfigError: they cannot.
    """
    destination = destination_of(pipeline)
    if not destination.takes_views:
        supported = find_names(lambda kind: kind.takes_views)
        raise ConfigError(
            f"The views are for {', '.join(supported)}; "
            f"this pipeline loads to {pipeline.destination.destination_name}."
        )
    if destination.view_obstacle is not None:
        raise ConfigError(destination.view_obstacle)


def _read_properties(client: Any, tables: str) -> list[Property]:  # noqa: ANN401 - SQL clients have no common public type
    query = (
        "SELECT property, column_name, data_type "
        f"FROM {tables}._mixpanel_columns WHERE table_name = 'export' "
        # a property that the mask leaves out has no column
        "AND column_name <> '' "
        "ORDER BY property, column_name"
    )
    try:
        return [Property(*row) for row in client.execute_sql(query)]
    except DatabaseUndefinedRelation as error:
        raise _nothing_loaded(client.dataset_name) from error


def _nothing_loaded(dataset: str) -> ConfigError:
    return ConfigError(f"There are no events in the dataset {dataset} yet: run a sync first.")


def _has_raw_column(client: Any) -> bool:  # noqa: ANN401 - SQL clients have no common public type
    rows = client.execute_sql(
        "SELECT 1 FROM information_schema.columns WHERE table_name = 'export' "
        f"AND table_schema = {quote_text(client.dataset_name)} "
        f"AND column_name = {quote_text(RAW_COLUMN)}"
    )
    return bool(rows)
