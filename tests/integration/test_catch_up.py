"""A catch-up: late events of any age come, in a request to find them and one for each day."""

from __future__ import annotations

import re
from datetime import date, timedelta

import pytest

from mixpanel_sandbox import Fault, Project
from mixpanel_source.catalog.tables import TABLES
from mixpanel_source.config.providers import load_config
from mixpanel_source.errors import ConfigError, PausedError, ServerError
from mixpanel_source.jobs.source import build_source
from mixpanel_source.tables.context import LoadContext
from mixpanel_source.tables.package import Checkpoint, TablePart
from tests.support.clock import NOON
from tests.support.lab import Lab
from tests.support.projects import TODAY, YESTERDAY, add_event, make_project

FIRST = YESTERDAY - timedelta(days=152)
OLD = YESTERDAY - timedelta(days=150)
OTHER = YESTERDAY - timedelta(days=148)


@pytest.fixture
def project() -> Project:
    """Six days of events, five months ago."""
    return make_project(FIRST, FIRST + timedelta(days=5))


@pytest.fixture
def synced(lab: Lab) -> Lab:
    """Five months, synced a day ago to DuckDB."""
    return sync_months(lab)


@pytest.fixture
def synced_anywhere(any_lab: Lab) -> Lab:
    """Five months, synced a day ago to each of the destinations."""
    return sync_months(any_lab)


def sync_months(lab: Lab) -> Lab:
    """Sync five months of events, and let a day pass."""
    lab.overrides = {"anchor_date": FIRST, "window_days": 200}
    lab.sync("export")
    lab.overrides["window_days"] = 1
    lab.clock.advance(days=1)
    return lab


def arrive(lab: Lab, day: date, number: int = 7, *, days: float = 0.5) -> None:
    """Let an event of `day` arrive, with some days before and after."""
    lab.clock.advance(days=days)
    add_event(lab.project, day, number, mp_processing_time_ms=int(lab.clock.now * 1000))
    lab.clock.advance(days=days)


def numbers(lab: Lab, day: date) -> list[int]:
    """The events of a day that are loaded, by the property `price`."""
    return sorted(row["price"] for row in lab.rows("export") if row["event_date"] == day)


def since_of(lab: Lab) -> list[float]:
    """From when on arrivals were asked for by the looks since the last job began."""
    wheres = [record.params.get("where", "") for record in lab.requests_for("export")]
    found = [re.search(r'"mp_processing_time_ms"\] > (\d+)', where) for where in wheres]
    return [int(match[1]) / 1000 for match in found if match]


def crash(lab: Lab) -> None:
    """Take a catch-up as far as its load package, and no further."""
    lab.clock.advance(seconds=60)
    context = LoadContext(load_config(lab.settings), clock=lab.clock, catches_up=True)
    source = build_source(context, TABLES).with_resources("export")
    lab.pipeline.extract(source, loader_file_format="parquet")
    lab.pipeline.normalize()
    assert lab.pipeline.has_pending_data


def test_event_of_150_days_ago_comes(synced_anywhere: Lab) -> None:
    """What no sync brings a catch-up does, in two requests; the next one needs only the look."""
    arrive(synced_anywhere, OLD)
    synced_anywhere.sync("export")
    assert numbers(synced_anywhere, OLD) == [0, 1, 2]
    assert synced_anywhere.catch_up().failures == {}
    assert synced_anywhere.exported == [f"{FIRST}..{YESTERDAY - timedelta(days=3)}", str(OLD)]
    assert numbers(synced_anywhere, OLD) == [0, 1, 2, 7]
    synced_anywhere.assert_events_kept(FIRST, TODAY)
    synced_anywhere.clock.advance(days=1)
    assert synced_anywhere.catch_up().rows == {}
    assert len(synced_anywhere.exported) == len(since_of(synced_anywhere)) == 1
    loads = [row for row in synced_anywhere.rows("_mixpanel_loads") if row["first_day"] == OLD]
    assert sorted(row["rows"] for row in loads) == [4]


def test_late_days_are_told_apart_from_others(synced: Lab) -> None:
    """A day that was read after its event came is not read again, nor one that never was."""
    arrive(synced, OLD)
    arrive(synced, FIRST - timedelta(days=3))
    synced.backfill(f"{OLD},{OLD}")
    synced.clock.advance(days=1)
    synced.catch_up(anchor_date=FIRST - timedelta(days=9))
    assert [window.partition("..")[0] for window in synced.exported] == [str(FIRST)]
    assert numbers(synced, FIRST - timedelta(days=3)) == []


def test_failed_after_the_look(synced: Lab) -> None:
    """A day that fails is read by the next catch-up, which has the look already."""
    arrive(synced, OLD)
    # after the requests of the sync, and the look
    number = len(synced.exported) + 2
    synced.sandbox.inject(Fault("500", request=number, table="export"))
    report = synced.catch_up(retries=0)
    assert isinstance(report.failures[TablePart("export")], ServerError)
    synced.catch_up()
    assert synced.exported == [str(OLD)]
    assert numbers(synced, OLD) == [0, 1, 2, 7]


