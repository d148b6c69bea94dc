"""What type checkers say of calls of the public API; checked by mypy, never run.

An `ignore` that is not needed is an error itself (`warn_unused_ignores`), so each one proves that a
wrong call is found.
"""

from __future__ import annotations

from datetime import date

from typing_extensions import Unpack, assert_type

from mixpanel_source import (
    Status,
    backfill,
    catch_up,
    check,
    mixpanel_source,
    plan,
    reconcile,
    request,
    status,
    sync,
)
from mixpanel_source.config.model import Config
from mixpanel_source.config.providers import load_config
from mixpanel_source.config.settings import Settings
from mixpanel_source.windows import Window


def run(**settings: Unpack[Settings]) -> Config:
    """Take any setting, as the public functions do."""
    return load_config(settings)


def settings_may_be_passed() -> None:
    """As text, as the environment has them, or as values of their types; None means not passed."""
    run()
    run(username="robot", secret="s", project_id=1, region="eu")
    run(project_id="1", lookback_days="5", window_days="auto", include_today="true")
    run(anchor_date=date(2026, 1, 1), range=("2026-01-01", date(2026, 1, 31)))
    run(anchor_date=None, limit=None)
    run(events=["Signed up"], cohort_ids=1000, data_group_ids=(7, "-8"))
    run(reports=[{"name": "R", "table": "jql", "params": {"script": "x"}}])
    settings: Settings = {"requests_per_hour": 0, "workers": "auto"}
    run(**settings)
    mixpanel_source("robot", "s", 1, region="eu")
    mixpanel_source(**settings)


def wrong_settings_are_found() -> None:
    """A name that does not exist, and a type that no parser takes."""
    run(lookback_day=5)  # type: ignore[call-arg]
    run(lookback_days=5.5)  # type: ignore[arg-type]
    run(anchor_date=2026)  # type: ignore[arg-type]
    run(events=[1])  # type: ignore[list-item]
    run(job=None)  # type: ignore[call-arg]
    wrong: Settings = {"regoin": "eu"}  # type: ignore[typeddict-unknown-key]
    run(**wrong)
    mixpanel_source(lookback_day=5)  # type: ignore[call-arg]
    mixpanel_source("robot", "s", 1, "eu")  # type: ignore[call-arg]


def public_functions_take_settings() -> None:
    """Each of them, beside arguments of its own."""
    settings: Settings = {"region": "eu", "retries": 0}
    sync(["export"], max_wait_s=0, **settings)
    backfill("2026-01-01,2026-01-31", **settings)
    catch_up(**settings)
    check(["export"], **settings)
    plan(["export"], **settings)
    reconcile(**settings)
    request("GET", "/api/query/cohorts/list", **settings)
    assert_type(status(**settings), Status)


def wrong_settings_of_public_functions_are_found() -> None:
    """A misspelt setting is an error in each of them."""
    sync(regoin="eu")  # type: ignore[call-arg]
    backfill("2026-01-01,2026-01-31", regoin="eu")  # type: ignore[call-arg]
    catch_up(regoin="eu")  # type: ignore[call-arg]
    check(["export"], regoin="eu")  # type: ignore[call-arg]
    plan(regoin="eu")  # type: ignore[call-arg]
    reconcile(regoin="eu")  # type: ignore[call-arg]
    request("GET", "/api/query/cohorts/list", regoin="eu")  # type: ignore[call-arg]
    status(regoin="eu")  # type: ignore[call-arg]


def settings_have_types(config: Config) -> None:
    """Each `config.x` is of the type that its parser returns."""
    assert_type(config.project_id, int)
    assert_type(config.window_days, int | None)
    assert_type(config.range, Window | None)
    assert_type(config.events, tuple[str, ...])
    assert_type(config.requests_per_second, float)
    config.retries = 1  # type: ignore[misc]
