"""Live replies of the sandbox, held against Mixpanel's official specifications.

The files are those of Mixpanel's documentation repository, under `openapi/`; they are looked for in
`MIXPANEL_OPENAPI_DIR`, else beside this repository.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import date, datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from mixpanel_source.sandbox import Sandbox, made_up_project
from tests.integration.sandbox_calls import Response, ask

jsonschema: Any = pytest.importorskip("jsonschema", reason="needs the package jsonschema")
yaml: Any = pytest.importorskip("yaml", reason="needs the package pyyaml")

BESIDE = Path(__file__).parents[2].parent / "shared" / "openapi"
SPECIFICATIONS = Path(os.environ.get("MIXPANEL_OPENAPI_DIR", BESIDE))
TODAY = datetime(2026, 11, 21, 12, tzinfo=timezone.utc)

# a value for each parameter the specifications name
VALUES: dict[str, object] = {
    "project_id": 1234567,
    "workspace_id": 1,
    "from_date": "2026-11-19",
    "to_date": "2026-11-20",
    "limit": 10,
    "event": '["Page Viewed"]',
    "where": 'not defined(properties["no such"])',
    "time_in_ms": "true",
    "distinct_id": "someone",
    "distinct_ids": '["someone"]',
    "data_group_id": "-1405123841946871899",
    "output_properties": '["$email"]',
    "session_id": "",
    "page": 0,
    "behaviors": "[]",
    "as_of_timestamp": 1_795_000_000,
    "filter_by_cohort": '{"id": 1000}',
    "include_all_users": "false",
}


def load(name: str) -> dict[str, Any]:
    """Return a specification, or skip where the file is not there."""
    path = SPECIFICATIONS / f"{name}.openapi.yaml"
    if not path.exists():
        pytest.skip(f"{path} is missing: set MIXPANEL_OPENAPI_DIR to Mixpanel's openapi directory")
    loaded: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return loaded


def parameters_of(specification: dict[str, Any], path: str, method: str) -> list[str]:
    """Return the names of the parameters of the query string and of the body."""
    operation = specification["paths"][path][method]
    shared = specification.get("components", {}).get("parameters", {})
    listed = [
        shared[one["$ref"].rsplit("/", 1)[1]] if "$ref" in one else one
        for one in operation.get("parameters", ())
    ]
    names = [one["name"] for one in listed if one["in"] == "query"]
    for content in operation.get("requestBody", {}).get("content", {}).values():
        names += content["schema"]["properties"]
    return names


def reply_of(specification: dict[str, Any], path: str, method: str) -> dict[str, Any]:
    """Return the content types of the reply with 200 and what each holds."""
    content: dict[str, Any]
    content = specification["paths"][path][method]["responses"]["200"]["content"]
    return content


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """Run a sandbox on a made-up project, without limits by time."""
    with Sandbox(
        made_up_project(last_day=date(2026, 11, 20), days=3),
        clock=TODAY.timestamp,
        exports_per_second=0,
    ) as running:
        yield running


def ask_profiles(sandbox: Sandbox, **params: object) -> Response:
    """Ask for profiles as the specification says: by POST."""
    return ask(sandbox, "/api/query/engage", params, method="POST")


def test_export_replies_as_specified(sandbox: Sandbox) -> None:
    """The content type is the specified one, every specified parameter is accepted."""
    specification = load("export")
    names = parameters_of(specification, "/export", "get")
    assert {"from_date", "to_date", "where", "time_in_ms"} <= set(names)
    everything = {name: VALUES[name] for name in names}
    for asked in [everything, {key: VALUES[key] for key in ("from_date", "to_date")}]:
        reply = ask(sandbox, "/api/2.0/export", asked)
        assert reply.status == 200
        assert reply.headers["Content-Type"] in reply_of(specification, "/export", "get")
        assert reply.body


def test_profiles_reply_as_specified(sandbox: Sandbox) -> None:
    """Every page fits the schema, with one deviation."""
    specification = load("query")
    content = reply_of(specification, "/engage", "post")
    schema = content["application/json"]["schema"]
    # the specification says integer; projects whose ids are text, nearly all, serve text
    profile = schema["properties"]["results"]["items"]["properties"]
    assert profile["$distinct_id"].pop("type") == "integer"
    first = ask_profiles(sandbox, page_size=100)
    session_id = first.json()["session_id"]
    last = ask_profiles(sandbox, page_size=100, session_id=session_id, page=1)
    for reply in (first, last):
        assert reply.status == 200
        assert reply.headers["Content-Type"] in content
        assert reply.json()["results"]
        jsonschema.validate(reply.json(), schema)
    assert first.json().keys() >= schema["properties"].keys()


def test_every_parameter_of_profiles_is_accepted(sandbox: Sandbox) -> None:
    """Each one alone, behaviors and cohort filters being exclusive."""
    names = parameters_of(load("query"), "/engage", "post")
    assert {"filter_by_cohort", "output_properties", "session_id"} <= set(names)
    for name in names:
        assert ask_profiles(sandbox, **{name: VALUES[name]}).status == 200, name


def test_cohorts_reply_as_specified(sandbox: Sandbox) -> None:
    """The list fits the schema and has every specified field."""
    specification = load("query")
    content = reply_of(specification, "/cohorts/list", "post")
    schema = content["application/json"]["schema"]
    names = parameters_of(specification, "/cohorts/list", "post")
    asked = {name: VALUES[name] for name in names}
    reply = ask(sandbox, "/api/query/cohorts/list", asked, method="POST")
    assert reply.status == 200
    assert reply.headers["Content-Type"] in content
    jsonschema.validate(reply.json(), schema)
    assert all(cohort.keys() >= schema["items"]["properties"].keys() for cohort in reply.json())
