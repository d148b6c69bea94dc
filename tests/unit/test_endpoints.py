"""The table of endpoints: it is what Mixpanel's specifications say, and lets nothing be changed."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from mixpanel_source import constants
from mixpanel_source.catalog.endpoints import ENDPOINTS, QUOTAS, Endpoint, endpoint
from mixpanel_source.catalog.lookup import find_endpoint
from mixpanel_source.catalog.tables import TABLE_NAMES
from mixpanel_source.errors import ConfigError

BESIDE = Path(__file__).parents[2].parent / "shared" / "openapi"
SPECIFICATIONS = Path(os.environ.get("MIXPANEL_OPENAPI_DIR", BESIDE))
NAMES = ("query", "export", "annotations", "lexicon-schemas", "data-pipelines")
SCOPE = {"project_id", "workspace_id"}
"""Parameters that every request has, or may have."""

DEVIATIONS = {
    # the specification requires the days and has a number of days besides; its page says either
    **{name: {"from_date", "to_date"} for name in ("event_counts", "event_properties")},
    # in use by Mixpanel's own clients
    "engage": {"page_size"},
    "annotations": {"tags"},
}
"""Endpoint -> parameters that the specification does not have, or otherwise, on purpose."""


class Operation(NamedTuple):
    """A request that only reads, as a specification has it."""

    method: str
    path: str
    host: str
    required: set[str]
    optional: set[str]


def read_operations(name: str) -> Iterator[Operation]:
    """The operations of a specification that only read, or skip where the file is not there."""
    yaml: Any = pytest.importorskip("yaml", reason="needs the package pyyaml")
    path = SPECIFICATIONS / f"{name}.openapi.yaml"
    if not path.exists():
        pytest.skip(f"{path} is missing: set MIXPANEL_OPENAPI_DIR to Mixpanel's openapi directory")
    specification = yaml.safe_load(path.read_text(encoding="utf-8"))
    server = specification["servers"][0]
    host = "export" if "data" in server["variables"].get("server", {}).get("enum", ()) else "query"
    base = re.sub(r"^https://[^/]*", "", server["url"])
    shared = specification.get("components", {}).get("parameters", {})
    for below, methods in specification["paths"].items():
        for method, operation in methods.items():
            if method == "get" or (method == "post" and name == "query"):
                listed = [*methods.get("parameters", ()), *operation.get("parameters", ())]
                required, optional = parameters_of({**operation, "parameters": listed}, shared)
                yield Operation(method.upper(), base + below, host, required, optional)


def parameters_of(operation: dict[str, Any], shared: dict[str, Any]) -> tuple[set[str], set[str]]:
    """The parameters of the query string and the form: the required ones, the others."""
    required: dict[str, bool] = {}
    for one in operation["parameters"]:
        parameter = shared[one["$ref"].rsplit("/", 1)[1]] if "$ref" in one else one
        if parameter["in"] == "query" and parameter["name"] not in SCOPE:
            required[parameter["name"]] = parameter.get("required", False)
    for content in operation.get("requestBody", {}).get("content", {}).values():
        needed = content["schema"].get("required", ())
        required |= {name: name in needed for name in content["schema"]["properties"]}
    names = {name for name, is_required in required.items() if is_required}
    return names, set(required) - names


def as_pattern(path: str) -> str:
    """A path whatever the names of its parts are."""
    return re.sub(r"\{\w+\}", "{}", path)


BY_PATH = {(one.method, as_pattern(one.path)): one for one in ENDPOINTS}


@pytest.mark.parametrize("name", NAMES)
def test_every_operation_that_reads_is_in_the_table(name: str) -> None:
    """Each path and method of the specification is an endpoint, at the host it says."""
    operations = [*read_operations(name)]
    assert operations
    asked = {(one.method, as_pattern(one.path)): one.host for one in operations}
    assert set(asked) - set(BY_PATH) == set()
    assert asked == {address: BY_PATH[address].host for address in asked}


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_is_in_the_table(name: str) -> None:
    """Required are those that the specification requires, and there are no others than it has."""
    wrong = []
    for operation in read_operations(name):
        one = BY_PATH[operation.method, as_pattern(operation.path)]
        known = DEVIATIONS.get(one.name, set())
        required = {*one.required} ^ operation.required
        all_there_are = {*one.params} ^ (operation.required | operation.optional)
        wrong += [(one.name, parameter) for parameter in (required | all_there_are) - known]
    assert wrong == []


def test_table_is_consistent() -> None:
    """Names and addresses are unique, quotas and hosts are known, every table has its endpoint."""
    assert len({one.name for one in ENDPOINTS}) == len(ENDPOINTS) == len(BY_PATH)
    for one in ENDPOINTS:
        assert endpoint(one.name) is one
        assert one.quota in (*QUOTAS, None)
        assert one.host in constants.Hosts._fields
        assert one.source.startswith("https://developer.mixpanel.com/reference/")
        assert not {*one.required} & {*one.optional}
    beside = {"cohort_members", "groups"}  # these ask the endpoint of profiles
    assert set(TABLE_NAMES) - beside <= {one.name for one in ENDPOINTS}


@pytest.mark.parametrize(
    ("method", "path", "name", "quota"),
    [
        ("GET", "/api/2.0/export", "export", "export"),
        ("get", "/api/2.0/export/", "export", "export"),
        ("POST", "/api/query/engage", "engage", "query"),
        ("GET", "/api/2.0/engage", "engage", "query"),
        ("GET", "/api/2.0/events/names", "event_names", "query"),
        ("POST", "/api/query/jql", "jql", "query"),
        ("GET", "/api/app/projects/{project_id}/annotations", "annotations", None),
        ("GET", "/api/app/projects/12/annotations/34", "annotation", None),
        ("GET", "/api/app/projects/12/annotations/tags", "annotation_tags", None),
        ("GET", "/api/2.0/nessie/pipeline/jobs", "data_pipelines", None),
        ("GET", "/lookup-tables", "lookup_tables", None),
    ],
)
def test_known_endpoints_are_found(method: str, path: str, name: str, quota: str | None) -> None:
    """Whatever it is called, by its old address too; the path stays as it was written."""
    found = find_endpoint(method, path)
    assert (found.name, found.quota) == (name, quota)
    assert found.host == endpoint(name).host
    assert (found.method, found.path) == (method.upper(), path.rstrip("/"))


@pytest.mark.parametrize(
    ("path", "host", "quota"),
    [
        ("/api/query/arb_funnels", "query", "query"),
        ("/api/2.0/metrics/list", "query", "query"),
        ("/api/query/custom_events", "query", None),
        ("/api/2.0/annotations", "query", None),
        ("/api/app/projects/{project_id}/bookmarks", "query", None),
        ("/api/2.0/nessie/else", "export", None),
    ],
)
def test_others_are_read_by_get(path: str, host: str, quota: str | None) -> None:
    """What is not in the table is asked at the host, and counted as the path says."""
    found = find_endpoint("GET", path)
    assert found == Endpoint("request", path, "overview", host=host, quota=quota)
    with pytest.raises(ConfigError, match=r"must be read by GET: requests that might change"):
        find_endpoint("POST", path)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/2.0/export"),
        ("DELETE", "/api/app/projects/{project_id}/annotations/1"),
        ("POST", "/api/app/projects/{project_id}/annotations"),
        ("PATCH", "/api/app/projects/{project_id}/schemas"),
        ("POST", "/api/2.0/nessie/pipeline/create"),
        ("PUT", "/lookup-tables/1"),
        ("PUT", "/api/query/engage"),
        ("POST", "/api/query/engage/../../app/projects/1/annotations"),
    ],
)
def test_what_might_change_something_is_refused(method: str, path: str) -> None:
    """Only GET, and POST where the API reads by it."""
    with pytest.raises(ConfigError, match=f"method is {method}; .* must be read by (GET|POST)"):
        find_endpoint(method, path)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "api/query/engage",
        "/track",
        "https://mixpanel.com/api/query/engage",
        "/api/query/events?type=general",
        "/api/app/projects/{id}/schemas",
        "/api/query/a b",
        "/api/query#x",
    ],
)
def test_other_paths_are_refused(path: str) -> None:
    """Only paths of the API, without parameters, and nothing to be filled in but the project."""
    with pytest.raises(ConfigError, match=r"path is .* must be one of Mixpanel's API"):
        find_endpoint("GET", path)
