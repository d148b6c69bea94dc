"""The sandbox fails in the ways it was told to, when it was told to, and in no other."""

from __future__ import annotations

import http.client
import json
import time
import zlib
from collections.abc import Callable
from datetime import date
from urllib.parse import urlencode

import pytest

from mixpanel_sandbox import KINDS, PROJECT_ID, Fault, Project, Sandbox, parse_fault
from mixpanel_sandbox.routes import TABLES
from tests.integration.sandbox_calls import (
    EXPORT_PATH,
    ask,
    ask_raw,
    basic,
    connect,
    engage,
    export,
)

DAY = "2026-11-03"
DAYS = {"from_date": DAY, "to_date": DAY}
DAY_QUERY = urlencode({"project_id": PROJECT_ID, **DAYS})
LINES = [
    b'{"event":"Order","properties":{"time":%d,"text":"some text"}}' % (1_793_664_000 + number)
    for number in range(3000)
]
WHOLE = b"".join(line + b"\n" for line in LINES)


@pytest.fixture
def project() -> Project:
    """Return a project with 3000 events on a day and ten profiles."""
    project = Project(events={date(2026, 11, 3): LINES, date(2026, 11, 4): LINES[:1]})
    for number in range(10):
        project.add_profile(f"u{number}", {})
    return project


def spoiled(project: Project, fault: str) -> Callable[[], bytes]:
    """Return a function that exports the day from a sandbox with this fault, compressed."""

    def fetch() -> bytes:
        with Sandbox(project, faults=[parse_fault(fault)]) as sandbox:
            return ask_raw(sandbox, EXPORT_PATH, DAYS, gzip=True)

    return fetch


def split_reply(reply: bytes) -> tuple[list[bytes], bytes, bool, bool]:
    """Return head lines, unzipped body, whether the framing ended and whether the gzip did."""
    head, _, framed = reply.partition(b"\r\n\r\n")
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
def test_answers_in_place_of_the_right_one(
    project: Project, fault: str, status: int, headers: dict[str, str | None], start: bytes
) -> None:
    """The reply is another one, once, whatever was asked for; then all is well."""
    for path in (EXPORT_PATH, "/api/query/engage"):
        with Sandbox(project, faults=[parse_fault(fault)]) as sandbox:
            reply = ask(sandbox, path, DAYS)
            right = ask(sandbox, path, DAYS)
            struck = [record.fault for record in sandbox.requests]
        assert (reply.status, reply.body[: len(start)]) == (status, start)
        assert {name: reply.headers.get(name) for name in headers} == headers
        assert right.body not in {b"", reply.body}
        assert struck == [fault.partition(":")[0], None]


@pytest.mark.parametrize("fault", ["slow:seconds=0.15", "stall:seconds=0.15"])
def test_slow_replies(project: Project, fault: str) -> None:
    """The first or the last byte comes late, and nothing is missing."""
    with Sandbox(project, faults=[parse_fault(fault)]) as sandbox:
        started = time.monotonic()
        assert export(sandbox, DAY).body == WHOLE
        assert time.monotonic() - started >= 0.15


def test_closed(project: Project) -> None:
    """The connection closes before the status line."""
    with Sandbox(project, faults=[Fault("closed")]) as sandbox:
        with pytest.raises(http.client.RemoteDisconnected):
            export(sandbox, DAY)
        assert (sandbox.requests[0].status, sandbox.requests[0].bytes_sent) == (0, 0)


def test_reset(project: Project) -> None:
    """The connection is reset in mid-body; what was sent before arrives."""
    reply = spoiled(project, "reset")()
    assert reply.endswith(b"<reset>")
    _, body, terminated, unzipped = split_reply(reply)
    assert len(WHOLE) / 2 < len(body) < len(WHOLE)
    assert WHOLE.startswith(body)
    assert not body.endswith(b"\n")
    assert not terminated
    assert not unzipped


