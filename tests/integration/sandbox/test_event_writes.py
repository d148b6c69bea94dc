"""The sandbox's /import and /track, and the export of what they stored."""

from __future__ import annotations

import base64
import http.client
import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest

from mixpanel_sandbox import Fault, Project, Sandbox
from tests.support.clock import DAY_S, NOON, Clock
from tests.support.sandbox_calls import basic_auth, send
from tests.support.sandbox_writes import day_of, exported, import_events, make_event

TODAY = day_of(NOON)
ADDED = {"$mp_api_endpoint", "$mp_api_timestamp_ms", "mp_processing_time_ms", "$import"}


@pytest.fixture
def project() -> Project:
    """An empty project."""
    return Project()


@pytest.fixture
def sandbox_clock() -> Clock:
    """Clock at noon."""
    return Clock()


def stored(sandbox: Sandbox, **params: object) -> list[dict[str, Any]]:
    """Return the events of today without what Mixpanel adds."""
    events = exported(sandbox, TODAY, **params)
    for event in events:
        for name in ADDED:
            event["properties"].pop(name, None)
    return events


@pytest.mark.parametrize("lines", [False, True])
@pytest.mark.parametrize("compress", [False, True])
def test_imported_events_are_exported(sandbox: Sandbox, *, lines: bool, compress: bool) -> None:
    """As an array or in lines, compressed or not; with `ip: 0` no place is added."""
    events = [make_event(number, time=NOON - number, text="ü\u2028") for number in range(3)]
    response = import_events(sandbox, events, lines=lines, compress=compress)
    assert response.json() == {"code": 200, "num_records_imported": 3, "status": "OK"}
    for event in events:
        del event["properties"]["ip"]
    assert stored(sandbox) == events
    assert exported(sandbox, TODAY)[0]["properties"].keys() >= ADDED


def test_values_keep_their_text(sandbox: Sandbox) -> None:
    """Numbers that a parser would change, and keys that are there twice."""
    text = (
        f'{{"time":{NOON:.0f},"distinct_id":"","$insert_id":"a","n":0.12345678901234567890,"n":-0'
    )
    for body in (f'[ {{"event":"A", "properties": {text},"ip":0}}}}]', f'{text},"big":1e400}}'):
        wrapped = body if body.startswith("[") else f'{{"properties":{body},"event":"B"}}'
        assert send(sandbox, "/import", {"strict": 1}, method="POST", body=wrapped).status == 200
    lines = send(sandbox, "/api/2.0/export", {"from_date": TODAY, "to_date": TODAY}).body
    assert lines.count(b'"n":0.12345678901234567890,"n":-0') == 2
    assert lines.count(b'"big":1e400') == 1
    assert b'"ip"' not in lines


def test_without_ip_the_request_is_located(sandbox: Sandbox) -> None:
    """Its city overwrites nothing that was given."""
    import_events(sandbox, [make_event(time=NOON, ip=None, **{"$city": "Bern"})])
    properties = exported(sandbox, TODAY)[0]["properties"]
    assert (properties["$city"], properties["mp_country_code"]) == ("Bern", "US")


BAD: list[tuple[str, object]] = [
    ("", 5),
    ("event", {"properties": {}}),
    ("event", {"event": "", "properties": {}}),
    ("properties", {"event": "x"}),
    *(
        (f"properties.{field}", make_event(**{"time": NOON, **change}))
        for field, change in (
            ("time", {"time": None}),
            ("time", {"time": "2026-11-21"}),
            ("time", {"time": 3600}),
            ("time", {"time": NOON + 7200}),
            ("time", {"time": NOON - 731 * DAY_S}),
            ("distinct_id", {"distinct_id": None}),
            ("distinct_id", {"distinct_id": "anon"}),
            ("$insert_id", {"$insert_id": None}),
            ("$insert_id", {"$insert_id": "a:b"}),
            ("$insert_id", {"$insert_id": "null"}),
            ("$insert_id", {"$insert_id": "x" * 37}),
            ("deep", {"deep": {"a": {"b": {"c": {}}}}}),
            ("long", {"long": [0] * 256}),
        )
    ),
    ("properties", make_event(time=NOON, **{f"p{n}": n for n in range(256)})),
    ("event", make_event(time=NOON, text="x" * 1024 * 1024)),
]


