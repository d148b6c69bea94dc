"""The view `funnel`: how many users performed a sequence of events."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ..errors import ConfigError
from ..sql import quote_text

FUNNEL_DAYS = 30
"""Default maximum days from the first step to the last."""


class Step(NamedTuple):
    """A step of a funnel."""

    number: int
    event: str

    @property
    def is_step(self) -> str:
        """SQL condition for events that are this step."""
        return f"event = {quote_text(self.event)}"


def build_funnel(schema: str, events: Sequence[str], *, days: int = FUNNEL_DAYS) -> str:
    """Build the query that counts the users who performed `events` in this order.

    All attempts of a user count, not only the first: for each event and step, the query computes
    the latest start of an attempt that has reached the step by then, which takes a single pass over
    the events. Other events may lie between the steps, and steps within the same second count as
    ordered.

    Args:
        schema: Schema of `export`, as SQL.
        events: Event names, in order.
        days: Maximum days from the first step to the last.

    Raises:
        ConfigError: There are fewer than two steps, or a step is repeated.
    """
    if len(set(events)) != len(events) or len(events) < 2:  # noqa: PLR2004 - start and end
        raise ConfigError(
            f"funnel is {', '.join(events) or 'empty'}; it must be two or more different events."
        )
    steps = [Step(number, event) for number, event in enumerate(events, 1)]
    names = ", ".join(quote_text(event) for event in events)
    ctes = [
        "reached_0 AS (\n"
        "    SELECT distinct_id, event, time, time AS start_0\n"
        f"    FROM {schema}.export\n"
        f"    WHERE event IN ({names}) AND distinct_id <> '' AND time IS NOT NULL\n"
        ")"
    ]
    ctes += [_reach(step) for step in steps]
    counted = "\n    UNION ALL\n    ".join(_count(step, steps[-1], days) for step in steps)
    return (
        f"WITH {', '.join(ctes)},\ncounted AS (\n    {counted}\n)\n"
        "SELECT\n    step,\n    event,\n    users,\n"
        "    CAST(users AS double precision) / nullif(lag(users) OVER (ORDER BY step), 0)"
        " AS of_previous,\n"
        "    CAST(users AS double precision) / nullif(first_value(users) OVER (ORDER BY step), 0)"
        " AS of_first\nFROM counted\n"
    )


def _reach(step: Step) -> str:
    """SQL for the latest start of an attempt that has reached the step, as of each event."""
    before = step.number - 1
    return (
        f"reached_{step.number} AS (\n"
        f"    SELECT reached_{before}.*, max(CASE WHEN {step.is_step} THEN start_{before} END)\n"
        # RANGE, not ROWS: events within the same second are unordered
        "        OVER (PARTITION BY distinct_id ORDER BY time RANGE UNBOUNDED PRECEDING)\n"
        f"        AS start_{step.number}\n"
        f"    FROM reached_{before}\n"
        ")"
    )


def _count(step: Step, last: Step, days: int) -> str:
    return (
        f"SELECT {step.number} AS step, {quote_text(step.event)} AS event, "
        "count(DISTINCT distinct_id) AS users\n"
        f"    FROM reached_{last.number}\n"
        f"    WHERE {step.is_step} AND time - start_{step.number} <= INTERVAL '{int(days)} days'"
    )
