"""`mixpanel_source()` is a dlt source like any other: select it, hint it, configure it, run it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import dlt
import pytest
from dlt.sources import SourceReference

from mixpanel_sandbox import SECRET, USERNAME
from mixpanel_source import mixpanel_source
from mixpanel_source.catalog.tables import TABLE_NAMES, find_table
from mixpanel_source.config.providers import load_config
from mixpanel_source.errors import AuthError, ConfigError
from mixpanel_source.jobs.source import build_source
from mixpanel_source.tables.context import LoadContext
from tests.support.lab import Lab, open_lab
from tests.support.projects import ALL_DAYS, ANCHOR, LOOKBACK, YESTERDAY, make_project
from tests.support.settings import set_environment, write_dlt_file

NOWHERE = "http://127.0.0.1:9"
REQUIRED: dict[str, Any] = {"username": USERNAME, "secret": SECRET, "project_id": 1234567}


def test_offers_every_table() -> None:
    """Its name is `mixpanel`; events and profiles are selected, the others are there to be."""
    source = mixpanel_source(**REQUIRED)
    assert (source.name, source.section) == ("mixpanel", "mixpanel_source")
    assert list(source.resources) == list(TABLE_NAMES)
    assert list(source.selected_resources) == ["export", "engage"]


def test_found_by_name() -> None:
    """It is found by the name of the package, as `pipeline.run` takes it too."""
    found: Any = SourceReference.find("mixpanel_source.mixpanel_source")
    assert list(found(**REQUIRED).resources) == list(TABLE_NAMES)


def test_call_asks_nothing(lab: Lab) -> None:
    """Calling it makes no request and needs no network."""
    mixpanel_source(**lab.settings)
    mixpanel_source(**REQUIRED, base_url=NOWHERE, export_base_url=NOWHERE)
    assert lab.sandbox.requests == []


class StoppedClock:
    """A clock that nobody may read."""

    def time(self) -> float:
        """Fail."""
        raise AssertionError("the clock was read")

    def sleep(self, seconds: float) -> None:
        """Fail."""
        raise AssertionError(f"waited {seconds} s")


@pytest.mark.parametrize("table", ["export", "lookup_tables", "funnels"])
def test_source_of_a_run_has_one_resource(lab: Lab, table: str) -> None:
    """A run builds the resource of the table it loads, and reads no clock for it."""
    context = LoadContext(load_config(lab.settings), clock=StoppedClock())
    source = build_source(context, [find_table(table)])
    assert (source.name, source.section) == ("mixpanel", "mixpanel_source")
    assert list(source.resources) == [table]
    assert lab.sandbox.requests == []


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({**REQUIRED, "secret": None}, "secret is not set"),
        ({**REQUIRED, "region": "mars"}, "us, eu, in"),
        ({**REQUIRED, "anchor_date": "2026-02-30"}, "anchor_date .* YYYY-MM-DD"),
        ({**REQUIRED, "project_id": "acme"}, "project_id .* whole number"),
    ],
)
def test_call_checks_its_arguments(given: dict[str, Any], message: str) -> None:
    """What is missing or malformed is said when it is called, not in the middle of a run."""
    with pytest.raises(ConfigError, match=message):
        mixpanel_source(**given)


def test_plain_run_loads_and_goes_on(lab: Lab) -> None:
    """`pipeline.run(source)` loads what is selected; the next one reads the look-back days."""
    for asked in (ALL_DAYS, LOOKBACK):
        lab.sandbox.forget_requests()
        source = lab.source()
        source.cohorts.selected = True
        lab.pipeline.run(source)
        assert lab.exported == asked
        lab.assert_events_kept()
        lab.assert_profiles_kept()
        assert [row["name"] for row in lab.rows("cohorts")] == ["All"]
        lab.clock.advance(seconds=60)


def test_plain_run_to_postgres(postgres: str) -> None:
    """To Postgres a plain run loads the same, with and without rows."""
    pipeline = dlt.pipeline(
        "mixpanel", destination=dlt.destinations.postgres(postgres), dataset_name="mixpanel"
    )
    with open_lab(make_project(), pipeline) as lab:
        pipeline.run(lab.source())
        lab.assert_events_kept()
        lab.assert_profiles_kept()


def test_one_table_can_be_selected(lab: Lab) -> None:
    """`with_resources` asks for nothing but the table."""
    lab.pipeline.run(lab.source("engage"))
    assert {record.path for record in lab.sandbox.requests} == {"/api/query/engage"}
    lab.assert_profiles_kept()


def test_unknown_table_is_refused() -> None:
    """A table that does not exist is refused, with those that do."""
    with pytest.raises(Exception, match="cohorts"):
        mixpanel_source(**REQUIRED).with_resources("people")


def test_table_can_be_limited(lab: Lab) -> None:
    """`add_limit(1)` loads a day, though one more was asked for; the run after it loads all."""
    source = lab.source("export")
    source.export.add_limit(1)
    lab.pipeline.run(source)
    assert len(lab.exported) == 2
    assert len(lab.rows("export")) == 3
    lab.clock.advance(seconds=60)
    lab.pipeline.run(lab.source("export"))
    lab.assert_events_kept()


def test_table_can_be_renamed(lab: Lab) -> None:
    """A table named by `apply_hints` is filled and replaced under that name."""
    for _ in range(2):
        source = lab.source("engage")
        source.engage.apply_hints(table_name="people")
        lab.pipeline.run(source)
        lab.project.profiles.pop()
        lab.clock.advance(seconds=60)
    assert {row["distinct_id"] for row in lab.rows("people")} == {"u0", "u1", "u2", "u3"}


def test_history_of_profiles_can_be_kept(lab: Lab) -> None:
    """With `scd2` each version of a profile is kept, with the time from and to which it held."""
    for plan in ("pro", "free"):
        lab.project.profiles[0] = lab.project.profiles[0].replace(b'pro"', plan.encode() + b'"')
        source = lab.source("engage")
        source.engage.apply_hints(
            write_disposition={
                "disposition": "merge",
                "strategy": "scd2",
                "row_version_column_name": "profile_key",
            }
        )
        lab.pipeline.run(source)
        lab.clock.advance(seconds=60)
    versions = [
        (row["plan"], row["_dlt_valid_to"] is None)
        for row in lab.rows("engage")
        if row["distinct_id"] == "u0"
    ]
    assert sorted(versions) == [("free", True), ("pro", False)]
    assert len(lab.rows("engage")) == 6


def test_table_can_be_read_without_a_pipeline(lab: Lab) -> None:
    """Iterating over a resource gives its rows, to look at them."""
    rows = list(mixpanel_source(**lab.settings).cohorts)
    assert lab.project.cohorts[0] in rows


def as_toml(section: str, settings: dict[str, Any]) -> str:
    """A section of a file of `.dlt/`."""
    return "\n".join(
        [f"[{section}]", *(f"{key} = {json.dumps(settings[key])}" for key in settings)]
    )


def in_files(directory: Path, settings: dict[str, Any], section: str) -> None:
    """Secrets in one file, all else in the other."""
    secret = {name: settings.pop(name) for name in REQUIRED}
    write_dlt_file(directory, "secrets.toml", as_toml(section, secret))
    write_dlt_file(directory, "config.toml", as_toml(section, settings))


PLACES: dict[str, Callable[[Path, pytest.MonkeyPatch, dict[str, Any]], None]] = {
    "files": lambda path, _, given: in_files(path, given, "sources.mixpanel"),
    "files of dlt init": lambda path, _, given: in_files(path, given, "sources.mixpanel_source"),
    "environment": lambda _, patch, given: set_environment(patch, given),
    "environment of dlt init": lambda _, patch, given: set_environment(
        patch, given, prefix="SOURCES__MIXPANEL_SOURCE__"
    ),
}


@pytest.mark.parametrize("place", PLACES)
def test_settings_are_found(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """Settings are taken from where dlt users keep them; all of them count."""
    settings = {**lab.settings, "anchor_date": str(YESTERDAY), "events": "Order, Sign up"}
    PLACES[place](tmp_path, monkeypatch, settings)
    lab.pipeline.run(mixpanel_source(range="2026-11-14,2026-11-15").with_resources("export"))
    assert lab.exported == ["2026-11-14", "2026-11-15"]
    params = lab.sandbox.requests[0].params
    assert json.loads(params["event"]) == ["Order", "Sign up"]
    lab.assert_events_kept(date(2026, 11, 14), date(2026, 11, 15))


def test_arguments_go_before_configuration(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An argument beats the environment, which beats the files."""
    in_files(tmp_path, {**lab.settings, "secret": "wrong", "anchor_date": "x"}, "sources.mixpanel")
    monkeypatch.setenv("SOURCES__MIXPANEL__SECRET", SECRET)
    with pytest.raises(ConfigError, match="anchor_date"):
        mixpanel_source()
    assert len(list(mixpanel_source(anchor_date=ANCHOR).cohorts)) > 0
    source = mixpanel_source(anchor_date=ANCHOR, secret="wrong, too")
    with pytest.raises(Exception, match="username and secret") as caught:
        list(source.cohorts)
    assert isinstance(caught.value.__cause__, AuthError)


