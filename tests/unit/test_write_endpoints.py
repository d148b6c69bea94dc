"""The table of writing endpoints, against Mixpanel's specifications."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from mixpanel_destination.endpoints import (
    ENDPOINTS,
    WriteEndpoint,
    endpoint,
    find_endpoints,
)
from mixpanel_destination.pipeline_fields import PIPELINE_EDIT_FIELDS, PIPELINE_FIELDS
from tests.support.openapi import load_specification

SPECIFICATIONS = (
    "annotations",
    "data-pipelines",
    "gdpr",
    "identity",
    "ingestion",
    "lexicon-schemas",
)
SCOPE = {"project_id"}
SCHEMES = {
    "ServiceAccount": "service account",
    "ProjectSecret": "service account",
    "OAuthToken": "OAuth token",
}
DEVIATIONS = {
    # for a whole entity type; the specification shares it with the listing
    "delete-schemas-for-entity": {"entity_name"},
}


class Operation(NamedTuple):
    """A writing operation of a specification."""

    name: str
    method: str
    path: str
    host: str
    required: set[str]
    optional: set[str]
    schemes: set[str]
    media_type: str
    fields: set[str]


def resolve(specification: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    """Return a node without its reference."""
    found: Any = specification
    for key in node.get("$ref", "#").split("/")[1:]:
        found = found[key]
    return found if "$ref" in node else node


def read_fields(specification: dict[str, Any], schema: dict[str, Any]) -> tuple[set[str], set[str]]:
    """Return all fields and the required fields of a schema."""
    schema = resolve(specification, schema)
    fields, required = set(schema.get("properties", ())), set(schema.get("required", ()))
    for part in schema.get("allOf", ()):
        more = read_fields(specification, part)
        fields, required = fields | more[0], required | more[1]
    return fields, required


def host_of(server: dict[str, Any]) -> str:
    """Return our name of a host."""
    (variable,) = server["variables"].values()
    return {"api": "ingestion", "data": "export", "mixpanel": "query"}[variable["enum"][0]]


def read_operations(name: str) -> Iterator[Operation]:
    """Yield the writing operations of a specification."""
    specification = load_specification(name)
    server = specification["servers"][0]
    base = re.sub(r"^https://[^/]*", "", server["url"])
    for path, methods in specification["paths"].items():
        for method in methods.keys() - {"get", "parameters"}:
            operation = methods[method]
            listed = [*methods.get("parameters", ()), *operation.get("parameters", ())]
            given = [resolve(specification, parameter) for parameter in listed]
            query = [one for one in given if one["in"] == "query" and one["name"] not in SCOPE]
            required = {one["name"] for one in query if one.get("required")}
            content = operation.get("requestBody", {}).get("content", {})
            media_type, body = next(iter(content.items()), ("", {"schema": {}}))
            security = operation.get("security", specification.get("security", ()))
            yield Operation(
                operation["operationId"],
                method.upper(),
                base + path.partition("#")[0],
                host_of(server),
                required,
                {one["name"] for one in query} - required,
                {scheme for schemes in security for scheme in schemes},
                media_type,
                read_fields(specification, body["schema"])[0] - SCOPE,
            )


OPERATIONS = {
    operation.name: operation for name in SPECIFICATIONS for operation in read_operations(name)
}


def pattern_of(path: str) -> str:
    """Return a path without the names of its parameters."""
    return re.sub(r"\{\w+\}", "{}", path)


def test_every_writing_operation_is_in_the_table() -> None:
    """And nothing else is; names are unique."""
    assert sorted(OPERATIONS) == sorted(known.name for known in ENDPOINTS)
    assert len(OPERATIONS) == 39


@pytest.mark.parametrize("known", ENDPOINTS, ids=lambda known: known.name)
def test_endpoints_are_as_specified(known: WriteEndpoint) -> None:
    """Method, path, host, parameters and what authorises them."""
    specified = OPERATIONS[known.name]
    assert (known.method, pattern_of(known.path), known.host) == (
        specified.method,
        pattern_of(specified.path),
        specified.host,
    )
    assert set(known.required) == specified.required
    deviations = DEVIATIONS.get(known.name, set())
    assert set(known.optional) ^ specified.optional == deviations
    accounts = {SCHEMES[scheme] for scheme in specified.schemes} or {"token"}
    assert known.account in accounts
    assert endpoint(known.name) is known


@pytest.mark.parametrize("known", ENDPOINTS, ids=lambda known: known.name)
def test_bodies_are_as_specified(known: WriteEndpoint) -> None:
    """Their media type and fields; of an update, the operation."""
    specified = OPERATIONS[known.name]
    media_types = {
        "csv": "text/csv",
        "form": "application/x-www-form-urlencoded",
        "nothing": "",
    }
    assert specified.media_type == media_types.get(known.sends, "application/json")
    if known.sends in {"json", "form"} and known.fields:
        assert set(known.fields) == specified.fields
    if known.sends == "updates" and known.fields:
        assert known.fields[0] in update_fields(known)


def update_fields(known: WriteEndpoint) -> set[str]:
    """Return the fields of an update in the specification."""
    for path, methods in load_specification("ingestion")["paths"].items():
        if methods.get("post", {}).get("operationId") == known.name:
            assert path.startswith(f"{known.path}#")
            body = methods["post"]["requestBody"]["content"]["application/json"]["schema"]
            return set(body["items"]["properties"])
    raise AssertionError(known.name)


def test_fields_of_pipelines_are_as_specified() -> None:
    """For every kind: all fields, and which of them are required."""
    specification = load_specification("data-pipelines")
    (create,) = specification["paths"]["/nessie/pipeline/create"]["post"]["requestBody"][
        "content"
    ].values()
    mapping = create["schema"]["discriminator"]["mapping"]
    assert mapping.keys() == PIPELINE_FIELDS.keys()
    for kind, reference in mapping.items():
        fields, required = read_fields(specification, {"$ref": reference})
        known = PIPELINE_FIELDS[kind]
        assert {*known.required, "type"} == required
        assert {*known.required, *known.optional, "type"} == fields - SCOPE
    (edit,) = specification["paths"]["/nessie/pipeline/edit"]["post"]["requestBody"][
        "content"
    ].values()
    editable = [read_fields(specification, one)[0] for one in edit["schema"]["oneOf"]]
    assert {*PIPELINE_EDIT_FIELDS, "name"} == set().union(*editable) - SCOPE


def test_endpoints_are_found_by_path() -> None:
    """A path may belong to several, because the body decides."""
    names = {known.name for known in find_endpoints("POST", "/import")}
    assert names == {"import-events", "identity-merge"}
    path = "/api/app/projects/12/annotations/34"
    assert [known.name for known in find_endpoints("DELETE", path)] == ["delete-annotation"]
    template = "/api/app/projects/{project_id}/schemas"
    found = [known.destroys for known in find_endpoints("DELETE", template)]
    assert found == ["the whole Lexicon"]
    assert find_endpoints("POST", "/api/app/projects/x/schemas") == []
