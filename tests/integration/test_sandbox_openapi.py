"""Live replies of the sandbox, held against Mixpanel's official specifications.

The files are those of Mixpanel's documentation repository, under `openapi/`; they are looked for in
`MIXPANEL_OPENAPI_DIR`, else beside this repository.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timezone
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from mixpanel_sandbox import Sandbox, made_up_project
from tests.integration.sandbox_calls import Response, ask

jsonschema: Any = pytest.importorskip("jsonschema", reason="needs the package jsonschema")
yaml: Any = pytest.importorskip("yaml", reason="needs the package pyyaml")

BESIDE = Path(__file__).parents[2].parent / "shared" / "openapi"
SPECIFICATIONS = Path(os.environ.get("MIXPANEL_OPENAPI_DIR", BESIDE))
TODAY = datetime(2026, 11, 21, 12, tzinfo=timezone.utc)

# a value for each parameter the specifications name
VALUES: dict[str, object] = {
    "project_id": 1234567,
    "projectId": 1234567,
    "workspace_id": 1,
    "from_date": "2026-11-19",
    "to_date": "2026-11-20",
    "fromDate": "2026-11-01",
    "toDate": "2026-11-30",
    "limit": 10,
    "event": "Page Viewed",
    "born_event": "Signed up",
    "where": 'not defined(properties["no such"])',
    "born_where": 'not defined(properties["no such"])',
    "on": 'properties["$browser"]',
    "name": "$browser",
    "values": '["Chrome"]',
    "type": "general",
    "unit": "day",
    "addiction_unit": "hour",
    "interval": 2,
    "interval_count": 3,
    "length": 3,
    "unbounded_retention": "true",
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
    "funnel_id": 7509,
    "bookmark_id": 88001,
    "script": "function main() { return Events(params).groupBy(['name'], count()) }",
    "params": '{"from_date": "2026-11-19", "to_date": "2026-11-20"}',
    "annotationId": 640999,
    "entityType": "event",
    "entity_name": "Order Completed",
    "summary": "true",
    "status": "failed",
}
# where one name means another thing
VALUES_OF: dict[str, dict[str, object]] = {
    "list-recent-events": {"event": '["Page Viewed", "search"]'},
    "segmentation-numeric-query": {"on": 'properties["$screen_height"]'},
    "segmentation-sum-query": {"on": 'properties["$screen_height"]'},
    "segmentation-query-average": {"on": 'properties["$screen_height"]'},
    "raw-event-export": {"event": '["Page Viewed"]'},
    "list-schemas-by-entity-and-name": {"name": "Order Completed"},
    "get-warehouse-pipeline-status": {"name": "events-daily-bigquery-monoschema"},
    "list-warehouse-pipeline-sync-dates": {"name": "events-daily-bigquery-monoschema"},
}
# POST because what is asked is long; every other POST writes
READING_POSTS = {"cohorts-list", "engage-query", "query-jql"}
# the rest of what that host takes is what it is sent
OF_INGESTION = {"list-lookup-tables"}


@dataclass(frozen=True)
class Operation:
    """What one of the specifications says of one path and method."""

    specification: dict[str, Any]
    path: str
    method: str
    shared: tuple[dict[str, Any], ...]
    """Parameters of all methods of the path."""
    said: dict[str, Any]

    @property
    def name(self) -> str:
        """Its id in the specification."""
        return str(self.said["operationId"])

    @property
    def parameters(self) -> list[dict[str, Any]]:
        """All parameters: of the path, of the query string and of the body."""
        listed = [*self.shared, *self.said.get("parameters", ())]
        found: list[dict[str, Any]] = [resolve(self.specification, one) for one in listed]
        for content in self.said.get("requestBody", {}).get("content", {}).values():
            required = content["schema"].get("required", ())
            found += [
                {"name": name, "in": "body", "schema": schema, "required": name in required}
                for name, schema in content["schema"]["properties"].items()
            ]
        return found

    @property
    def replies(self) -> dict[str, Any]:
        """Content types of the reply with 200 and what is said of each."""
        content: dict[str, Any]
        content = resolve(self.specification, self.said["responses"]["200"])["content"]
        return content

    @property
    def schema(self) -> dict[str, Any] | None:
        """The schema of the reply in JSON; None where there is none."""
        schema = self.replies.get("application/json", {}).get("schema")
        if schema is None:
            return None
        whole = {**copy.deepcopy(schema), "components": self.specification.get("components", {})}
        if self.name in DEVIATIONS:
            DEVIATIONS[self.name](whole)
        return whole

    def value(self, name: str) -> object:
        """Return a value for a parameter."""
        return VALUES_OF.get(self.name, {}).get(name, VALUES[name])

    def ask(self, sandbox: Sandbox, **params: object) -> Response:
        """Ask with what is required, and more."""
        asked = {}
        path = self.specification["servers"][0]["url"].partition(".com")[2] + self.path
        for one in self.parameters:
            if one["in"] == "path":
                value = quote(str(self.value(one["name"])), safe="")
                path = path.replace("{" + one["name"] + "}", value)
            elif one.get("required"):
                asked[one["name"]] = self.value(one["name"])
        return ask(sandbox, path, {**asked, **params}, method=self.method.upper())


def load(name: str) -> dict[str, Any]:
    """Return a specification, or nothing where the file is not there."""
    path = SPECIFICATIONS / f"{name}.openapi.yaml"
    loaded: dict[str, Any] = yaml.safe_load(path.read_bytes()) if path.exists() else {"paths": {}}
    return loaded


def resolve(specification: dict[str, Any], said: dict[str, Any]) -> dict[str, Any]:
    """Return what is meant where it is said by reference."""
    for key in said.get("$ref", "#").split("/")[1:]:
        specification = specification[key]
    return specification if "$ref" in said else said


def read_operations(name: str) -> Iterator[Operation]:
    """Return all operations of a specification that change nothing."""
    specification = load(name)
    for path, said in specification["paths"].items():
        for method in {"get", "post"} & said.keys():
            shared = tuple(said.get("parameters", ()))
            operation = Operation(specification, path, method, shared, said[method])
            reads = method == "get" or operation.name in READING_POSTS
            if reads and (name != "ingestion" or operation.name in OF_INGESTION):
                yield operation


# where the sandbox follows what real replies were seen to be, against the specification


def allow_null_times(schema: dict[str, Any]) -> None:
    """The times of a step nobody took, and the first of a first step, are null."""
    steps = schema["properties"]["data"]["additionalProperties"]["properties"]["steps"]
    for name in ("avg_time", "avg_time_from_start"):
        assert steps["items"]["properties"][name].pop("type") == "integer"


def allow_text_ids(schema: dict[str, Any]) -> None:
    """Projects whose ids are text, nearly all, serve text."""
    profile = schema["properties"]["results"]["items"]["properties"]
    assert profile["$distinct_id"].pop("type") == "integer"


def allow_fractions(schema: dict[str, Any]) -> None:
    """A sum of prices is no integer."""
    schema["properties"]["results"]["additionalProperties"]["type"] = "number"


def allow_fractions_in_ranges(schema: dict[str, Any]) -> None:
    """Nor is an average of events by person."""
    by_range = schema["properties"]["data"]["properties"]["values"]["additionalProperties"]
    by_range["additionalProperties"]["type"] = "number"


def allow_project_ids(schema: dict[str, Any]) -> None:
    """Annotations say which project they are of."""
    schema["components"] = copy.deepcopy(schema["components"])
    entry = schema["components"]["schemas"]["AnnotationsEntry"]
    assert entry["additionalProperties"] is False
    entry["properties"]["project_id"] = {"type": "integer"}


def allow_counts(schema: dict[str, Any]) -> None:
    """With `summary` each state has a number instead of a list."""
    schema["components"] = copy.deepcopy(schema["components"])
    jobs = schema["components"]["schemas"]["PipelineStatusJobList"]
    jobs["type"] = ["array", "integer"]


DEVIATIONS: dict[str, Callable[[dict[str, Any]], None]] = {
    "funnels-query": allow_null_times,
    "engage-query": allow_text_ids,
    "segmentation-numeric-query": allow_fractions_in_ranges,
    "segmentation-sum-query": allow_fractions,
    "list-all-annotations-for-project": allow_project_ids,
    "get-annotation": allow_project_ids,
    "get-warehouse-pipeline-status": allow_counts,
}
# deeper by a level with `on`, which the specification does not say
NESTS_WITH_ON = {"funnels-query", "retention-query", "retention-frequency-query"}
FILES = ("query", "annotations", "lexicon-schemas", "data-pipelines", "ingestion", "export")
OPERATIONS = [one for name in FILES for one in read_operations(name)]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """Run a sandbox on a made-up project, without limits by time."""
    with Sandbox(
        made_up_project(last_day=date(2026, 11, 20), days=3),
        clock=TODAY.timestamp,
        exports_per_second=0,
        exports_per_hour=0,
        queries_per_hour=0,
        schemas_per_minute=0,
    ) as running:
        yield running


def test_all_specifications_are_here() -> None:
    """Every read operation of them is tried below."""
    if not SPECIFICATIONS.is_dir():
        pytest.skip("set MIXPANEL_OPENAPI_DIR to the openapi directory of Mixpanel's documentation")
    assert len(OPERATIONS) == 30


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: one.name)
def test_replies_are_as_specified(sandbox: Sandbox, operation: Operation) -> None:
    """Asked with what is required: status, content type, schema, and every field of it."""
    reply = operation.ask(sandbox)
    assert reply.status == 200, reply.body
    assert reply.headers["Content-Type"] in operation.replies
    assert reply.body not in {b"", b"[]", b"{}"} or operation.name == "retention-query"
    if operation.schema is not None:
        jsonschema.validate(reply.json(), operation.schema)
        if operation.schema.get("type") == "object" and operation.name != "retention-query":
            assert reply.json().keys() >= operation.schema.get("properties", {}).keys()


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: one.name)
def test_every_parameter_is_accepted(sandbox: Sandbox, operation: Operation) -> None:
    """Each one alone beside those required, with every value the specification lists."""
    for parameter in operation.parameters:
        name = parameter["name"]
        if parameter["in"] == "path":
            continue
        for value in parameter["schema"].get("enum") or [operation.value(name)]:
            reply = operation.ask(sandbox, **{name: value})
            assert reply.status == 200, (name, value, reply.body)
            if value == "csv":
                assert reply.headers["Content-Type"] == "text/csv"
            elif operation.schema and not (name == "on" and operation.name in NESTS_WITH_ON):
                jsonschema.validate(reply.json(), operation.schema)


@pytest.mark.parametrize(
    "operation", [one for one in OPERATIONS if one.name == "engage-query"], ids=lambda one: one.name
)
def test_later_pages_of_profiles_are_as_specified(sandbox: Sandbox, operation: Operation) -> None:
    """They lack the total, and nothing else."""
    session_id = operation.ask(sandbox, page_size=100).json()["session_id"]
    page = operation.ask(sandbox, page_size=100, session_id=session_id, page=1).json()
    assert operation.schema is not None
    jsonschema.validate(page, operation.schema)
    assert operation.schema["properties"].keys() - page.keys() == {"total", "page_size"}
    assert page["results"]
