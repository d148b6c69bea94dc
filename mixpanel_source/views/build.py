"""Builds the queries of all views, without access to a database."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib.resources import files

from .experiments import build_exposures, build_metrics
from .fivetran import build_mixpanel_event
from .funnel import FUNNEL_DAYS, build_funnel
from .identities import build_device_users, build_identities
from .properties import Property, group_by_name

_FILES: dict[str, tuple[str, dict[str, str]]] = {
    "events_by_day": ("events_by_day.sql", {}),
    "events_by_month": ("events_by_month.sql", {}),
    "active_users": ("active_users.sql", {}),
    "sessions": ("sessions.sql", {}),
    "retention_by_week": ("retention.sql", {"unit": "week", "days": "7"}),
    "retention_by_day": ("retention.sql", {"unit": "day", "days": "1"}),
}
"""View -> its file and the values of the placeholders in braces."""


def build_views(
    schema: str,
    properties: Iterable[Property],
    *,
    funnel: Sequence[str] = (),
    funnel_days: int = FUNNEL_DAYS,
    sums: Sequence[str] = (),
    raw: bool = False,
) -> dict[str, str]:
    """Build the view queries.

    Args:
        schema: Schema of `export` as SQL: quoted if necessary, optionally with its database.
        properties: The rows of `_mixpanel_columns` for `export`.
        funnel: The events of the view `funnel`, in order; empty for no such view.
        funnel_days: Maximum days from the first step of the funnel to the last.
        sums: Properties whose numbers `metrics_by_user_day` adds up.
        raw: Whether `export` has the column `properties`.

    Returns:
        View -> query.

    Raises:
        ConfigError: The funnel has a single step, or a step twice; a property has no numbers.
    """
    views = {
        view: _read_query(file, {**values, "schema": schema})
        for view, (file, values) in _FILES.items()
    }
    by_name = group_by_name(properties := [*properties])
    views["experiment_exposures"] = build_exposures(schema, by_name)
    views["metrics_by_user_day"] = build_metrics(schema, by_name, sums)
    views["device_users"] = build_device_users(schema, by_name)
    views["identities"] = build_identities(schema, by_name)
    views["mixpanel_event"] = build_mixpanel_event(schema, properties, raw=raw)
    if funnel:
        views["funnel"] = build_funnel(schema, funnel, days=funnel_days)
    return views


def _read_query(file: str, values: dict[str, str]) -> str:
    query = files(__package__).joinpath(file).read_text(encoding="utf-8")
    for name, value in values.items():
        query = query.replace(f"{{{name}}}", value)
    return query
