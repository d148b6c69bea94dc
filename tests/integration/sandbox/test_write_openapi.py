"""Replies of the sandbox's writing endpoints, validated against Mixpanel's specifications."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from datetime import date
from typing import Any, NamedTuple
from urllib.parse import urlencode

import jsonschema
import pytest

from mixpanel_sandbox import OAUTH_TOKEN, PROJECT_ID, Project, Sandbox, made_up_project
from tests.support.clock import NOON, Clock
from tests.support.openapi import load_specification
from tests.support.sandbox_calls import send

FILES = ("annotations", "data-pipelines", "gdpr", "identity", "ingestion", "lexicon-schemas")
TOKEN = Project().token
ENTRY = {"entityType": "event", "name": "A", "schemaJson": {"description": "a"}}
NOTE = {"date": "2026-11-02 12:00:00", "description": "x", "tags": [7]}
EVENT = {"event": "A", "properties": {"time": int(NOON), "distinct_id": "u", "$insert_id": "i"}}
MERGE = {"event": "$merge", "properties": {"$distinct_ids": ["a", "b"]}}
IDENTIFY = {"event": "$identify", "properties": {"token": TOKEN, "$anon_id": "a"}}
PATHS = {
    "{projectId}": str(PROJECT_ID),
    "{annotationId}": "640999",
    "{entityType}": "event",
    "{name}": "Product%20Viewed",
    "{id}": "0a7f1d1c-5a3e-4f0e-9a65-1a3b5c7d9e01",
    "{tracking_id}": "job-1",
}
FORMS: dict[str, dict[str, str]] = {
    "create-warehouse-pipeline": {"type": "gcs-raw", "from_date": "2026-11-01"},
    **{
        f"{action}-warehouse-pipeline": {"name": "events-daily-bigquery-monoschema"}
        for action in ("edit", "pause", "resume", "cancel")
    },
    "create-identity": {"data": json.dumps(IDENTIFY)},
    "identity-create-alias": {"data": json.dumps({**IDENTIFY, "event": "$create_alias"})},
}
BODIES: dict[str, Any] = {
    "create-annotation": NOTE,
    "patch-annotation": {"description": "y"},
    "create-annotation-tag": {"name": "sale"},
    "create-retrieval": {"distinct_ids": ["u"]},
    "create-deletion": {"distinct_ids": ["u"]},
    "import-events": [EVENT],
    "identity-merge": [MERGE],
    "track-event": [{**EVENT, "properties": {**EVENT["properties"], "token": TOKEN}}],  # type: ignore[dict-item]
    "upload-schemas-for-project": {"entries": [ENTRY]},
    "upload-schema-by-entity-and-name": ENTRY["schemaJson"],
}
ARGUMENTS: dict[str, Any] = {
    "$add": {"a": 1},
    "$union": {"a": [1]},
    "$unset": ["a"],
    "$delete": "",
    "$ignore_alias": False,
}
"""Arguments of the operations that take no values of any type."""


class Operation(NamedTuple):
    """A writing operation."""

    name: str
    method: str
    path: str
    parameters: list[dict[str, Any]]
    responses: dict[str, Any]
    specification: dict[str, Any]
    items: dict[str, Any]
    """Properties of the items of the body, if it is an array."""


def resolve(specification: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    """Return a node without its reference."""
    found: Any = specification
    for key in node.get("$ref", "#").split("/")[1:]:
        found = found[key]
    return found if "$ref" in node else node


def read_operations() -> Iterator[Operation]:
    """Yield all writing operations."""
    for name in FILES:
        specification = load_specification(name)
        base = specification["servers"][0]["url"].partition(".com")[2]
        for path, methods in specification["paths"].items():
            for method in methods.keys() - {"get", "parameters"}:
                details = methods[method]
                listed = [*methods.get("parameters", ()), *details.get("parameters", ())]
                content = details.get("requestBody", {}).get("content", {})
                schema = content.get("application/json", {}).get("schema", {})
                yield Operation(
                    details["operationId"],
                    method.upper(),
                    base + path.partition("#")[0],
                    [resolve(specification, parameter) for parameter in listed],
                    details["responses"],
                    specification,
                    schema.get("items", {}).get("properties", {}),
                )


OPERATIONS = sorted(read_operations(), key=lambda operation: operation.name)


@pytest.fixture
def project() -> Project:
    """A made-up project with a deletion of persons under way."""
    project = made_up_project(last_day=date(2026, 11, 20), days=1)
    project.identity = "original"
    project.gdpr_jobs["job-1"] = {"kind": "deletion", "status": "PENDING", "due_s": NOON + 60}
    return project


@pytest.fixture
def sandbox_clock() -> Clock:
    """Clock at noon of the next day."""
    return Clock()


def body_of(operation: Operation) -> tuple[str | None, str]:
    """Return a valid body and its media type."""
    if operation.name in FORMS:
        return urlencode(FORMS[operation.name]), "application/x-www-form-urlencoded"
    if operation.name == "replace-lookup-table":
        return "id,name\n1,a\n", "text/csv"
    if operation.path in {"/engage", "/groups"}:
        ids = {"$token": TOKEN, "$distinct_id": "u", "$group_key": "company", "$group_id": "g"}
        # batches are described as text, with any operation in them
        fields = operation.items or {"$set": {}}
        operations = {name: ARGUMENTS.get(name, {"a": 1}) for name in {*fields} - {*ids}}
        return json.dumps([{**ids, **operations}]), "application/json"
    value = BODIES.get(operation.name)
    return (None if value is None else json.dumps(value)), "application/json"


def send_valid(sandbox: Sandbox, operation: Operation, **params: object) -> Any:
    """Send a valid request with the required parameters and `params`."""
    path = operation.path
    for placeholder, value in PATHS.items():
        path = path.replace(placeholder, value)
    known = {"project_id": PROJECT_ID, "strict": 1, "token": TOKEN}
    required = {
        one["name"]: known[one["name"]]
        for one in operation.parameters
        if one["in"] == "query" and one.get("required")
    }
    body, media_type = body_of(operation)
    is_about_persons = "/data-" in operation.path
    bearer = {"Authorization": f"Bearer {OAUTH_TOKEN}"} if is_about_persons else {}
    headers = {"Content-Type": media_type, **bearer}
    given = {**required, **params}
    return send(sandbox, path, given, method=operation.method, body=body, headers=headers)


def test_all_writing_operations_are_found() -> None:
    """Each is tested below."""
    assert len(OPERATIONS) == 39


def complete_schema(operation: Operation, schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema with what it refers to; annotations have their project id, too."""
    components = copy.deepcopy(operation.specification.get("components", {}))
    if "AnnotationsEntry" in components.get("schemas", {}):
        entry = components["schemas"]["AnnotationsEntry"]
        entry["properties"]["project_id"] = {"type": "integer"}
    return {**schema, "components": components}


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_replies_are_as_specified(sandbox: Sandbox, operation: Operation) -> None:
    """Status, content type and schema of the reply to a valid request."""
    response = send_valid(sandbox, operation)
    assert str(response.status) in operation.responses, response.body
    assert 200 <= response.status < 300, response.body
    described = resolve(operation.specification, operation.responses[str(response.status)])
    content = described.get("content", {})
    schema = content.get("application/json", {}).get("schema")
    if schema is not None:
        jsonschema.validate(response.json(), complete_schema(operation, schema))
    elif "application/json" in content:
        assert response.json()
    elif "text/plain" in content:
        assert response.body == b"1"
    else:
        assert response.body == b""


@pytest.mark.parametrize(
    "operation",
    [one for one in OPERATIONS if one.path in {"/track", "/engage", "/groups"}],
    ids=lambda operation: operation.name,
)
def test_every_parameter_is_accepted(sandbox: Sandbox, operation: Operation) -> None:
    """Beside the required ones; with `verbose` the reply is an object."""
    for parameter in operation.parameters:
        if parameter["in"] != "query":
            continue
        response = send_valid(sandbox, operation, **{parameter["name"]: 1})
        assert response.status == 200
        expected = {"error": None, "status": 1} if parameter["name"] == "verbose" else 1
        if parameter["name"] not in {"img", "callback"}:
            assert response.json() == expected
