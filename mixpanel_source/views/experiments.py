"""Views for experiments: who saw which variant, and what everybody did on which day.

Source of the event and its properties: https://docs.mixpanel.com/docs/experiments.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import ConfigError
from ..sql import quote_name, quote_text
from .properties import ByName, Property, as_text

EXPOSURE = "$experiment_started"
EXPERIMENT, VARIANT, EXPERIMENT_ID = "Experiment name", "Variant name", "$experiment_id"
_NUMBERS = ("bigint", "double")


def build_exposures(schema: str, by_name: ByName) -> str:
    """Build the query that has a row for each user, experiment and variant.

    Args:
        schema: Schema of `export`, as SQL.
        by_name: The columns of each property.
    """
    return f"""\
-- One row per user, experiment and variant, with the first and the last exposure.
WITH exposures AS (
    SELECT
        distinct_id,
        {as_text(by_name[EXPERIMENT])} AS experiment,
        {as_text(by_name[VARIANT])} AS variant,
        {as_text(by_name[EXPERIMENT_ID])} AS experiment_id,
        time
    FROM {schema}.export
    WHERE event = {quote_text(EXPOSURE)} AND distinct_id <> '' AND time IS NOT NULL
)
SELECT
    distinct_id,
    experiment,
    variant,
    max(experiment_id) AS experiment_id,
    min(time) AS exposed_at,
    max(time) AS last_exposed_at,
    count(*) AS exposures,
    -- more than one: the user does not count for any
    count(*) OVER (PARTITION BY distinct_id, experiment) AS variants
FROM exposures
WHERE experiment IS NOT NULL AND variant IS NOT NULL
GROUP BY distinct_id, experiment, variant
"""


def build_metrics(schema: str, by_name: ByName, sums: Sequence[str] = ()) -> str:
    """Build the query that has a row for each user, day and event.

    Args:
        schema: Schema of `export`, as SQL.
        by_name: The columns of each property.
        sums: Properties whose numbers are added up.

    Raises:
        ConfigError: A property has no numbers.
    """
    added = "".join(
        f",\n    sum({_as_number(name, by_name[name])}) AS {_sum_column(by_name[name])}"
        for name in sums
    )
    return f"""\
-- One row per user, day and event: how often, when first and when last, and sums of numbers.
SELECT
    distinct_id,
    event_date,
    event,
    count(*) AS events,
    min(time) AS first_at,
    max(time) AS last_at{added}
FROM {schema}.export
WHERE distinct_id <> '' AND event_date IS NOT NULL
GROUP BY distinct_id, event_date, event
"""


def _as_number(name: str, items: Sequence[Property]) -> str:
    columns = [item.column for item in items if item.data_type in _NUMBERS]
    if not columns:
        raise ConfigError(f"sums names {name}; it must name properties of events with numbers.")
    numbers = [f"CAST({quote_name(column)} AS double precision)" for column in columns]
    return f"coalesce({', '.join(numbers)})"


def _sum_column(items: Sequence[Property]) -> str:
    return quote_name(f"sum_{items[0].column}")
