"""A row of another shape than expected is set aside; it blocks nothing and is counted."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest

import mixpanel_source
from mixpanel_sandbox import Fault
from mixpanel_source.tables import rejected
from tests.support.kill_points import kill_syncs
from tests.support.lab import Lab
from tests.support.projects import YESTERDAY, add_event

pytestmark = pytest.mark.every_destination

DAY = date(2026, 11, 18)
"""Within the look-back."""
SETTLED = date(2026, 11, 13)
TABLE = "_mixpanel_rejected"


ODD_ROWS = {
    b'{"event":null,"properties":{"distinct_id":"u7"}}': "event is not text",
    b'{"event":"e","properties":[1]}': "properties is not an object",
    b'{"event":"e","properties":{"a":%b}}' % (b"[" * 800 + b"]" * 800): "nested too deeply",
    b'{"event":5,"properties":{"t":"\xff \\u0000 \\ud83d"}}': "event is not text",
    b"null": "not an object",
}
"""Lines of an export that are no events -> why."""


def stored(lab: Lab) -> list[tuple[Any, ...]]:
    """Table, part, day and reason of each rejected row, sorted."""
    rows = [
        (row["table_name"], row["part"], str(row["day"]), row["reason"]) for row in lab.rows(TABLE)
    ]
    return sorted(rows)


def counts(lab: Lab, table: str) -> list[int]:
    """The rejected rows of each load of a table."""
    loads = lab.rows("_mixpanel_loads")
    return [row["rows_rejected"] for row in loads if row["table_name"] == table]


def test_events(any_lab: Lab, caplog: pytest.LogCaptureFixture) -> None:
    """Each row of another shape is kept as it came, once, and all events are loaded."""
    odd = ODD_ROWS
    good = len(any_lab.project.events[DAY])
    any_lab.project.events[DAY] += odd
    for _ in range(2):
        caplog.clear()
        result = any_lab.sync("export")
        assert result.failures == {}
        assert len([r for r in any_lab.rows("export") if r["event_date"] == DAY]) == good
        assert stored(any_lab) == sorted(
            ("export", "", str(DAY), reason) for reason in odd.values()
        )
        reports = [text for text in caplog.messages if TABLE in text]
        assert len(reports) == 1
        assert f"{len(odd)} of export" in reports[0]
    assert [number for number in counts(any_lab, "export") if number] == [len(odd)] * 2
    by_text = {row["row"]: row for row in any_lab.rows(TABLE)}
    for line in odd:
        row = by_text[line.decode(errors="replace")]
        assert row["row_bytes"] == len(line)
        assert (row["distinct_id"] == "u7") == (b"u7" in line)


@pytest.mark.slow
def test_a_day_that_is_read_again_replaces_its_rejected_rows(any_lab: Lab) -> None:
    """They go with the day; those of other days and tables stay."""
    for day in (DAY, YESTERDAY):
        any_lab.project.events[day].append(b'{"event":null,"properties":{}}')
    any_lab.project.profiles.append(b"[]")
    any_lab.sync()
    del any_lab.project.events[DAY][-1]
    any_lab.sync("export")
    assert stored(any_lab) == [
        ("engage", "", "None", "not an object"),
        ("export", "", str(YESTERDAY), "event is not text"),
    ]
    any_lab.project.profiles.pop()
    any_lab.sync()
    assert [row[0] for row in stored(any_lab)] == ["export"]


def test_nothing_but_rejected_rows(any_lab: Lab) -> None:
    """A day, and a dump, of which every row is rejected is loaded as empty."""
    any_lab.project.events[DAY] = [b'{"event":%d}' % number for number in range(50)]
    any_lab.project.profiles = [b"null"] * 3
    result = any_lab.sync()
    assert result.failures == {}
    assert result.rows["engage"] == 0
    assert {row["event_date"] for row in any_lab.rows("export")}.isdisjoint({DAY})
    assert len(stored(any_lab)) == 53


def test_profiles(any_lab: Lab) -> None:
    """One odd profile does not keep the others out; groups and cohort members likewise."""
    odd = b'{"$distinct_id":"x","$properties":null}'
    project = any_lab.project
    project.profiles.append(odd)
    project.groups = {"7": [b'{"$distinct_id":"acme","$properties":{}}', odd]}
    result = any_lab.sync("engage", "groups", data_group_ids=[7])
    assert result.failures == {}
    assert result.rows == {"engage": len(project.profiles) - 1, "groups": 1}
    reason = "$properties is not an object"
    assert stored(any_lab) == [("engage", "", "None", reason), ("groups", "7", "None", reason)]
    assert counts(any_lab, "engage") == counts(any_lab, "groups") == [1]


def test_updated_profiles_keep_the_rejected_ones(lab: Lab) -> None:
    """A read of the updated profiles alone replaces no rejected row but itself."""
    lab.overrides = {"engage_full_days": 7}
    lab.project.profiles += [b'{"$distinct_id":"x","$properties":null}']
    lab.sync("engage")
    assert len(stored(lab)) == 1
    lab.sync("engage")
    assert len(stored(lab)) == 1


@pytest.mark.slow
def test_a_kept_day_keeps_its_rejected_rows(any_lab: Lab) -> None:
    """Where rows stay because Mixpanel no longer serves them, rejected rows stay with them."""
    events = any_lab.project.events
    events[SETTLED] = []
    for number in range(20):
        add_event(any_lab.project, SETTLED, number)
    events[SETTLED] += [b'{"event":1}', b'{"event":2}']
    any_lab.sync("export")
    events[SETTLED] = [b'{"event":2}', b'{"event":3}']
    events[DAY].append(b"null")
    any_lab.clock.advance(days=1)
    for _ in range(2):
        result = any_lab.backfill(f"{SETTLED},{YESTERDAY}")
        assert result.failures == {}
        assert sorted(row["row"] for row in any_lab.rows(TABLE)) == [
            "null",
            '{"event":1}',
            '{"event":2}',
            '{"event":3}',
        ]
    assert len([row for row in any_lab.rows("export") if row["event_date"] == SETTLED]) == 20


def test_forgotten_persons(any_lab: Lab) -> None:
    """A forgotten person's rejected rows go, and do not come back."""
    lines = [
        b'{"event":null,"properties":{"distinct_id":"%b"}}',
        b'{"event":null,"properties":[{"$device_id":"%b","distinct_id":"someone"}]}',
    ]
    everybody = [line % name for name in (b"ada", rb"a\"b") for line in lines]
    any_lab.project.events[DAY] += everybody[:3]
    any_lab.project.events[DAY].append(b'{"event":null,"properties":{"distinct_id":"bob"}}')
    any_lab.sync("export")
    assert len(stored(any_lab)) == 4
    name = str(any_lab.pipeline.destination.destination_name)
    result = mixpanel_source.forget(["ada", 'a"b'], destination=name, clock=any_lab.clock)
    assert result.rows[TABLE] == 3
    any_lab.sync("export")
    (left,) = any_lab.rows(TABLE)
    assert left["distinct_id"] == "bob"
    assert json.loads(left["person_ids"]) == ["bob"]


