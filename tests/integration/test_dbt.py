"""The dbt package: its models are built and its tests pass in each database.

dbt needs other versions than the pipeline, so it runs in an environment of its own, which
`make test-all` sets up.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlalchemy.engine import make_url

from mixpanel_sandbox import Project, made_up_project
from mixpanel_source.views import create_views
from tests.support.lab import Lab
from tests.support.projects import YESTERDAY
from tests.support.tables import select_all

ROOT = Path(__file__).parents[2]
DBT = Path(os.environ.get("DBT") or ROOT / ".venv-dbt" / "bin" / "dbt")
FUNNEL = ("Product Viewed", "Added to Cart", "Order Completed")
FUNNEL_DAYS = 3

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not DBT.exists(), reason="dbt is not installed; make test-all does that"),
]


@pytest.fixture
def project() -> Project:
    """Ten days of the made-up shop."""
    return made_up_project(last_day=YESTERDAY, days=10)


@pytest.fixture
def shop(any_lab: Lab) -> Lab:
    """The shop, loaded to each of the databases."""
    assert any_lab.sync(anchor_date=min(any_lab.project.events)).failures == {}
    return any_lab


def run_dbt(directory: Path, output: dict[str, Any], *, funnel: tuple[str, ...] = FUNNEL) -> str:
    """Build all models and run all tests; what dbt prints."""
    profile = {"target": "test", "outputs": {"test": {**output, "threads": 1}}}
    (directory / "profiles.yml").write_text(yaml.safe_dump({"mixpanel_source": profile}))
    variables = {"funnel_steps": [*funnel], "funnel_days": FUNNEL_DAYS, "event_columns": ["coupon"]}
    command = [DBT, "build", "--project-dir", ROOT / "dbt", "--profiles-dir", directory]
    command += ["--target-path", directory / "target", "--log-path", directory / "logs"]
    done = subprocess.run(
        [*map(str, command), "--vars", yaml.safe_dump(variables)],
        env={**os.environ, "DBT_SEND_ANONYMOUS_USAGE_STATS": "false"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def output_of(lab: Lab, directory: Path) -> dict[str, Any]:
    """The connection of dbt to what the lab loads."""
    if lab.pipeline.destination.destination_type.endswith("duckdb"):
        path = str(directory / "mixpanel.duckdb")
        return {"type": "duckdb", "path": path, "schema": "analytics"}
    url = make_url(os.environ["DESTINATION__POSTGRES__CREDENTIALS"])
    return {
        "type": "postgres",
        "host": url.host,
        "port": url.port or 5432,
        "user": url.username,
        "password": url.password or "",
        "dbname": url.database,
        "schema": "analytics",
    }


def read(lab: Lab, query: str) -> list[tuple[Any, ...]]:
    """The rows of a query, in order."""
    with lab.pipeline.sql_client() as client:
        return sorted(tuple(row) for row in client.execute_sql(query) or ())


def test_models_agree_with_the_views(shop: Lab, tmp_path: Path) -> None:
    """Sessions and the funnel are those of the views; each user and day is there once."""
    printed = run_dbt(tmp_path, output_of(shop, tmp_path))
    assert "ERROR=0" in printed
    create_views(shop.pipeline, funnel=FUNNEL, funnel_days=FUNNEL_DAYS)
    columns = "session_id, distinct_id, session_number, duration_s, events, first_event, last_event"
    sessions = read(shop, f"SELECT {columns} FROM analytics.mixpanel_sessions")
    assert sessions
    assert sessions == read(shop, f"SELECT {columns} FROM mixpanel.sessions")
    funnel = "SELECT step, event, users, of_first FROM"
    assert read(shop, f"{funnel} analytics.mixpanel_funnel") == read(
        shop, f"{funnel} mixpanel.funnel"
    )
    days = read(
        shop,
        "SELECT event_date, count(*) FROM analytics.mixpanel_daily_users GROUP BY event_date",
    )
    assert days == read(shop, "SELECT event_date, daily FROM mixpanel.active_users")
    assert len(select_all(shop.pipeline, "export")) == sum(
        count for (count,) in read(shop, "SELECT count(*) FROM analytics.stg_mixpanel__events")
    )


def test_without_a_funnel(shop: Lab, tmp_path: Path) -> None:
    """The model is empty, and all tests pass."""
    run_dbt(tmp_path, output_of(shop, tmp_path), funnel=())
    assert read(shop, "SELECT count(*) FROM analytics.mixpanel_funnel") == [(0,)]
