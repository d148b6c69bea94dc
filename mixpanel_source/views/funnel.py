"""The view `funnel`: how many users did some events one after the other. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ..errors import ConfigError
from ..sql import quote_text

FUNNEL_DAYS = 30
"""How long a user may take from the first step to the last, unless told."""


class Step(NamedTuple):
    """A step of a funnel."""

    number: int
    event: str

    @property
    def is_step(self) -> str:
        """The condition that an event is this step."""
        return f"event = {quote_text(self.event)}"


def build_funnel(schema: str, events: Sequence[str], *, days: int = FUNNEL_DAYS) -> str:
    """The query that counts the users who did `events` in this order.

    Any try of a user counts, not only the first: each event is given the latest time at which a
    user who has got this far can have begun, so one pass over the events is enough. Other events
    may lie between the steps, and steps of the same second count as in order.

    Args:
        schema: where `export` is, as SQL.
        events: names of the events, in order.
        days: a user is given from the first step to the last.

    Raises:
        ConfigError: there are less than two steps, or one is there twice.
    """
    if len(set(events)) != len(events) or len(events) < 2:  # noqa: PLR2004 - a way has two ends
        raise ConfigError(
            f"funnel is {', '.join(events) or 'empty'}; it must be two events or more, none twice."
        )
    steps = [Step(number, event) for number, event in enumerate(events, 1)]
    names = ", ".join(quote_text(event) for event in events)
    begun = [
        "reached_0 AS (\n"
        "    SELECT distinct_id, event, time, time AS begun_0\n"
        f"    FROM {schema}.export\n"
        f"    WHERE event IN ({names}) AND distinct_id <> '' AND time IS NOT NULL\n"
        ")"
    ]
    begun += [_reach(step) for step in steps]
    counted = "\n    UNION ALL\n    ".join(_count(step, steps[-1], days) for step in steps)
    return (
        f"WITH {', '.join(begun)},\ncounted AS (\n    {counted}\n)\n"
        "SELECT\n    step,\n    event,\n    users,\n"
        "    CAST(users AS double precision) / nullif(lag(users) OVER (ORDER BY step), 0)"
        " AS of_previous,\n"
        "    CAST(users AS double precision) / nullif(first_value(users) OVER (ORDER BY step), 0)"
        " AS of_first\nFROM counted\n"
    )


def _reach(step: Step) -> str:
    """To each event, the latest beginning of a way that has come to this step by then."""
    before = step.number - 1
    return (
        f"reached_{step.number} AS (\n"
        f"    SELECT reached_{before}.*, max(CASE WHEN {step.is_step} THEN begun_{before} END)\n"
        # a range, and not rows: events of the same second are in no order
        "        OVER (PARTITION BY distinct_id ORDER BY time RANGE UNBOUNDED PRECEDING)\n"
        f"        AS begun_{step.number}\n"
        f"    FROM reached_{before}\n"
        ")"
    )


def _count(step: Step, last: Step, days: int) -> str:
    return (
        f"SELECT {step.number} AS step, {quote_text(step.event)} AS event, "
        "count(DISTINCT distinct_id) AS users\n"
        f"    FROM reached_{last.number}\n"
        f"    WHERE {step.is_step} AND time - begun_{step.number} <= INTERVAL '{int(days)} days'"
    )