def test_strict_names_every_bad_event(sandbox: Sandbox, project: Project) -> None:
    """The valid ones are stored, although the status is 400."""
    project.retention_days = 730
    good = [make_event(number, time=NOON) for number in range(2)]
    events = [good[0], *(event for _, event in BAD), good[1]]
    response = import_events(sandbox, events)
    body = response.json()
    assert (response.status, body["code"], body["num_records_imported"]) == (400, 400, 2)
    found = [(record["index"], record["field"]) for record in body["failed_records"]]
    assert found == [(number, field) for number, (field, _) in enumerate(BAD, 1)]
    assert len({record["message"] for record in body["failed_records"]}) == 17
    by_index = {record["index"]: record for record in body["failed_records"]}
    assert "insert_id" not in by_index[1]
    assert by_index[5]["insert_id"] == "id-0"
    assert len(stored(sandbox)) == 2


def test_lenient_requests_succeed(sandbox: Sandbox) -> None:
    """Without `strict`, the status is 200 and the error is in the body."""
    body = import_events(sandbox, [make_event(time=1)], strict=0).json()
    assert (body["code"], body["status"], body["num_records_imported"]) == (200, 0, 0)
    assert import_events(sandbox, [make_event(time=NOON)], strict=0).json()["status"] == 1


@pytest.mark.parametrize(
    ("kind", "names"),
    [("ids_with_dollar", {"$insert_id"}), ("ids_absent", set()), (None, {"insert_id"})],
)
def test_failed_records_have_three_shapes(
    sandbox: Sandbox, kind: str | None, names: set[str]
) -> None:
    """The key of the id differs, and it can be absent."""
    if kind:
        sandbox.inject(Fault(kind))
    (record,) = import_events(sandbox, [make_event(time=1)]).json()["failed_records"]
    assert record.keys() == {"index", "field", "message", *names}


def test_failed_records_can_be_texts(sandbox: Sandbox) -> None:
    """As they are for identity verbs."""
    sandbox.inject(Fault("failures_as_text"))
    body = import_events(sandbox, [make_event(time=1)]).json()
    assert body["failed_records"] == ["'properties.time' is invalid: must be after 1971-01-01"]


@pytest.mark.parametrize("verb", ["$identify", "$create_alias", "$merge"])
def test_identity_verbs(sandbox: Sandbox, project: Project, verb: str) -> None:
    """A simplified project refuses the whole batch, an original one accepts it."""
    batch = [make_event(time=NOON), {"event": verb, "properties": {"$distinct_ids": ["a", "b"]}}]
    body = import_events(sandbox, batch).json()
    assert (body["code"], body["num_records_imported"]) == (400, 0)
    assert body["failed_records"] == [
        "identity events are not allowed when project is using simplified identity management"
    ]
    assert stored(sandbox) == []
    project.identity = "original"
    assert import_events(sandbox, batch).status == 200
    assert [event["event"] for event in stored(sandbox)] == ["Ping", verb]


def test_batches_have_limits(project: Project) -> None:
    """Of events, and of uncompressed bytes, which the message tells."""
    with Sandbox(project, clock=Clock().time, import_bytes=2_097_152) as sandbox:
        assert import_events(sandbox, []).status == 400
        assert import_events(sandbox, [make_event(time=NOON)] * 2001).status == 400
        large = [make_event(time=NOON, text="x" * 900_000)] * 3
        response = import_events(sandbox, large, compress=True)
        assert response.status == 413
        assert response.json() == {
            "code": 413,
            "error": "request exceeds max limit of 2097152 bytes",
            "status": "Request Entity Too Large",
        }
        assert import_events(sandbox, large[:2]).status == 200
        body = send(sandbox, "/import", method="POST", body="[{}").json()
        assert (body["code"], body["error"]) == (400, "invalid JSON")


def test_long_texts_are_cut_silently(sandbox: Sandbox) -> None:
    """To 255 characters, values and names alike."""
    event = make_event(time=NOON, text="é" * 300, **{"n" * 300: 1})
    assert import_events(sandbox, [event]).status == 200
    properties = stored(sandbox)[0]["properties"]
    assert properties["text"] == "é" * 255
    assert properties["n" * 255] == 1


def test_duplicates_disappear_after_a_while(project: Project) -> None:
    """The export shows them first; they share event, id, time and `$insert_id`."""
    clock = Clock()
    with Sandbox(project, clock=clock.time, visible_after_s=60, dedup_after_s=3600) as sandbox:
        event = make_event(time=NOON)
        others = [
            {**event, "event": "Other"},
            make_event(time=NOON + 1),
            make_event(time=NOON, distinct_id="x"),
            make_event(time=NOON, **{"$insert_id": "y"}),
        ]
        import_events(sandbox, [event, *others])
        in_ms = make_event(time=NOON * 1000, again=True)
        import_events(sandbox, [in_ms])
        assert exported(sandbox, TODAY) == []
        clock.advance(seconds=60)
        assert len(exported(sandbox, TODAY)) == 6
        clock.advance(seconds=3600)
        after = exported(sandbox, TODAY)
        assert len(after) == 5
        assert [event["properties"].get("again") for event in after].count(True) == 1


