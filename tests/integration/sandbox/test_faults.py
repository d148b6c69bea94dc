"""Faults occur as configured, and only then."""

from __future__ import annotations

import http.client
import json
import time
import zlib
from datetime import date
from urllib.parse import urlencode

import pytest

from mixpanel_sandbox import KINDS, PROJECT_ID, Fault, Project, Sandbox, parse_fault
from mixpanel_sandbox.routes import TABLES
from tests.support.sandbox_calls import (
    EXPORT_PATH,
    basic_auth,
    connect,
    engage,
    export,
    send,
    send_raw,
)

DAY = "2026-11-03"
DAYS = {"from_date": DAY, "to_date": DAY}
DAY_QUERY = urlencode({"project_id": PROJECT_ID, **DAYS})
LINES = [
    b'{"event":"Order","properties":{"time":%d,"text":"some text"}}' % (1_793_664_000 + number)
    for number in range(3000)
]
FULL_BODY = b"".join(line + b"\n" for line in LINES)


@pytest.fixture
def project() -> Project:
    """Return a project with 3000 events on a day and ten profiles."""
    project = Project(events={date(2026, 11, 3): LINES, date(2026, 11, 4): LINES[:1]})
    for number in range(10):
        project.add_profile(f"u{number}", {})
    return project


def export_with(project: Project, fault: str) -> bytes:
    """Export the day with a fault and gzip; return the raw bytes received."""
    with Sandbox(project, faults=[parse_fault(fault)]) as sandbox:
        return send_raw(sandbox, EXPORT_PATH, DAYS, gzip=True)


def split_response(response: bytes) -> tuple[list[bytes], bytes, bool, bool]:
    """Return head lines, decompressed body, and whether framing and gzip stream are complete."""
    head, _, framed = response.partition(b"\r\n\r\n")
    body, terminated = _join_chunks(framed)
    unzip = zlib.decompressobj(31)
    return head.split(b"\r\n"), unzip.decompress(body), terminated, unzip.eof


def _join_chunks(framed: bytes) -> tuple[bytes, bool]:
    body = b""
    while framed and not framed.startswith(b"<reset>"):
        size, _, framed = framed.partition(b"\r\n")
        length = int(size, 16)
        if length == 0:
            return body, True
        body, framed = body + framed[:length], framed[length + 2 :]
    return body, False


@pytest.mark.parametrize(
    ("fault", "status", "headers", "start"),
    [
        ("429", 429, {"Retry-After": "10"}, b'{"error":"Query rate limit'),
        ("429:seconds=3", 429, {"Retry-After": "3"}, b'{"error":"Query rate limit'),
        ("429_headers", 429, {"RateLimit": '"project";r=0;t=10', "Retry-After": None}, b"{"),
        ("429_bare", 429, {"RateLimit": None, "Retry-After": None}, b"{"),
        ("500", 500, {"Content-Type": "text/html; charset=utf-8"}, b"<html>"),
        ("502", 502, {}, b"<html>"),
        ("503", 503, {}, b"<html>"),
        ("504", 504, {}, b"<html>"),
        ("500_empty", 500, {"Content-Length": "0"}, b""),
        ("502_empty", 502, {"Content-Length": "0"}, b""),
        ("503_empty", 503, {"Content-Length": "0"}, b""),
        ("504_empty", 504, {"Content-Length": "0"}, b""),
        ("html", 200, {"Content-Type": "text/html; charset=utf-8"}, b"<html>"),
        ("timeout", 400, {}, b'{"error":"Timeout Error."}'),
        ("401", 401, {}, b'{"error":"Invalid credentials"}'),
        ("402", 402, {}, b'{"error":"Your plan does not allow API calls.'),
        ("403", 403, {}, b'{"error":"Permission denied"}'),
    ],
)
def test_replaced_responses(
    project: Project, fault: str, status: int, headers: dict[str, str | None], start: bytes
) -> None:
    """The fault replaces one response, of any table; the next one is correct."""
    for path in (EXPORT_PATH, "/api/query/engage"):
        with Sandbox(project, faults=[parse_fault(fault)]) as sandbox:
            response = send(sandbox, path, DAYS)
            correct = send(sandbox, path, DAYS)
            faults = [record.fault for record in sandbox.requests]
        assert (response.status, response.body[: len(start)]) == (status, start)
        assert {name: response.headers.get(name) for name in headers} == headers
        assert correct.body not in {b"", response.body}
        assert faults == [fault.partition(":")[0], None]


