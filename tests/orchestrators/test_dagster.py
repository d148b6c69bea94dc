"""Dagster runs the assets for real, in an environment of its own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mixpanel_sandbox import Sandbox
from tests.support.orchestrators import environment_of, events_by_day, run, run_concurrently
from tests.support.projects import ALL_DAYS, EVENTS_PER_DAY

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

DEFINITIONS = f"""
from mixpanel_source.dagster import build_definitions

defs = build_definitions("{ALL_DAYS[0]}", max_wait_s=300)
"""
EXACT = dict.fromkeys(ALL_DAYS, (EVENTS_PER_DAY, EVENTS_PER_DAY))

DRIVER = """
import json
import dagster as dg
import mixpanel_source.dagster as ours
from datetime import datetime, timezone

ours.MAX_RETRIES = 1
days = json.loads('DAYS')

def materialize(assets, **arguments):
    with dg.DagsterInstance.ephemeral() as instance:
        return dg.materialize(assets, instance=instance, raise_on_error=False, **arguments)

export, engage = ours.build_assets(days[0], workers=1)
loaded = materialize([engage])
print(json.dumps({
    name: value.value
    for one in loaded.asset_materializations_for_node("mixpanel__engage")
    for name, value in one.metadata.items()
}))
shop, = ours.build_assets(days[0], ["engage"], project="shop")
print(json.dumps([[*shop.key.path], *(
    one.metadata["dataset"].value
    for one in materialize([shop]).asset_materializations_for_node("mixpanel_shop__engage")
)]))
limited, = ours.build_assets(
    days[0], ["export"], max_wait_s=0, retry_after_s=0.1, requests_per_hour=1, quota_store="quota"
)
busy = materialize([limited], tags={
    "dagster/asset_partition_range_start": days[0], "dagster/asset_partition_range_end": days[1],
})
print(json.dumps([busy.success, [one.event_type_value for one in busy.all_events]]))
wrong, = ours.build_assets(days[0], ["engage"], region="mars")
failed = materialize([wrong])
failures = [one.step_failure_data.error for one in failed.all_events if one.is_step_failure]
print(json.dumps([error.message for error in failures]))

defs = ours.build_definitions(days[0], days_again=2)
schedule = defs.get_schedule_def("mixpanel_schedule")
at = datetime.fromisoformat(days[-1]).replace(hour=3, tzinfo=timezone.utc)
with dg.DagsterInstance.ephemeral() as instance:
    request = schedule.evaluate_tick(
        dg.build_schedule_context(instance=instance, scheduled_execution_time=at)
    ).run_requests[0]
    job = defs.resolve_job_def("mixpanel_job")
    ended = job.execute_in_process(instance=instance, tags=request.tags)
    days = [
        one.partition for one in ended.asset_materializations_for_node("mixpanel__export")
    ]
print(json.dumps([ended.success, days]))
"""


@pytest.fixture
def dagster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of Dagster's programs."""
    programs = environment_of("dagster")
    home = tmp_path / "dagster-home"
    home.mkdir()
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    (tmp_path / "definitions.py").write_text(DEFINITIONS)
    # processes that create Dagster's own database at the same time disturb each other
    created = run([programs / "dagster", "instance", "migrate"])
    assert created.returncode == 0, created.stderr
    return programs


def materialize(programs: Path, *partitions: str) -> list[str | Path]:
    """The command that materializes partitions of `export`."""
    command: list[str | Path] = [
        programs / "dagster",
        "asset",
        "materialize",
        "--select",
        "mixpanel/export",
    ]
    return [*command, "--python-file", "definitions.py", *partitions]


def test_range_in_one_run(dagster: Path, sandbox: Sandbox) -> None:
    """Eight partitions take one run and one request each."""
    done = run(materialize(dagster, "--partition-range", f"{ALL_DAYS[0]}...{ALL_DAYS[-1]}"))
    assert done.returncode == 0, done.stderr
    assert events_by_day(dagster) == EXACT
    assert len(sandbox.requests) == len(ALL_DAYS)


@pytest.mark.usefixtures("sandbox")
def test_partitions_at_once(dagster: Path) -> None:
    """Eight runs, three at a time, wait for each other and load every event once."""
    failed = run_concurrently([materialize(dagster, "--partition", day) for day in ALL_DAYS])
    assert failed == [], "\n".join(failed)
    assert events_by_day(dagster) == EXACT


@pytest.mark.usefixtures("sandbox")
def test_metadata_retries_and_schedule(dagster: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows and freshness are metadata, 75 is a retry, wrong settings fail, the schedule runs."""
    monkeypatch.setenv("SOURCES__MIXPANEL__PROJECTS__SHOP__REGION", "us")
    script = DRIVER.replace("DAYS", json.dumps(ALL_DAYS))
    done = run([dagster / "python", "-c", script])
    assert done.returncode == 0, done.stderr
    loaded, shop, busy, failed, scheduled = map(json.loads, done.stdout.splitlines())
    assert (loaded["rows"], loaded["dagster/row_count"], loaded["requests"]) == (5, 5, 1)
    assert loaded["read_at"].endswith("+00:00")
    assert shop == [["mixpanel_shop", "engage"], "mixpanel_shop"]
    assert busy[0] is False
    assert "STEP_UP_FOR_RETRY" in busy[1]
    assert "us, eu, in" in failed[0]
    assert scheduled == [True, [ALL_DAYS[-4], ALL_DAYS[-3], ALL_DAYS[-2]]]