def test_bare_names_in_the_environment_are_not_taken(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`USERNAME` and the like are set by many systems, for other ends."""
    bare = {**lab.settings, "region": "mars", "limit": 1, "range": "2026-01-01", "where": "x"}
    set_environment(monkeypatch, bare, prefix="")
    set_environment(monkeypatch, bare, prefix="SOURCES__")
    with pytest.raises(ConfigError, match="username is not set"):
        mixpanel_source()
    lab.pipeline.run(lab.source("export"))
    assert lab.requests_for("export")[0].params.keys().isdisjoint({"limit", "where"})
    lab.assert_events_kept()


def test_the_secret_is_nowhere(
    lab: Lab, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """After a run that worked and one that failed the secret is in no file, trace or log."""
    caplog.set_level("DEBUG")
    source = lab.source()
    lab.pipeline.run(source)
    shown = [repr(source), str(source), repr(source.export), repr(lab.pipeline.last_trace)]
    shown += [lab.pipeline.default_schema.to_pretty_yaml(), repr(lab.pipeline.state)]
    with pytest.raises(Exception, match="project_id") as caught:
        lab.pipeline.run(lab.source(project_id=1, range="2026-11-14,2026-11-14"))
    shown += [repr(caught.value), str(caught.value), repr(lab.pipeline.last_trace)]
    shown += [caplog.text, *capfd.readouterr()]
    assert [text for text in shown if SECRET in text] == []
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) > 5
    assert [path for path in files if SECRET.encode() in path.read_bytes()] == []