def test_a_huge_row_is_cut(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a very long row only the beginning is stored."""
    monkeypatch.setattr(rejected, "MAX_CHARACTERS", 100)
    line = b'{"event":"%b"}' % (b"x" * 10_000)
    lab.project.events[DAY].append(line)
    lab.sync("export")
    (row,) = lab.rows(TABLE)
    assert (row["row"], row["row_bytes"]) == (line[:100].decode(), len(line))


def test_a_plain_pipeline_reports_them_too(lab: Lab, caplog: pytest.LogCaptureFixture) -> None:
    """`pipeline.run(mixpanel_source())` has no summary, so the table says it at its end."""
    lab.project.profiles.append(b"7")
    lab.pipeline.run(lab.source("engage"), loader_file_format="parquet")
    assert len(stored(lab)) == 1
    assert [text for text in caplog.messages if "1 of engage" in text]


def test_without_rejected_rows_there_is_no_table(lab: Lab) -> None:
    """Projects without such rows never see the table."""
    lab.sync()
    assert all(TABLE not in schema.tables for schema in lab.pipeline.schemas.values())


def hostile(*good: dict[str, Any]) -> list[Any]:
    """A list with entries that are no rows."""
    return [None, *good, "text", 5, [], {}, {"id": "abc", "name": 3}]


def test_lists(lab: Lab) -> None:
    """An entry that cannot be a row stops neither the others nor other tables."""
    project = lab.project
    project.cohorts = hostile({"id": 1, "name": "All"}, {"id": 2, "created": "never"})
    ids: list[Any] = [7, None, "x", [], 2**70]
    project.annotations = [{"id": id_, "date": "2026-11-20"} for id_ in ids]
    project.annotation_tags = hostile({"id": 8, "name": "tag"})
    project.lookup_tables = [{"id": "a", "name": "b"}, {"id": 4}, {}]
    project.schemas = [
        {"entityType": "event", "name": "e", "schemaJson": {"properties": {"p": None, "q": {}}}},
        {"entityType": "event", "name": "f", "schemaJson": {"properties": [1]}},
        {"entityType": "event", "name": "g", "schemaJson": "text"},
        {"entityType": "event", "name": "h", "schemaJson": {"metadata": 1}},
    ]
    tables = ("cohorts", "annotations", "lookup_tables", "lexicon")
    result = lab.sync(*tables)
    assert result.failures == {}
    rows = {"cohorts": 2, "annotations": 1, "annotation_tags": 1, "lookup_tables": 1, "lexicon": 3}
    assert result.rows == rows
    assert {table: len(lab.rows(table)) for table in rows} == rows
    loads = {row["table_name"]: row["rows_rejected"] for row in lab.rows("_mixpanel_loads")}
    assert loads == {
        "cohorts": 6,
        "annotations": 4,
        "annotation_tags": 6,
        "lookup_tables": 2,
        "lexicon": 3,
    }
    assert len(stored(lab)) == sum(loads.values())
    assert lab.sync(*tables).failures == {}
    assert len(stored(lab)) == sum(loads.values())


def test_members_of_cohorts(lab: Lab) -> None:
    """A cohort whose entry has no usable id is set aside, and no cohort counts as deleted."""
    lab.project.cohort_members = {1: ["u1"], 2: ["u2"]}
    lab.project.cohorts = [{"id": 1}, {"id": 2}]
    lab.sync("cohort_members")
    lab.project.cohorts = [{"id": 1}, {"id": None}]
    result = lab.sync("cohort_members")
    assert result.failures == {}
    assert [row["_dlt_valid_to"] for row in lab.rows("cohort_members")] == [None, None]
    assert stored(lab) == [("cohort_members", "", "None", "no id")]
    lab.project.cohorts = [{"id": 1}]
    lab.sync("cohort_members")
    assert stored(lab) == []
    ended = [row["cohort_id"] for row in lab.rows("cohort_members") if row["_dlt_valid_to"]]
    assert ended == [2]


def test_annotations_without_their_tags(lab: Lab) -> None:
    """Tags that are refused do not keep the annotations out."""
    lab.project.annotations = [{"id": 7, "date": "2026-11-20"}]
    lab.sandbox.inject(Fault("403", table="annotations", request=2, times=0))
    result = lab.sync("annotations", retries=0)
    assert {str(part) for part in result.failures} == {"annotations: annotation_tags"}
    assert [row["id"] for row in lab.rows("annotations")] == [7]


def test_saved_funnels(lab: Lab) -> None:
    """An entry of the list of funnels without a usable id is set aside."""
    lab.project.funnels = [{"funnel_id": None, "name": "x"}, {"funnel_id": "y", "name": "z"}]
    result = lab.sync("funnels")
    assert result.failures == {}
    assert [row[:1] + row[3:] for row in stored(lab)] == [
        ("funnels", "funnel_id is not a whole number"),
        ("funnels", "no funnel_id"),
    ]


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_kills(any_lab: Lab) -> None:
    """Killed at whatever moment, every rejected row is there once, and none that was replaced."""
    any_lab.project.events[DAY] += [b'{"event":1}', b'{"event":2}']
    assert any_lab.sync("export").failures == {}
    any_lab.project.events[DAY].pop()
    any_lab.project.events[YESTERDAY].append(b"null")
    kill_syncs(any_lab, "export", ["received 1", "Load 1", "Load 3", "Load 5", "loaded 1"])
    assert any_lab.sync("export").failures == {}
    assert sorted(row["row"] for row in any_lab.rows(TABLE)) == ["null", '{"event":1}']
    keys = [row["event_key"] for row in any_lab.rows("export")]
    assert len(keys) == len({*keys}) == sum(map(len, any_lab.project.events.values())) - 2