def test_reset_of_profiles(project: Project) -> None:
    """A reply with a length is cut as well."""
    with (
        Sandbox(project, faults=[Fault("reset")]) as sandbox,
        pytest.raises((ConnectionResetError, http.client.IncompleteRead)),
    ):
        engage(sandbox)


def test_stall(project: Project) -> None:
    """The body is there before its end is."""
    with Sandbox(project, faults=[parse_fault("stall:seconds=60")]) as sandbox:
        connection = connect(sandbox)
        connection.request("GET", f"{EXPORT_PATH}?{DAY_QUERY}", headers=basic())
        assert connection.getresponse().read(len(WHOLE)) == WHOLE
        assert sandbox.requests[0].ended is None
        connection.close()


def test_unterminated(project: Project) -> None:
    """Only the missing end of the framing shows that lines are missing."""
    _, body, terminated, unzipped = split_reply(spoiled(project, "unterminated")())
    assert body.endswith(b"\n")
    assert len(body) < len(WHOLE)
    assert unzipped
    assert not terminated
    with (
        Sandbox(project, faults=[Fault("unterminated")]) as sandbox,
        pytest.raises(http.client.IncompleteRead),
    ):
        export(sandbox, DAY)


def test_open_gzip(project: Project) -> None:
    """Only the missing end of the gzip stream shows it."""
    head, body, terminated, unzipped = split_reply(spoiled(project, "open_gzip")())
    assert b"Content-Encoding: gzip" in head
    assert body.endswith(b"\n")
    assert len(body) < len(WHOLE)
    assert terminated
    assert not unzipped


def test_open_gzip_waits_for_a_client_that_takes_gzip(project: Project) -> None:
    """The fault does not strike where it could not show."""
    with Sandbox(project, faults=[Fault("open_gzip")]) as sandbox:
        assert export(sandbox, DAY).body == WHOLE
        assert sandbox.requests[0].fault is None
        # gzip even where the body is too small for it otherwise
        small = {"from_date": "2026-11-04", "to_date": "2026-11-04"}
        assert not split_reply(ask_raw(sandbox, EXPORT_PATH, small, gzip=True))[3]


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
def test_bodies_that_end_badly(project: Project, fault: str, end: bytes | None) -> None:
    """Framing and gzip are whole; the lines are not."""
    _, body, terminated, unzipped = split_reply(spoiled(project, fault)())
    assert terminated
    assert unzipped
    assert len(body) < len(WHOLE)
    if end is not None:
        assert body.endswith(end)
    else:
        with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
            json.loads(body.splitlines()[-1])


def test_bodies_of_one_line_and_of_none(project: Project) -> None:
    """Small days fail like large ones."""
    faults = [Fault("half_line"), Fault("short"), *[Fault("terminated_early")] * 2]
    with Sandbox(project, faults=faults, exports_per_second=0) as sandbox:
        days = ("2026-11-04", "2026-11-04", "2026-11-04", "2026-11-05")
        bodies = [export(sandbox, day).body for day in days]
    assert 0 < len(bodies[0]) < len(LINES[0])
    assert bodies[1:] == [b"", b"terminated early\n", b"terminated early\n"]


def test_raw_newline(project: Project) -> None:
    """One event is spread over two lines; joined again it reads."""
    with Sandbox(project, faults=[Fault("raw_newline")]) as sandbox:
        lines = export(sandbox, DAY).body.split(b"\n")
    assert len(lines) == len(LINES) + 2
    joined = json.loads(lines[0] + b"\n" + lines[1], strict=False)
    assert joined["properties"]["note"] == "before\nafter"
    assert lines[2:-1] == LINES[1:]


def test_line_separator(project: Project) -> None:
    """U+2028 inside a string is part of a line, not the end of one."""
    with Sandbox(project, faults=[Fault("line_separator")]) as sandbox:
        lines = export(sandbox, DAY).body.split(b"\n")
    assert json.loads(lines[0])["properties"]["note"] == "before\u2028after"
    assert lines[1:-1] == LINES[1:]