@pytest.mark.parametrize("fault", ["slow:seconds=0.15", "stall:seconds=0.15"])
def test_slow_responses(project: Project, fault: str) -> None:
    """The first or the last bytes are delayed; nothing is missing."""
    with Sandbox(project, faults=[parse_fault(fault)]) as sandbox:
        started = time.monotonic()
        assert export(sandbox, DAY).body == FULL_BODY
        assert time.monotonic() - started >= 0.15


def test_closed(project: Project) -> None:
    """The connection closes before the status line."""
    with Sandbox(project, faults=[Fault("closed")]) as sandbox:
        with pytest.raises(http.client.RemoteDisconnected):
            export(sandbox, DAY)
        assert (sandbox.requests[0].status, sandbox.requests[0].bytes_sent) == (0, 0)


def test_reset(project: Project) -> None:
    """The connection is reset mid-body; the bytes sent before arrive."""
    response = export_with(project, "reset")
    assert response.endswith(b"<reset>")
    _, body, terminated, unzipped = split_response(response)
    assert len(FULL_BODY) / 2 < len(body) < len(FULL_BODY)
    assert FULL_BODY.startswith(body)
    assert not body.endswith(b"\n")
    assert not terminated
    assert not unzipped


def test_reset_of_profiles(project: Project) -> None:
    """Responses with a Content-Length are cut as well."""
    with (
        Sandbox(project, faults=[Fault("reset")]) as sandbox,
        pytest.raises((ConnectionResetError, http.client.IncompleteRead)),
    ):
        engage(sandbox)


def test_stall(project: Project) -> None:
    """The whole body arrives before its framing ends."""
    with Sandbox(project, faults=[parse_fault("stall:seconds=60")]) as sandbox:
        connection = connect(sandbox)
        connection.request("GET", f"{EXPORT_PATH}?{DAY_QUERY}", headers=basic_auth())
        assert connection.getresponse().read(len(FULL_BODY)) == FULL_BODY
        assert sandbox.requests[0].ended is None
        connection.close()


def test_unterminated(project: Project) -> None:
    """Only the incomplete framing reveals that lines are missing."""
    _, body, terminated, unzipped = split_response(export_with(project, "unterminated"))
    assert body.endswith(b"\n")
    assert len(body) < len(FULL_BODY)
    assert unzipped
    assert not terminated
    with (
        Sandbox(project, faults=[Fault("unterminated")]) as sandbox,
        pytest.raises(http.client.IncompleteRead),
    ):
        export(sandbox, DAY)


def test_open_gzip(project: Project) -> None:
    """Only the unfinished gzip stream reveals that lines are missing."""
    head, body, terminated, unzipped = split_response(export_with(project, "open_gzip"))
    assert b"Content-Encoding: gzip" in head
    assert body.endswith(b"\n")
    assert len(body) < len(FULL_BODY)
    assert terminated
    assert not unzipped


def test_open_gzip_needs_a_client_that_accepts_gzip(project: Project) -> None:
    """The fault does not occur in an uncompressed response."""
    with Sandbox(project, faults=[Fault("open_gzip")]) as sandbox:
        assert export(sandbox, DAY).body == FULL_BODY
        assert sandbox.requests[0].fault is None
        # compressed, though the body is too small for gzip otherwise
        small = {"from_date": "2026-11-04", "to_date": "2026-11-04"}
        assert not split_response(send_raw(sandbox, EXPORT_PATH, small, gzip=True))[3]


