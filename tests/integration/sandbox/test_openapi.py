"""Responses of the sandbox, validated against Mixpanel's OpenAPI specifications."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any
from urllib.parse import quote

import jsonschema
import pytest

from mixpanel_sandbox import Project, Sandbox, made_up_project
from tests.support.clock import Clock
from tests.support.openapi import load_specification
from tests.support.sandbox_calls import Response, send

# parameter -> test value
VALUES: dict[str, object] = {
    "project_id": 1234567,
    "projectId": 1234567,
    "workspace_id": 3448413,
    "flag_id": "8a1e6b0c-54c5-4a5e-9a41-6f0f2f6f8d11",
    "include_archived": "true",
    "experiment_id": "c7d5d0ce-7c5e-4a0a-9d0b-2f3f1a6b9e33",
    "organizationId": 100,
    "serviceAccountId": 901,
    "importId": 5501,
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
# operation -> test values of parameters with another meaning
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
# operations with POST that read; all others write
READING_POSTS = {"cohorts-list", "engage-query", "query-jql"}
# the only operation of that host that reads
INGESTION_OPERATIONS = {"list-lookup-tables"}


@dataclass(frozen=True)
class Operation:
    """An operation of a specification: a path and a method."""

    specification: dict[str, Any]
    path: str
    method: str
    path_parameters: tuple[dict[str, Any], ...]
    """Parameters that all methods of the path share."""
    details: dict[str, Any]

    @property
    def name(self) -> str:
        """The operation id."""
        return str(self.details["operationId"])

    @property
    def parameters(self) -> list[dict[str, Any]]:
        """All parameters: in the path, the query string and the body."""
        listed = [*self.path_parameters, *self.details.get("parameters", ())]
        parameters = [resolve(self.specification, parameter) for parameter in listed]
        for content in self.details.get("requestBody", {}).get("content", {}).values():
            required = content["schema"].get("required", ())
            parameters += [
                {"name": name, "in": "body", "schema": schema, "required": name in required}
                for name, schema in content["schema"]["properties"].items()
            ]
        return parameters

    @property
    def responses(self) -> dict[str, Any]:
        """Content type -> description of the response with status 200."""
        content: dict[str, Any]
        content = resolve(self.specification, self.details["responses"]["200"])["content"]
        return content

    @property
    def schema(self) -> dict[str, Any] | None:
        """The schema of the JSON response, if there is one."""
        schema = self.responses.get("application/json", {}).get("schema")
        if schema is None:
            return None
        complete = {**copy.deepcopy(schema), "components": self.specification.get("components", {})}
        if self.name in DEVIATIONS:
            DEVIATIONS[self.name](complete)
        return complete

    def value(self, name: str) -> object:
        """Return the test value of a parameter."""
        return VALUES_OF.get(self.name, {}).get(name, VALUES[name])

    def send(self, sandbox: Sandbox, **params: object) -> Response:
        """Send a request with the required parameters and `params`."""
        required = {}
        path = self.specification["servers"][0]["url"].partition(".com")[2] + self.path
        for parameter in self.parameters:
            if parameter["in"] == "path":
                value = quote(str(self.value(parameter["name"])), safe="")
                path = path.replace("{" + parameter["name"] + "}", value)
            elif parameter.get("required"):
                required[parameter["name"]] = self.value(parameter["name"])
        return send(sandbox, path, {**required, **params}, method=self.method.upper())


def resolve(specification: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    """Return a node with its reference resolved."""
    for key in node.get("$ref", "#").split("/")[1:]:
        specification = specification[key]
    return specification if "$ref" in node else node


def read_operations(name: str) -> Iterator[Operation]:
    """Yield the read-only operations of a specification."""
    specification = load_specification(name)
    for path, methods in specification["paths"].items():
        for method in {"get", "post"} & methods.keys():
            shared = tuple(methods.get("parameters", ()))
            operation = Operation(specification, path, method, shared, methods[method])
            reads = method == "get" or operation.name in READING_POSTS
            if reads and (name != "ingestion" or operation.name in INGESTION_OPERATIONS):
                yield operation


# deviations from the specification that were observed in real responses


def allow_null_times(schema: dict[str, Any]) -> None:
    """Times are null for the first step and for steps without users."""
    steps = schema["properties"]["data"]["additionalProperties"]["properties"]["steps"]
    for name in ("avg_time", "avg_time_from_start"):
        assert steps["items"]["properties"][name].pop("type") == "integer"


def allow_text_ids(schema: dict[str, Any]) -> None:
    """Distinct ids are strings in nearly all projects."""
    profile = schema["properties"]["results"]["items"]["properties"]
    assert profile["$distinct_id"].pop("type") == "integer"


def allow_fractions(schema: dict[str, Any]) -> None:
    """Sums may be fractions."""
    schema["properties"]["results"]["additionalProperties"]["type"] = "number"


def allow_fractions_in_ranges(schema: dict[str, Any]) -> None:
    """The average number of events per user may be a fraction."""
    by_range = schema["properties"]["data"]["properties"]["values"]["additionalProperties"]
    by_range["additionalProperties"]["type"] = "number"


def allow_project_ids(schema: dict[str, Any]) -> None:
    """Annotations have their project id."""
    schema["components"] = copy.deepcopy(schema["components"])
    entry = schema["components"]["schemas"]["AnnotationsEntry"]
    assert entry["additionalProperties"] is False
    entry["properties"]["project_id"] = {"type": "integer"}


def allow_counts(schema: dict[str, Any]) -> None:
    """With `summary`, states have a number instead of a list."""
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
# `on` adds a level of nesting that the specification does not have
NESTS_WITH_ON = {"funnels-query", "retention-query", "retention-frequency-query"}
FILES = (
    *("query", "annotations", "lexicon-schemas", "data-pipelines", "ingestion", "export"),
    *("feature-flags-management", "experiments", "service-accounts", "warehouse-connectors"),
)
OPERATIONS = [operation for name in FILES for operation in read_operations(name)]


@pytest.fixture(scope="module")
def project() -> Project:
    """A made-up project, which no test changes."""
    return made_up_project(last_day=date(2026, 11, 20), days=3)


@pytest.fixture
def sandbox_clock() -> Clock:
    """Clock at noon of the day after the last events."""
    return Clock()


def test_read_operations_are_found() -> None:
    """All read operations of the specifications are tested below."""
    assert len(OPERATIONS) == 40


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_responses_are_as_specified(sandbox: Sandbox, operation: Operation) -> None:
    """With the required parameters: status, content type, and a schema with all its fields."""
    response = operation.send(sandbox)
    assert response.status == 200, response.body
    assert response.headers["Content-Type"] in operation.responses
    assert response.body not in {b"", b"[]", b"{}"} or operation.name == "retention-query"
    if operation.schema is not None:
        jsonschema.validate(response.json(), operation.schema)
        if operation.schema.get("type") == "object" and operation.name != "retention-query":
            assert response.json().keys() >= operation.schema.get("properties", {}).keys()


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_every_parameter_is_accepted(sandbox: Sandbox, operation: Operation) -> None:
    """Each is accepted beside the required ones, with every value the specification lists."""
    for parameter in operation.parameters:
        name = parameter["name"]
        if parameter["in"] == "path":
            continue
        for value in parameter["schema"].get("enum") or [operation.value(name)]:
            response = operation.send(sandbox, **{name: value})
            assert response.status == 200, (name, value, response.body)
            if value == "csv":
                assert response.headers["Content-Type"] == "text/csv"
            elif operation.schema and not (name == "on" and operation.name in NESTS_WITH_ON):
                jsonschema.validate(response.json(), operation.schema)


@pytest.mark.parametrize(
    "operation",
    [operation for operation in OPERATIONS if operation.name == "engage-query"],
    ids=lambda operation: operation.name,
)
def test_later_pages_of_profiles_are_as_specified(sandbox: Sandbox, operation: Operation) -> None:
    """They have all fields except `total` and `page_size`."""
    session_id = operation.send(sandbox, page_size=100).json()["session_id"]
    page = operation.send(sandbox, page_size=100, session_id=session_id, page=1).json()
    assert operation.schema is not None
    jsonschema.validate(page, operation.schema)
    assert operation.schema["properties"].keys() - page.keys() == {"total", "page_size"}
    assert page["results"]