def test_events_are_filed_by_utc_day(sandbox: Sandbox) -> None:
    """Of their time, in seconds or milliseconds."""
    yesterday = NOON - DAY_S
    import_events(sandbox, [make_event(1, time=yesterday * 1000), make_event(2, time=yesterday)])
    assert len(exported(sandbox, TODAY - timedelta(days=1))) == 2


@pytest.fixture
def two(sandbox_clock: Clock) -> Iterator[Sandbox]:
    """Two projects of one account, in two regions."""
    other = Project(project_id=77, name="Europe", region="eu", timezone="Europe/Berlin")
    near = Project(project_id=88, name="Near")
    with Sandbox(Project(), others=(other, near), clock=sandbox_clock.time) as sandbox:
        yield sandbox


def test_projects_are_told_apart(two: Sandbox) -> None:
    """By project id or token; only the hosts of its region know a project."""
    event = make_event(time=NOON)
    assert import_events(two, [event], project_id=88).status == 200
    assert import_events(two, [event], project_id=77).status == 400
    assert import_events(two, [event], project_id=99).status == 403
    assert import_events(two, [event], project_id=77, url=two.url_of("eu")).status == 200
    assert [sum(map(len, one.events.values())) for one in (two.project, *two.others)] == [0, 0, 0]
    days = {"from_date": TODAY, "to_date": TODAY}
    for project_id, url in ((77, two.url_of("eu")), (88, None)):
        exports = send(two, "/api/2.0/export", {**days, "project_id": project_id}, url=url)
        assert exports.body.count(b"\n") == 1
    assert exported(two, TODAY) == []
    near = send(two, "/api/app/me").json()["results"]["projects"]
    assert {key: value["name"] for key, value in near.items()} == {
        "1234567": "Sandbox",
        "88": "Near",
    }
    europe = send(two, "/api/app/me", url=two.url_of("eu")).json()["results"]["projects"]
    assert europe.keys() == {"77"}


def test_a_token_authorises_imports(two: Sandbox) -> None:
    """It stands for its project; a foreign one, or a wrong one, is refused."""
    bad = [make_event(time=0)]
    near = basic_auth(two.others[1].token, "")
    assert import_events(two, bad, project_id=None, headers=near).status == 400
    assert "failed_records" in import_events(two, bad, project_id=88, headers=near).json()
    assert "Mismatch" in import_events(two, bad, project_id=1234567, headers=near).json()["error"]
    assert import_events(two, bad, headers=basic_auth("0" * 32, "")).status == 401
    assert import_events(two, bad, headers=basic_auth("someone", "x")).json() == {
        "code": 401,
        "error": "Not a valid service account username",
        "status": "Unauthorized",
    }


def test_refusals_store_nothing_and_lost_replies_do(sandbox: Sandbox) -> None:
    """A 429 stores nothing; what is cut off after it was carried out is stored."""
    sandbox.inject(Fault("429_import", times=2), Fault("502", table="import"))
    event = [make_event(time=NOON)]
    response = import_events(sandbox, event)
    assert (response.status, response.json()["status"]) == (429, "Too Many Requests")
    assert "Retry-After" not in response.headers
    assert [import_events(sandbox, event).status for _ in range(2)] == [429, 502]
    assert stored(sandbox) == []
    sandbox.inject(Fault("closed", table="import"))
    with pytest.raises(http.client.RemoteDisconnected):
        import_events(sandbox, event)
    assert len(stored(sandbox)) == 1
    sandbox.inject(Fault("502_stored"), Fault("413"))
    assert import_events(sandbox, [make_event(2, time=NOON)]).status == 502
    assert len(stored(sandbox)) == 2
    assert "2097152" in import_events(sandbox, event).json()["error"]


def test_import_is_rate_limited(project: Project) -> None:
    """By events and by bytes of a rolling minute."""
    clock = Clock()
    with Sandbox(project, clock=clock.time, events_per_minute=3, bytes_per_minute=5000) as sandbox:
        events = [make_event(number, time=NOON) for number in range(2)]
        assert [import_events(sandbox, events).status for _ in range(2)] == [200, 429]
        clock.advance(seconds=60)
        assert import_events(sandbox, events).status == 200
        clock.advance(seconds=60)
        assert import_events(sandbox, [make_event(time=NOON, text="x" * 5000)]).status == 429


def track(sandbox: Sandbox, events: object, **params: object) -> Any:
    """Send events to /track as an array, without credentials."""
    body = json.dumps(events)
    headers = {"Authorization": ""}
    given = {"project_id": None, **params}
    response = send(sandbox, "/track", given, method="POST", body=body, headers=headers)
    assert response.status == 200
    return response.json()


