"""Views created in the database that a pipeline loads to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import dlt
from dlt.destinations.exceptions import DatabaseUndefinedRelation

from ..errors import ConfigError
from ..jobs.pipeline import open_pipeline, sql_dialect
from ..sql import quote_name, quote_text
from .build import build_views
from .fivetran import RAW_COLUMN
from .funnel import FUNNEL_DAYS
from .properties import Property

DIALECTS = ("duckdb", "postgres")
"""What sqlglot calls the databases that take our SQL."""


def create_views(
    pipeline: dlt.Pipeline | None = None,
    *,
    schema: str | None = None,
    funnel: Sequence[str] = (),
    funnel_days: int = FUNNEL_DAYS,
) -> list[str]:
    """Create the views, or bring them up to date, and return their names.

    A view shows what its tables hold whenever it is read, so once is enough; `mixpanel_event` knows
    the properties that were loaded when it was created, so after new ones create it again.

    Args:
        pipeline: whose dataset to read; `open_pipeline()` if not given.
        schema: where to put the views; beside the tables if not given. Made if it is missing.
        funnel: the events of the view `funnel`, in order; without any there is no such view.
        funnel_days: days from the first step of the funnel within which the others count.

    Raises:
        ConfigError: nothing is loaded yet, the database is neither DuckDB nor Postgres, or the
            funnel has one step only, or a step twice.
    """
    pipeline = pipeline or open_pipeline()
    if sql_dialect(pipeline) not in DIALECTS:
        raise ConfigError(
            f"The views are for {' and '.join(DIALECTS)}, and not for "
            f"{pipeline.destination.destination_name}."
        )
    with pipeline.sql_client() as client:
        # without the name of the database, for a DuckDB file may be renamed
        tables = quote_name(client.dataset_name)
        place = quote_name(schema) if schema else tables
        views = build_views(
            tables,
            _read_properties(client, tables),
            funnel=funnel,
            funnel_days=funnel_days,
            raw=_has_raw_column(client),
        )
        if schema:
            client.execute_sql(f"CREATE SCHEMA IF NOT EXISTS {place}")
        for name, query in views.items():
            client.execute_sql(f"CREATE OR REPLACE VIEW {place}.{name} AS\n{query}")
    return list(views)


def _read_properties(client: Any, tables: str) -> list[Property]:  # noqa: ANN401 - any SQL client
    query = (
        "SELECT property, column_name, data_type "
        f"FROM {tables}._mixpanel_columns WHERE table_name = 'export' "
        "ORDER BY property, column_name"
    )
    try:
        return [Property(*row) for row in client.execute_sql(query)]
    except DatabaseUndefinedRelation as error:
        raise ConfigError(
            f"There are no events in the dataset {client.dataset_name} yet: run a sync first."
        ) from error


def _has_raw_column(client: Any) -> bool:  # noqa: ANN401 - any SQL client
    found = client.execute_sql(
        "SELECT 1 FROM information_schema.columns WHERE table_name = 'export' "
        f"AND table_schema = {quote_text(client.dataset_name)} "
        f"AND column_name = {quote_text(RAW_COLUMN)}"
    )
    return bool(found)