def test_quota_used_up_in_between(synced: Lab) -> None:
    """What is left to read again is kept, and read by the next catch-up."""
    for day in (OLD, OTHER):
        arrive(synced, day)
    report = synced.catch_up(requests_per_hour=2, max_wait_s=0)
    assert isinstance(report.failures[TablePart("export")], PausedError)
    assert synced.exported[1:] == [str(OLD)]
    assert (numbers(synced, OLD), numbers(synced, OTHER)) == ([0, 1, 2, 7], [0, 1, 2])
    synced.clock.advance(days=1)
    assert synced.catch_up().failures == {}
    assert synced.exported[1:] == [str(OTHER)]
    synced.assert_events_kept(FIRST, TODAY)


def test_look_that_is_too_much_is_halved(synced: Lab) -> None:
    """A look that fails is made in two halves, and finds the same."""
    arrive(synced, OLD)
    arrive(synced, YESTERDAY - timedelta(days=9))
    synced.sandbox.inject(Fault("half_line", table="export"))
    synced.catch_up(retries=0)
    looks, days = synced.exported[:3], synced.exported[3:]
    assert looks[1].partition("..")[0] == looks[0].partition("..")[0]
    assert looks[2].partition("..")[2] == looks[0].partition("..")[2]
    assert days == [str(OLD), str(YESTERDAY - timedelta(days=9))]
    synced.assert_events_kept(FIRST, TODAY)


def test_day_that_a_crash_left_before_its_event_came(synced: Lab) -> None:
    """What was fetched before the look is not loaded for what came in between."""
    synced.leave_pending_package("export", range=f"{OLD},{OLD}")
    arrive(synced, OLD, days=0.1)
    synced.catch_up()
    assert synced.exported[1:] == [str(OLD)]
    assert numbers(synced, OLD) == [0, 1, 2, 7]


def test_what_changed_on_a_late_day_comes_along(synced: Lab) -> None:
    """A late day is replaced, also with a load package for each: the look is made once."""
    # alone: what is deleted of days that were read together has them all read again
    synced.backfill(f"{OLD},{OLD}")
    lines = synced.project.events[OLD]
    lines[0] = lines[0].replace(b'"u0"', b'"merged"')
    del lines[1]
    # not found by the look, but part of the day
    add_event(synced.project, OLD, 8, mp_processing_time_ms=None)
    for day in (OLD, OTHER):
        arrive(synced, day)
    assert synced.catch_up(checkpoint=Checkpoint(bytes=1)).failures == {}
    assert synced.exported[1:] == [str(OLD), str(OTHER)]
    assert numbers(synced, OLD) == [0, 2, 7, 8]
    synced.assert_events_kept(FIRST, TODAY)


def test_looks_back_to_the_first_reading_and_then_to_the_last_look(synced: Lab) -> None:
    """Asked for is what arrived since, less an hour, for events become visible out of order."""
    add_event(synced.project, OLD, 8, mp_processing_time_ms=None)
    synced.catch_up(catch_up_days=30)
    assert synced.exported == [f"{YESTERDAY - timedelta(days=29)}..{YESTERDAY - timedelta(days=4)}"]
    assert since_of(synced) == [NOON + 60 - 3600]
    searched_at = synced.clock.now
    synced.clock.advance(seconds=600)
    synced.catch_up(catch_up_days=30)
    assert since_of(synced) == [pytest.approx(searched_at - 3600, abs=1)]


def test_filters_hold_for_the_look_too(synced: Lab) -> None:
    """Only events that are loaded are looked for: by name, and by the configured expression."""
    synced.overrides |= {
        "events": "Order",
        "where": 'properties["price"] < 50 or false',
        "limit": 9,
    }
    arrive(synced, FIRST, 99)
    arrive(synced, OTHER, 0)
    arrive(synced, OLD)
    synced.catch_up()
    assert synced.exported[1:] == [str(OLD)]
    assert numbers(synced, OLD) == [1, 2, 7]
    asked = synced.requests_for("export")[0].params
    assert "limit" not in asked
    assert asked["event"] == '["Order"]'
    assert asked["where"].startswith('(properties["price"] < 50 or false) and properties["mp_')


def test_killed_before_the_load(synced: Lab) -> None:
    """Nothing of it counts, nothing is asked twice, and the next catch-up ends as it would have."""
    arrive(synced, OLD)
    crash(synced)
    assert numbers(synced, OLD) == [0, 1, 2]
    assert synced.catch_up().rows == {"export": 4}
    assert synced.exported == []
    synced.assert_events_kept(FIRST, TODAY)


def test_nothing_loaded_nothing_asked(lab: Lab) -> None:
    """Without a day to look through there is no request; `range` is refused, as by a sync."""
    assert lab.catch_up().failures == {}
    assert lab.exported == []
    with pytest.raises(ConfigError, match="range is set"):
        lab.catch_up(range=f"{OLD},{OLD}")