def test_expired_session(project: Project) -> None:
    """From one page on the session is unknown, until a new one is started."""
    with Sandbox(project, page_size=4, faults=[parse_fault("expired_session:page=2")]) as sandbox:
        session_id = engage(sandbox).json()["session_id"]
        statuses = [engage(sandbox, session_id=session_id, page=page).status for page in (1, 2, 1)]
        assert statuses == [200, 400, 400]
        session_id = engage(sandbox).json()["session_id"]
        assert engage(sandbox, session_id=session_id, page=2).status == 200


def test_short_page(project: Project) -> None:
    """A page holds fewer results than it should, while the total stays."""
    with Sandbox(project, page_size=4, faults=[parse_fault("short_page:page=0")]) as sandbox:
        first = engage(sandbox).json()
        assert (first["total"], len(first["results"])) == (10, 2)
        second = engage(sandbox, session_id=first["session_id"], page=1).json()
    assert len(second["results"]) == 4


# when


def strikes(project: Project, fault: str, days: list[str]) -> list[bool]:
    """Return which of the exports of these days, one after another, fail."""
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
def test_when_a_fault_strikes(project: Project, fault: str, expected: list[int]) -> None:
    """All of its conditions hold, and it has not struck often enough."""
    days = [DAY, "2026-11-04", "2026-11-05", f"{DAY}/2026-11-06", "2026-11-05"]
    assert strikes(project, fault, days) == [bool(struck) for struck in expected]


def test_chance_depends_on_its_seed(project: Project) -> None:
    """The same seed fails the same requests; some fail and some do not."""
    days = [DAY] * 20
    first = strikes(project, "500:chance=0.4,seed=7", days)
    assert first == strikes(project, "500:chance=0.4,seed=7", days)
    assert first != strikes(project, "500:chance=0.4,seed=8", days)
    assert 0 < sum(first) < 20


def test_requests_are_counted_overall_or_by_table(project: Project) -> None:
    """With a table the n-th of that table is meant, without the n-th of all."""
    faults = [parse_fault("500:request=2,table=engage"), parse_fault("502:request=4")]
    with Sandbox(project, faults=faults) as sandbox:
        export(sandbox, DAY)
        assert [engage(sandbox).status for _ in range(3)] == [200, 500, 502]


def test_faults_can_be_added_later(project: Project) -> None:
    """A running sandbox takes more faults; of two that are due the first added comes first."""
    with Sandbox(project) as sandbox:
        assert engage(sandbox).status == 200
        sandbox.inject(Fault("503"), Fault("504"))
        assert [engage(sandbox).status for _ in range(3)] == [503, 504, 200]


def test_reports_fail_by_their_own_name(project: Project) -> None:
    """Each table has its own; two paths may be of one table."""
    with Sandbox(project, faults=[Fault("503", table="funnels", request=2)]) as sandbox:
        assert ask(sandbox, "/api/query/funnels/list").status == 200
        assert ask(sandbox, "/api/query/events/names", {"type": "general"}).status == 200
        assert ask(sandbox, "/api/2.0/funnels/list").status == 503
    names = (
        "activity annotations cohorts data_pipelines engage event_counts event_names "
        "event_properties export frequency funnels insights jql lexicon lookup_tables projects "
        "property_values retention segmentation segmentation_average segmentation_numeric "
        "segmentation_sum top_events top_properties"
    )
    assert sorted(TABLES) == names.split()


# how they are written


def test_faults_are_written_as_text() -> None:
    """A name, and conditions after a colon."""
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
        ("429:table=events", "unknown table 'events'; valid are activity, annotations, cohorts,"),
        ("429:request=two", "invalid value 'two' for request"),
        ("429:day=tomorrow", "invalid value 'tomorrow' for day"),
        ("429:times", "invalid value '' for times"),
    ],
)
def test_text_that_is_no_fault(text: str, error: str) -> None:
    """The error says what there is instead."""
    with pytest.raises(ValueError, match=error):
        parse_fault(text)


def test_every_fault_says_what_it_does() -> None:
    """Help is made of these lines."""
    assert all(kind.description and "\n" not in kind.description for kind in KINDS.values())