def test_track_answers_1_whatever_is_kept(sandbox: Sandbox, project: Project) -> None:
    """Old events and unknown tokens are dropped without a word."""
    now = make_event(time=NOON, token=project.token, **{"$insert_id": None})
    old = make_event(time=NOON - 6 * DAY_S, token=project.token)
    foreign = make_event(time=NOON, token="0" * 32)
    assert track(sandbox, [now, old, foreign]) == 1
    (event,) = stored(sandbox)
    assert event["properties"].keys() == {"time", "distinct_id", "$insert_id"}
    assert exported(sandbox, TODAY - timedelta(days=6)) == []


def test_track_reports_malformed_events(sandbox: Sandbox, project: Project) -> None:
    """In the body of a 200: `0`, or with `verbose` the error."""
    assert track(sandbox, [{"properties": {}}]) == 0
    assert track(sandbox, [{"properties": {}}], verbose=1) == {
        "error": "event, missing or empty",
        "status": 0,
    }
    sandbox.inject(Fault("status_0"))
    good = [make_event(time=NOON, token=project.token)]
    assert track(sandbox, good, verbose=1)["status"] == 0
    assert stored(sandbox) == []


@pytest.mark.parametrize("encode", [str, lambda text: base64.b64encode(text.encode()).decode()])
def test_track_accepts_forms(sandbox: Sandbox, project: Project, encode: Any) -> None:
    """With JSON or base64 as `data`, as identity requests send it."""
    project.identity = "original"
    event = {"event": "$identify", "properties": {"$anon_id": "a", "token": project.token}}
    body = urlencode({"data": encode(json.dumps(event))})
    form = {"Content-Type": "application/x-www-form-urlencoded", "Authorization": ""}
    assert send(sandbox, "/track", method="POST", body=body, headers=form).body == b"1"
    assert stored(sandbox)[0]["event"] == "$identify"


def test_ids_follow_from_users_and_devices(sandbox: Sandbox, project: Project) -> None:
    """In simplified projects an event may have no `distinct_id`."""
    user = make_event(1, time=NOON, distinct_id=None, **{"$user_id": "u", "$device_id": "d"})
    device = make_event(2, time=NOON, distinct_id=None, **{"$device_id": "d"})
    assert import_events(sandbox, [user, device]).status == 200
    assert [event["properties"]["distinct_id"] for event in stored(sandbox)] == ["u", "$device:d"]
    project.identity = "original"
    assert import_events(sandbox, [user]).status == 400


def ids(sandbox: Sandbox) -> dict[str, tuple[str, str | None]]:
    """Return the ids of the stored events, now and before, by their insert id."""
    return {
        event["properties"]["$insert_id"]: (
            event["properties"]["distinct_id"],
            event["properties"].get("$distinct_id_before_identity"),
        )
        for event in stored(sandbox)
        if event["event"] == "Ping"
    }


def test_events_get_new_ids_when_ids_are_merged(project: Project) -> None:
    """Those stored before as well; the first connection of a device counts."""
    device = {"$device_id": "d"}
    with Sandbox(project, clock=Clock().time, rekeys=True, exports_per_second=None) as sandbox:
        import_events(sandbox, [make_event(1, time=NOON, distinct_id="$device:d", **device)])
        assert ids(sandbox) == {"id-1": ("$device:d", None)}
        both = [make_event(n, time=NOON, **device, **{"$user_id": f"u{n}"}) for n in (2, 3)]
        import_events(sandbox, both)
        moved = ("u2", "$device:d")
        assert ids(sandbox) == {"id-1": moved, "id-2": ("u2", None), "id-3": ("u3", None)}
        import_events(sandbox, [make_event(1, time=NOON, distinct_id="$device:d", **device)])
        assert ids(sandbox)["id-1"] == moved
        assert len(stored(sandbox)) == 3


@pytest.mark.parametrize(
    ("verb", "properties"),
    [
        ("$identify", {"$anon_id": "a", "$identified_id": "u"}),
        ("$create_alias", {"alias": "a", "distinct_id": "u"}),
        ("$merge", {"$distinct_ids": ["u", "a"]}),
    ],
)
def test_verbs_merge_ids(project: Project, verb: str, properties: dict[str, Any]) -> None:
    """In projects with the original identity management."""
    project.identity = "original"
    with Sandbox(project, clock=Clock().time, rekeys=True) as sandbox:
        events = [make_event(number, time=NOON, distinct_id=of) for number, of in enumerate("au")]
        import_events(sandbox, [*events, {"event": verb, "properties": properties}])
        assert ids(sandbox) == {"id-0": ("u", "a"), "id-1": ("u", None)}
