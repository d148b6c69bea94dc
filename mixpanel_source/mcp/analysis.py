"""The tools for events, users, funnels, retention and cohorts: queries in the dialect of the views.

Every text that a caller gives is quoted; it becomes no part of the statement.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from typing_extensions import TypedDict

from ..sql import quote_name, quote_text
from ..views import build_views
from .dataset import DEFAULT_ROWS, Dataset, Rows, parse_day

EXPORT, ENGAGE, COHORTS, MEMBERS = "export", "engage", "cohorts", "cohort_members"


class UserHistory(TypedDict):
    """A user: the profile, and the events from the newest on."""

    distinct_id: str
    profile: dict[str, Any]
    events: list[dict[str, Any]]
    truncated: bool


def count_events(
    dataset: Dataset, *, first_day: str, last_day: str, event: str, by_day: bool, max_rows: int
) -> Rows:
    """Events and users, by event and, on request, by day.

    Args:
        dataset: to look at.
        first_day: empty for the first that is loaded.
        last_day: inclusive; empty for the last.
        event: name of an event; empty for all.
        by_day: whether to count days apart.
        max_rows: maximum rows of the result.
    """
    dataset.require(EXPORT)
    conditions = []
    if first_day:
        conditions.append(f"event_date >= DATE '{parse_day(first_day, 'first_day')}'")
    if last_day:
        conditions.append(f"event_date <= DATE '{parse_day(last_day, 'last_day')}'")
    if event:
        conditions.append(f"event = {quote_text(event)}")
    keys = "event_date, event" if by_day else "event"
    order = "event_date, events DESC, event" if by_day else "events DESC, event"
    where = f"WHERE {' AND '.join(conditions)} " if conditions else ""
    return dataset.rows(
        f"SELECT {keys}, count(*) AS events, count(DISTINCT nullif(distinct_id, '')) AS users, "
        f"min(event_date) AS first_day, max(event_date) AS last_day FROM {EXPORT} "
        f"{where}GROUP BY {keys} ORDER BY {order}",
        max_rows=max_rows,
    )


def read_user(dataset: Dataset, distinct_id: str, *, max_rows: int) -> UserHistory:
    """The profile and the newest events of a user, without columns that are null."""
    dataset.require(EXPORT)
    condition = f"WHERE distinct_id = {quote_text(distinct_id)}"
    events = dataset.read(
        f"SELECT * FROM {EXPORT} {condition} ORDER BY time DESC, event_key", max_rows=max_rows
    )
    profiles: list[dict[str, Any]] = []
    if ENGAGE in dataset.table_names():
        found = dataset.read(f"SELECT * FROM {ENGAGE} {condition}", max_rows=1)
        profiles = _present(found.columns, found.rows)
    return {
        "distinct_id": distinct_id,
        "profile": profiles[0] if profiles else {},
        "events": _present(events.columns, events.rows),
        "truncated": events.truncated,
    }


def count_funnel(dataset: Dataset, events: Sequence[str], *, days: int) -> Rows:
    """Users at each step of a funnel; see `views.funnel`.

    Raises:
        ConfigError: there are fewer than two events, or an event is repeated.
    """
    dataset.require(EXPORT)
    query = build_views(quote_name(dataset.schema), [], funnel=events or [""], funnel_days=days)
    return dataset.rows(f"SELECT * FROM ({query['funnel']}) AS steps ORDER BY step")


def count_retention(dataset: Dataset, unit: Literal["day", "week"], *, max_rows: int) -> Rows:
    """Users who came back, by the day or week of their first event and since then."""
    dataset.require(EXPORT)
    query = build_views(quote_name(dataset.schema), [])[f"retention_by_{unit}"]
    return dataset.rows(
        f"SELECT * FROM ({query}) AS cells ORDER BY first_{unit} DESC, {unit}s_later",
        max_rows=max_rows,
    )


def list_cohorts(dataset: Dataset, *, max_rows: int = DEFAULT_ROWS) -> Rows:
    """The cohorts, with the number of members that are loaded."""
    dataset.require(COHORTS)
    columns = "cohorts.id, cohorts.name, cohorts.description, cohorts.count AS members"
    if MEMBERS not in dataset.table_names():
        return dataset.rows(
            f"SELECT {columns}, NULL AS loaded_members FROM {COHORTS} ORDER BY cohorts.id",
            max_rows=max_rows,
        )
    return dataset.rows(
        f"SELECT {columns}, coalesce(now_in.number, 0) AS loaded_members FROM {COHORTS} "
        f"LEFT JOIN (SELECT cohort_id, count(*) AS number FROM {MEMBERS} "
        "WHERE _dlt_valid_to IS NULL GROUP BY cohort_id) AS now_in "
        "ON now_in.cohort_id = cohorts.id ORDER BY cohorts.id",
        max_rows=max_rows,
    )


def _present(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[dict[str, Any]]:
    """The rows as objects, without nulls and without dlt's own columns."""
    return [
        {
            name: value
            for name, value in zip(columns, row, strict=True)
            if value is not None and not name.startswith("_dlt_")
        }
        for row in rows
    ]