@pytest.mark.parametrize(
    ("fault", "end"),
    [
        ("half_line", None),
        ("short", b"}}\n"),
        ("no_newline", LINES[-1]),
        ("error_fragment", b'}}\n{"error":'),
        ("terminated_early", b"}}\nterminated early\n"),
        ("export_terminated_early", b"}}\nexport terminated early\n"),
        ("terminated_early_title", b"}}\nTerminated Early\n"),
        ("terminated_early_upper", b"}}\nEXPORT TERMINATED EARLY\n"),
    ],
)
def test_damaged_last_lines(project: Project, fault: str, end: bytes | None) -> None:
    """Framing and gzip stream are complete, the lines are not."""
    _, body, terminated, unzipped = split_response(export_with(project, fault))
    assert terminated
    assert unzipped
    assert len(body) < len(FULL_BODY)
    if end is not None:
        assert body.endswith(end)
    else:
        with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
            json.loads(body.splitlines()[-1])


def test_faults_in_small_bodies(project: Project) -> None:
    """Faults also occur in bodies of one line or none."""
    faults = [Fault("half_line"), Fault("short"), *[Fault("terminated_early")] * 2]
    with Sandbox(project, faults=faults, exports_per_second=0) as sandbox:
        days = ("2026-11-04", "2026-11-04", "2026-11-04", "2026-11-05")
        bodies = [export(sandbox, day).body for day in days]
    assert 0 < len(bodies[0]) < len(LINES[0])
    assert bodies[1:] == [b"", b"terminated early\n", b"terminated early\n"]


def test_raw_newline(project: Project) -> None:
    """An event is split over two lines, which joined are valid."""
    with Sandbox(project, faults=[Fault("raw_newline")]) as sandbox:
        lines = export(sandbox, DAY).body.split(b"\n")
    assert len(lines) == len(LINES) + 2
    joined = json.loads(lines[0] + b"\n" + lines[1], strict=False)
    assert joined["properties"]["note"] == "before\nafter"
    assert lines[2:-1] == LINES[1:]


def test_line_separator(project: Project) -> None:
    """U+2028 inside a string does not end a line."""
    with Sandbox(project, faults=[Fault("line_separator")]) as sandbox:
        lines = export(sandbox, DAY).body.split(b"\n")
    assert json.loads(lines[0])["properties"]["note"] == "before\u2028after"
    assert lines[1:-1] == LINES[1:]


def test_expired_session(project: Project) -> None:
    """From the given page on the session is unknown; a new one can be started."""
    with Sandbox(project, page_size=4, faults=[parse_fault("expired_session:page=2")]) as sandbox:
        session_id = engage(sandbox).json()["session_id"]
        statuses = [engage(sandbox, session_id=session_id, page=page).status for page in (1, 2, 1)]
        assert statuses == [200, 400, 400]
        session_id = engage(sandbox).json()["session_id"]
        assert engage(sandbox, session_id=session_id, page=2).status == 200


def test_short_page(project: Project) -> None:
    """A page has fewer results than it should; the total is unchanged."""
    with Sandbox(project, page_size=4, faults=[parse_fault("short_page:page=0")]) as sandbox:
        first = engage(sandbox).json()
        assert (first["total"], len(first["results"])) == (10, 2)
        second = engage(sandbox, session_id=first["session_id"], page=1).json()
    assert len(second["results"]) == 4


def failures(project: Project, fault: str, days: list[str]) -> list[bool]:
    """Export each of these days or ranges, and return which exports fail."""
    with Sandbox(project, faults=[parse_fault(fault)], exports_per_second=0) as sandbox:
        return [export(sandbox, *day.split("/")).status != 200 for day in days]


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("500", [1, 0, 0, 0, 0]),
        ("500:times=2", [1, 1, 0, 0, 0]),
        ("500:times=0", [1, 1, 1, 1, 1]),
        ("500:request=3", [0, 0, 1, 0, 0]),
        ("500:request=2,times=3", [0, 1, 1, 1, 0]),
        ("500:table=engage,times=0", [0, 0, 0, 0, 0]),
        ("500:day=2026-11-04", [0, 1, 0, 0, 0]),
        ("500:day=2026-11-04,times=0", [0, 1, 0, 1, 0]),
        ("500:page=0,times=0", [0, 0, 0, 0, 0]),
        ("500:chance=1", [1, 1, 1, 1, 1]),
        ("500:chance=0", [0, 0, 0, 0, 0]),
    ],
)
def test_conditions_of_a_fault(project: Project, fault: str, expected: list[int]) -> None:
    """A fault occurs if all conditions hold, at most `times` times."""
    days = [DAY, "2026-11-04", "2026-11-05", f"{DAY}/2026-11-06", "2026-11-05"]
    assert failures(project, fault, days) == [bool(fails) for fails in expected]


