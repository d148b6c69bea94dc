"""Any endpoint that reads, asked from the command line: to the screen, or into a table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mixpanel_sandbox import Fault
from mixpanel_source import cli
from mixpanel_source.commands.request import parse_params, request
from mixpanel_source.commands.response import find_rows, load_response
from mixpanel_source.errors import (
    ConfigError,
    MixpanelError,
    PausedError,
    PlanError,
    RequestError,
    ServerError,
    TruncatedError,
)
from mixpanel_source.jobs.pipeline import open_pipeline
from tests.support.lab import Lab
from tests.support.projects import ALL_DAYS, ANCHOR, YESTERDAY
from tests.support.sandbox_calls import send
from tests.support.tables import select_all

EXPORT = "/api/2.0/export"
DAYS = {"from_date": ALL_DAYS[0], "to_date": ALL_DAYS[-1]}
ODD_DAY = {"from_date": str(ANCHOR), "to_date": str(ANCHOR)}


def body(lab: Lab, method: str, path: str, params: dict[str, str], **given: Any) -> bytes:
    """What is answered."""
    with request(method, path, params, clock=lab.clock, **{**lab.settings, **given}) as answer:
        return b"".join(answer.chunks())


def test_answer_is_printed_as_it_came(
    configured_lab: Lab, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    """Byte by byte, of an export as of a report, with GET as with POST, by either address."""
    for method, path, params in (
        ("GET", EXPORT, DAYS),
        ("GET", "/api/query/events/names", {"type": "general"}),
        ("POST", "/api/2.0/cohorts/list", {}),
        ("get", "/api/app/projects/{project_id}/annotations", {}),
    ):
        written = [word for name, value in params.items() for word in ("-p", f"{name}={value}")]
        assert cli.main(["request", method, path, *written]) == cli.DONE
        printed = capfdbinary.readouterr().out
        asked = path.format(project_id=configured_lab.project.project_id)
        assert printed == send(configured_lab.sandbox, asked, params, method=method.upper()).body


def test_parameters_go_where_they_belong(lab: Lab) -> None:
    """To the query string of a GET, to the form of a POST, a value with any character whole."""
    where = 'properties["plan"] == "a=b&c ü"'
    body(lab, "GET", EXPORT, {**DAYS, "where": where})
    reply = json.loads(body(lab, "POST", "/api/query/engage", {"where": where, "page_size": "2"}))
    assert reply["results"] == []
    assert [record.params["where"] for record in lab.sandbox.requests] == [where, where]
    assert parse_params(["where=a=b", "limit="]) == {"where": "a=b", "limit": ""}


def test_requests_count_and_are_noted(lab: Lab) -> None:
    """A metered one counts for what follows; a page of profiles after the first is free."""
    one = {"requests_per_hour": 1, "max_wait_s": 0}
    first = json.loads(body(lab, "POST", "/api/query/engage", {"page_size": "2"}, **one))
    more = {"page_size": "2", "session_id": first["session_id"], "page": "1"}
    assert json.loads(body(lab, "POST", "/api/query/engage", more, **one))["results"]
    body(lab, "GET", "/api/app/me", {}, **one)
    with pytest.raises(PausedError, match=r"^request event_names: hourly quota"):
        body(lab, "GET", "/api/query/events/names", {"type": "general"}, **one)


@pytest.mark.parametrize(
    "fault",
    [
        "500",
        "429",
        "half_line",
        "terminated_early",
        "error_fragment",
        "unterminated",
        "html",
        "reset",
    ],
)
def test_failures_leave_no_trace(lab: Lab, fault: str) -> None:
    """What broke off is asked for again, and of the first try nothing is in the answer."""
    whole = body(lab, "GET", EXPORT, DAYS)
    lab.sandbox.forget_requests()
    lab.sandbox.inject(Fault(fault, table="export"))
    assert body(lab, "GET", EXPORT, DAYS) == whole
    assert len(lab.sandbox.requests) == 2


def test_odd_but_whole_answers_are_taken(lab: Lab) -> None:
    """A row torn apart at the very end is whole, and so is an export of nothing."""
    assert body(lab, "GET", EXPORT, {**DAYS, "event": '["none"]'}) == b""
    torn = b'{"event":"Torn","properties":{"time":1794528000,"text":"a\nb"}}'
    lab.project.events[YESTERDAY].append(torn)
    assert body(lab, "GET", EXPORT, DAYS).endswith(torn + b"\n")
    lab.project.events[YESTERDAY][-1] = b'{"error":"something went wrong"}'
    with pytest.raises(TruncatedError, match="ends with an error message"):
        body(lab, "GET", EXPORT, DAYS, retries=0)
    lab.sandbox.inject(Fault("html", table="event_names"))
    assert json.loads(body(lab, "GET", "/api/query/events/names", {"type": "general"}))


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("500", ServerError),
        ("402", PlanError),
        ("403", RequestError),
        ("half_line", TruncatedError),
    ],
)
def test_refusals_show_no_value(lab: Lab, fault: str, error: type[MixpanelError]) -> None:
    """The message names the endpoint and says what to do; nothing that was asked is in it."""
    lab.sandbox.inject(Fault(fault, table="export", times=0))
    asked = {**DAYS, "where": 'properties["name"] != "Jane"'}
    with pytest.raises(error, match=r"^request export: ") as caught:
        body(lab, "GET", EXPORT, asked, retries=0)
    assert "Jane" not in str(caught.value)
    assert "out of tables" not in str(caught.value)


def test_queries_with_parameters_are_sent_as_json(lab: Lab) -> None:
    """By POST where only that reads; other addresses do not take one."""
    bookmark = {"sections": {"show": [{"behavior": {"type": "event", "name": "Order"}}]}}
    given = {"bookmark": json.dumps(bookmark), "queryLimits": '{"limit": 5}', "note": "a"}
    reply = json.loads(body(lab, "POST", "/api/query/insights", given))
    assert list(reply["series"]) == ["Order"]
    (record,) = lab.sandbox.requests
    assert json.loads(record.params["bookmark"]) == bookmark
    assert record.params["note"] == "a"
    with pytest.raises(ConfigError, match="must be read by GET"):
        body(lab, "POST", "/api/app/projects/{project_id}/bookmarks", given)


def test_what_mixpanel_repeats_is_hidden(lab: Lab) -> None:
    """A refusal that quotes a value of ours is shown without it."""
    with pytest.raises(RequestError, match=r'"bookmark_id \.\.\. does not exist"'):
        body(lab, "GET", "/api/query/insights", {"bookmark_id": "98765"})


MALFORMED = [
    (["GET", "/api/query/events", "-p", "type"], "-p 'type' must be key=value"),
    (["GET", "/api/query/events", "-p", "=general"], "-p '=general' must be key=value"),
    (["GET", "/api/query/events", "-p", "a=1", "--param", "a=2"], "-p a is given twice"),
    (["GET", EXPORT, "-p", "project_id=1"], "-p project_id must be left out"),
    (["GET", "/nowhere"], "path is '/nowhere'; it must be one of Mixpanel's API"),
    (["DELETE", EXPORT], f"method is DELETE; {EXPORT} must be read by GET"),
    (["POST", "/api/app/projects/1/annotations"], "requests that might change the project"),
    (["GET", EXPORT, "--table", "Events"], "--table is 'Events'; it must be lower-case"),
    (["GET", EXPORT, "--table", "_mixpanel_loads"], "--table is '_mixpanel_loads'"),
    (["GET", EXPORT, "--table", "export"], "--table is export, which a sync loads"),
    (["GET", EXPORT, "--table", "funnel_steps"], "--table is funnel_steps, which a sync loads"),
]


def test_malformed_requests_are_refused(
    configured_lab: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    """With what is valid instead, in a line and with exit code 2; nothing is sent."""
    for written, message in MALFORMED:
        assert cli.main(["request", *written]) == cli.WRONG_USAGE
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("error: ")
        assert message in line
    assert configured_lab.sandbox.requests == []


ODD_EVENT = {
    "time": 1_794_528_000,
    "distinct_id": "nul \0 and \ud800",
    "big": 2**70,
    "when": "2026-11-13T00:00:00",
}


@pytest.fixture
def destined(any_lab: Lab) -> Lab:
    """A lab, and either destination for answers."""
    any_lab.project.profiles[:0] = [
        b'{"$distinct_id":"odd","$properties":{},"planName":1,"plan name":"x","n":null}'
    ]
    any_lab.project.add_event("Odd", ODD_EVENT)
    return any_lab


def load(lab: Lab, table: str, method: str, path: str, params: dict[str, str]) -> Any:
    """Load an answer; the rows of its table."""
    with request(method, path, params, clock=lab.clock, **lab.settings) as answer:
        number = load_response(answer, table, lab.pipeline)
    rows = select_all(lab.pipeline, table)
    assert number == len(rows)
    return [{k: v for k, v in row.items() if not k.startswith("_dlt")} for row in rows]


def test_rows_are_loaded(destined: Lab) -> None:
    """Lists and objects as JSON, each key in a column of its own, what was there is replaced.

    Of an export each line is a row, and what no database takes is repaired.
    """
    path = "/api/query/engage"
    for expected in (6, 5):
        rows = load(destined, "people", "POST", path, {})
        assert len(rows) == expected
        by_id = {row["mp_distinct_id"]: row for row in rows}
        assert json.loads(by_id["u3"]["mp_properties"])["plan"] == "pro"
        if expected == 6:
            assert (by_id["odd"]["plan_name"], by_id["odd"]["plan_name_2"]) == (1, "x")
        del destined.project.profiles[0]
    names = load(destined, "names", "GET", "/api/query/events/names", {"type": "general"})
    assert sorted(row["value"] for row in names) == ["Odd", "Order", "Sign up"]
    events = load(destined, "some_events", "GET", EXPORT, ODD_DAY)
    properties = {row["event"]: json.loads(row["properties"]) for row in events}
    assert len(events) == 4
    assert properties["Odd"] == {
        **ODD_EVENT,
        "distinct_id": "nul \ufffd and \ufffd",
        "big": str(2**70),
    }


def test_tables_of_a_sync_stay_as_they_are(
    configured_lab: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    """Beside a synced table the command loads its own, and the next sync goes on as before."""
    configured_lab.sync("export", window_days=31)
    command = ["request", "POST", "/api/query/cohorts/list", "--table", "my_cohorts"]
    assert cli.main(command) == cli.DONE
    assert capsys.readouterr().out.startswith("my_cohorts: 1 row\nin ")
    assert Path("mixpanel.duckdb").exists()
    configured_lab.pipeline = open_pipeline()
    configured_lab.sync("export")
    assert configured_lab.exported == ALL_DAYS[3:]
    configured_lab.assert_events_kept()
    loaded = select_all(configured_lab.pipeline, "my_cohorts")
    assert [(row["id"], row["name"]) for row in loaded] == [(1, "All")]


def test_answers_without_rows(lab: Lab) -> None:
    """A CSV file is no rows; a list without an entry empties the table."""
    asked = {"event": '["Order"]', "type": "general", "unit": "day", **DAYS}
    with pytest.raises(RequestError, match=r"^request event_counts: the reply is not JSON"):
        load(lab, "counts", "GET", "/api/query/events", {**asked, "format": "csv"})
    load(lab, "cohort_list", "POST", "/api/query/cohorts/list", {})
    lab.project.cohorts.clear()
    assert load(lab, "cohort_list", "POST", "/api/query/cohorts/list", {}) == []


@pytest.mark.parametrize(
    ("reply", "key", "rows"),
    [
        ([{"a": 1}, {"a": 2}], None, [{"a": 1}, {"a": 2}]),
        (["x", "y"], None, [{"value": "x"}, {"value": "y"}]),
        ([], None, []),
        ({"results": [{"a": 1}], "status": "ok"}, "results", [{"a": 1}]),
        ({"results": []}, "results", []),
        ({"results": {"events": [{"a": 1}]}}, "results", [{"a": 1}]),
        ({"meta": [1], "found": {"deep": [{"a": 1}]}}, None, [{"a": 1}]),
        (
            {"data": {"values": {"A": {"2026-11-01": 1}}}},
            "data",
            [{"values": {"A": {"2026-11-01": 1}}}],
        ),
        ({"pipelines": [{"a": 1}, "odd"]}, "results", [{"a": 1}, {"value": "odd"}]),
        (7, None, [{"value": 7}]),
    ],
)
def test_where_rows_are_found(reply: Any, key: str | None, rows: list[Any]) -> None:
    """Under the endpoint's key, else in the first list of objects, else it is all one row."""
    assert find_rows(reply, key) == rows


def test_disk_is_full(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory for temporary files that cannot be written is told, with what to set."""
    monkeypatch.setattr("tempfile.tempdir", "/dev/null")
    with pytest.raises(MixpanelError, match=r"cannot be written: .*TMPDIR"):
        body(lab, "GET", EXPORT, DAYS)
    with pytest.raises(ConfigError, match="--table is export"):
        load_response(None, "export", lab.pipeline)  # type: ignore[arg-type]
