"""A day too big for one request is read in parts, and is the same day."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from mixpanel_sandbox import Fault, Project
from mixpanel_source import constants
from mixpanel_source.commands.plan import plan
from mixpanel_source.errors import TruncatedError
from mixpanel_source.tables.package import TablePart
from mixpanel_source.windows import DAY
from tests.support.lab import Lab, open_lab
from tests.support.projects import YESTERDAY, add_event, make_project

FIRST = YESTERDAY - DAY
EXPORT = TablePart("export")
RANGE = f"{FIRST},{YESTERDAY}"


@pytest.fixture
def project() -> Project:
    """Two days with duplicates in different parts, and events without a time."""
    project = Project()
    for day in (FIRST, YESTERDAY):
        for number in range(48):
            add_event(project, day, number * 30)
        # sent again at another time of the day, and processed later or earlier
        for number in (3, 30):
            properties = json.loads(project.events[day][number])["properties"]
            add_event(
                project,
                day,
                1_400 - 30 * number,
                **{"$insert_id": properties["$insert_id"], "distinct_id": "u0"},
                mp_processing_time_ms=properties["mp_processing_time_ms"] + 5 - number,
            )
        project.events[day].append(
            b'{"event":"No time","properties":{"$insert_id":"x","distinct_id":"u"}}'
        )
        project.events[day].reverse()
    return project


@pytest.fixture
def lab(project: Project) -> Iterator[Lab]:
    """A lab with that project, whose first day is loaded before the second."""
    with open_lab(project) as lab:
        lab.overrides = {"anchor_date": FIRST}
        yield lab


def rows_of(lab: Lab, table: str = "export") -> Counter[str]:
    """The rows of a table without what differs between two loads."""
    return Counter(
        json.dumps({name: row[name] for name in row if not name.startswith("_dlt")}, default=str)
        for row in lab.rows(table)
    )


def test_parts_are_the_day(lab: Lab) -> None:
    """Loaded again in parts, all rows are as one request brings them, rejected ones included."""
    lab.project.events[FIRST].append(b'{"event":null,"properties":null}')
    lab.backfill(RANGE)
    before = rows_of(lab), [row["row"] for row in lab.rows("_mixpanel_rejected")]
    assert lab.exported == [str(FIRST), str(YESTERDAY)]
    lab.overrides["split_days_above"] = 15
    planned = plan(["export"], clock=lab.clock, **lab.settings, range=RANGE)
    assert (planned.requests, planned.tables[0].parts) == (8, 4)
    report = lab.backfill(RANGE)
    assert lab.exported == [str(FIRST)] * 4 + [str(YESTERDAY)] * 4
    assert (rows_of(lab), [row["row"] for row in lab.rows("_mixpanel_rejected")]) == before
    assert report.rows == {"export": 98}
    newest = max(lab.rows("_mixpanel_loads"), key=lambda row: row["fetched_at"])
    assert (newest["requests"], newest["duplicates_dropped"]) == (4, 2)
    assert lab.spooled_files() == []


def test_cut_replies_cost_a_part(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """A day that is cut twice is requested in halves, and the next one at once."""
    monkeypatch.setattr(constants, "BIG_REPLY_BYTES", 1)
    lab.sandbox.inject(Fault("terminated_early", table="export", times=2))
    lab.sandbox.inject(Fault("reset", table="export", request=4, times=2))
    lab.overrides["retry_base_seconds"] = 0
    report = lab.backfill(RANGE)
    assert report.failures == {}
    parts = [record.params.get("where", "").count("$time") for record in lab.requests_for("export")]
    # the day twice, its first half, the second one twice, its quarters; then parts like these
    assert parts[:7] == [0, 0, 1, 1, 1, 2, 1]
    assert lab.exported[7:] == [str(YESTERDAY)] * (len(parts) - 7)
    assert 0 not in parts[7:]
    lab.assert_events_kept(FIRST)


def test_small_day_that_is_cut_is_not_split(lab: Lab) -> None:
    """Its size is not the reason, so it is retried as ever."""
    lab.sandbox.inject(Fault("terminated_early", table="export", times=0))
    report = lab.backfill(RANGE, retries=3, retry_base_seconds=0)
    assert isinstance(report.failures[EXPORT], TruncatedError)
    assert lab.exported == [str(FIRST)] * 4
    assert not any("where" in record.params for record in lab.requests_for("export"))


def test_killed_run_keeps_its_parts(lab: Lab) -> None:
    """What was verified is not requested again, even if days are no longer cut."""
    lab.backfill(f"{FIRST},{FIRST}")
    lab.sandbox.inject(Fault("502", day=YESTERDAY, request=4))
    report = lab.backfill(f"{YESTERDAY},{YESTERDAY}", split_days_above=15, retries=0)
    assert EXPORT in report.failures
    assert len(lab.spooled_files()) == 4
    lab.backfill(f"{YESTERDAY},{YESTERDAY}")
    # the second half, which was not reached, is requested as it is now
    assert [record.params["where"].count("$time") for record in lab.requests_for("export")] == [1]
    lab.assert_events_kept(FIRST)
    assert lab.spooled_files() == []


@pytest.mark.slow
def test_expression_that_selects_nothing(lab: Lab, project: Project) -> None:
    """A day whose parts are all empty is requested once more as a whole."""
    lab.backfill(f"{FIRST},{FIRST}")
    project.events[YESTERDAY].clear()
    lab.backfill(f"{YESTERDAY},{YESTERDAY}", split_days_above=30)
    requests = lab.requests_for("export")
    assert ["where" in record.params for record in requests] == [True, True, False]


@pytest.mark.slow
def test_filters_hold_for_parts(lab: Lab) -> None:
    """Events and where of the settings select within each part."""
    filters = {"events": ["Order"], "where": 'properties["plan"] == "free" or false'}
    lab.backfill(RANGE, **filters)
    before = rows_of(lab)
    assert before
    lab.backfill(RANGE, **filters, split_days_above=5)
    assert len(lab.exported) > 4
    assert rows_of(lab) == before


@pytest.mark.slow
def test_archive_has_one_file(lab: Lab, tmp_path: Path) -> None:
    """The parts of a day are one file of the archive, which holds every line."""
    lab.backfill(RANGE)
    lab.overrides |= {"archive": tmp_path / "archive", "split_days_above": 15}
    lab.backfill(RANGE)
    for day in (FIRST, YESTERDAY):
        with gzip.open(tmp_path / "archive" / "export" / f"{day}.jsonl.gz") as file:
            assert len(file.read().splitlines()) == len(lab.project.events[day])


@pytest.mark.slow
def test_days_are_split_where_the_last_one_was_big() -> None:
    """A later sync splits at once what the ledger says to be big."""
    with open_lab(make_project()) as lab:
        lab.sync("export")
        lab.clock.advance(days=1)
        lab.sync("export", split_days_above=2, include_today=True)
        assert all("where" in record.params for record in lab.requests_for("export")[:2])
        lab.assert_events_kept()