def test_chance_depends_on_its_seed(project: Project) -> None:
    """The same seed fails the same requests."""
    days = [DAY] * 20
    first = failures(project, "500:chance=0.4,seed=7", days)
    assert first == failures(project, "500:chance=0.4,seed=7", days)
    assert first != failures(project, "500:chance=0.4,seed=8", days)
    assert 0 < sum(first) < 20


def test_requests_are_counted_overall_or_by_table(project: Project) -> None:
    """`request` counts the requests of `table` if given, else all requests."""
    faults = [parse_fault("500:request=2,table=engage"), parse_fault("502:request=4")]
    with Sandbox(project, faults=faults) as sandbox:
        export(sandbox, DAY)
        assert [engage(sandbox).status for _ in range(3)] == [200, 500, 502]


def test_injected_faults(project: Project) -> None:
    """Faults can be added to a running sandbox; the first added occurs first."""
    with Sandbox(project) as sandbox:
        assert engage(sandbox).status == 200
        sandbox.inject(Fault("503"), Fault("504"))
        assert [engage(sandbox).status for _ in range(3)] == [503, 504, 200]


def test_faults_of_report_tables(project: Project) -> None:
    """Every report is a table of its own; a table may have several paths."""
    with Sandbox(project, faults=[Fault("503", table="funnels", request=2)]) as sandbox:
        assert send(sandbox, "/api/query/funnels/list").status == 200
        assert send(sandbox, "/api/query/events/names", {"type": "general"}).status == 200
        assert send(sandbox, "/api/2.0/funnels/list").status == 503
    names = (
        "activity alerts annotation_changes annotations bookmarks cohort_definitions "
        "cohorts custom_properties dashboards data_pipelines drop_filters engage "
        "event_counts event_definitions event_names event_properties experiments export "
        "feature_flags flows frequency funnels gdpr gdpr_jobs group_updates import "
        "insights jql lexicon lexicon_changes lookup_table lookup_tables pipeline_changes "
        "profile_updates projects property_definitions property_values retention "
        "segmentation segmentation_average segmentation_numeric segmentation_sum "
        "service_accounts top_events top_properties track warehouse_imports"
    )
    assert sorted(TABLES) == names.split()


def test_parse_fault() -> None:
    """A fault is a name, optionally with conditions after a colon."""
    assert parse_fault("half_line:day=2026-11-03") == Fault("half_line", day=date(2026, 11, 3))
    assert parse_fault("429:request=2, times=3") == Fault("429", request=2, times=3)
    assert parse_fault("reset:chance=0.1,seed=7") == Fault("reset", chance=0.1, seed=7)
    assert parse_fault("slow:seconds=2,table=projects,page=1") == Fault(
        "slow", seconds=2.0, table="projects", page=1
    )


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("nonsense", "unknown fault 'nonsense'; valid are 401, 402,"),
        ("429:hour=2", "unknown condition 'hour'; valid are chance, day, page,"),
        ("429:table=events", "unknown table 'events'; valid are activity, alerts,"),
        ("429:request=two", "invalid value 'two' for request"),
        ("429:day=tomorrow", "invalid value 'tomorrow' for day"),
        ("429:times", "invalid value '' for times"),
    ],
)
def test_parse_fault_errors(text: str, error: str) -> None:
    """The error names the invalid part and, for names, the valid ones."""
    with pytest.raises(ValueError, match=error):
        parse_fault(text)


def test_every_fault_has_a_description() -> None:
    """Descriptions are single lines."""
    assert all(kind.description and "\n" not in kind.description for kind in KINDS.values())
