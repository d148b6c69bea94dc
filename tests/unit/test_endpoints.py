"""The endpoint catalog: it matches Mixpanel's specifications and allows read requests only."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from mixpanel_source import constants
from mixpanel_source.catalog.endpoint import Endpoint
from mixpanel_source.catalog.endpoints import ENDPOINTS, QUOTAS, endpoint
from mixpanel_source.catalog.lookup import find_endpoint
from mixpanel_source.catalog.tables import TABLE_NAMES
from mixpanel_source.errors import ConfigError
from tests.support.openapi import load_specification

SPECIFICATIONS = (
    "query",
    "export",
    "annotations",
    "lexicon-schemas",
    "data-pipelines",
    "feature-flags-management",
    "experiments",
    "service-accounts",
    "warehouse-connectors",
    "gdpr",
)
SCOPE = {"project_id", "workspace_id"}
"""Parameters that every request accepts."""

DEVIATIONS = {
    # required in the specification; its reference page accepts a number of days instead
    **{name: {"from_date", "to_date"} for name in ("event_counts", "event_properties")},
    # sent by Mixpanel's own clients
    "engage": {"page_size"},
    "annotations": {"tags"},
}
"""Endpoint -> parameters that differ from the specification on purpose."""


class Operation(NamedTuple):
    """A read operation of a specification."""

    method: str
    path: str
    host: str
    required: set[str]
    optional: set[str]


def read_operations(name: str) -> Iterator[Operation]:
    """Yield the read operations of a specification."""
    specification = load_specification(name)
    server = specification["servers"][0]
    host = "export" if "data" in server["variables"].get("server", {}).get("enum", ()) else "query"
    base = re.sub(r"^https://[^/]*", "", server["url"])
    shared = specification.get("components", {}).get("parameters", {})
    for suffix, methods in specification["paths"].items():
        for method, operation in methods.items():
            if method == "get" or (method == "post" and name == "query"):
                listed = [*methods.get("parameters", ()), *operation.get("parameters", ())]
                required, optional = parameters_of({**operation, "parameters": listed}, shared)
                yield Operation(method.upper(), base + suffix, host, required, optional)


def parameters_of(operation: dict[str, Any], shared: dict[str, Any]) -> tuple[set[str], set[str]]:
    """Return the required and the optional parameters in the query string and the form."""
    required: dict[str, bool] = {}
    for listed in operation["parameters"]:
        parameter = shared[listed["$ref"].rsplit("/", 1)[1]] if "$ref" in listed else listed
        if parameter["in"] == "query" and parameter["name"] not in SCOPE:
            required[parameter["name"]] = parameter.get("required", False)
    for content in operation.get("requestBody", {}).get("content", {}).values():
        required_names = content["schema"].get("required", ())
        required |= {name: name in required_names for name in content["schema"]["properties"]}
    names = {name for name, is_required in required.items() if is_required}
    return names, set(required) - names


def as_pattern(path: str) -> str:
    """Return a path without the names of its parameters."""
    return re.sub(r"\{\w+\}", "{}", path)


BY_PATH = {(known.method, as_pattern(known.path)): known for known in ENDPOINTS}


@pytest.mark.parametrize("specification", SPECIFICATIONS)
def test_every_read_operation_is_in_the_catalog(specification: str) -> None:
    """Each path and method of the specification is an endpoint with the same host."""
    operations = [*read_operations(specification)]
    assert operations
    hosts = {(found.method, as_pattern(found.path)): found.host for found in operations}
    assert set(hosts) - set(BY_PATH) == set()
    assert hosts == {address: BY_PATH[address].host for address in hosts}


@pytest.mark.parametrize("specification", SPECIFICATIONS)
def test_every_parameter_is_in_the_catalog(specification: str) -> None:
    """The catalog has exactly the parameters of the specification, and the same are required."""
    wrong = []
    for operation in read_operations(specification):
        known = BY_PATH[operation.method, as_pattern(operation.path)]
        deviations = DEVIATIONS.get(known.name, set())
        required = {*known.required} ^ operation.required
        all_params = {*known.params} ^ (operation.required | operation.optional)
        wrong += [(known.name, parameter) for parameter in (required | all_params) - deviations]
    assert wrong == []


def test_catalog_is_consistent() -> None:
    """Names and addresses are unique, quotas and hosts exist, every table has its endpoint."""
    assert len({known.name for known in ENDPOINTS}) == len(ENDPOINTS) == len(BY_PATH)
    for known in ENDPOINTS:
        assert endpoint(known.name) is known
        assert known.quota in (*QUOTAS, None)
        assert known.host in constants.Hosts._fields
        assert known.source.startswith("https://developer.mixpanel.com/reference/")
        assert not {*known.required} & {*known.optional}
    # these query the endpoints of profiles, of the account and of events
    from_others = {"cohort_members", "groups", "workspaces", "custom_events"}
    assert set(TABLE_NAMES) - from_others <= {known.name for known in ENDPOINTS}


@pytest.mark.parametrize(
    ("method", "path", "name", "quota"),
    [
        ("GET", "/api/2.0/export", "export", "export"),
        ("get", "/api/2.0/export/", "export", "export"),
        ("POST", "/api/query/engage", "engage", "query"),
        ("GET", "/api/2.0/engage", "engage", "query"),
        ("GET", "/api/2.0/events/names", "event_names", "query"),
        ("POST", "/api/query/jql", "jql", "query"),
        ("GET", "/api/query/insights", "insights", "query"),
        ("POST", "/api/query/insights", "insights_queries", "query"),
        ("POST", "/api/query/arb_funnels", "flows", "query"),
        ("GET", "/api/query/arb_funnels", "flows", "query"),
        ("GET", "/api/app/projects/{project_id}/annotations", "annotations", None),
        ("GET", "/api/app/projects/12/annotations/34", "annotation", None),
        ("GET", "/api/app/projects/12/annotations/tags", "annotation_tags", None),
        ("GET", "/api/2.0/nessie/pipeline/jobs", "data_pipelines", None),
        ("GET", "/lookup-tables", "lookup_tables", None),
        ("GET", "/api/app/projects/12/dashboards", "dashboards", None),
    ],
)
def test_known_endpoints_are_found(method: str, path: str, name: str, quota: str | None) -> None:
    """An endpoint is found by its current and its old address; the path stays as written."""
    found = find_endpoint(method, path)
    assert (found.name, found.quota) == (name, quota)
    assert found.host == endpoint(name).host
    assert (found.method, found.path) == (method.upper(), path.rstrip("/"))


def test_path_with_a_final_slash_keeps_it() -> None:
    """Mixpanel redirects without it; a part of the path that looks like an action is a name."""
    path = "/api/app/projects/12/data-definitions/events/drop-filters"
    for written in (path, f"{path}/"):
        found = find_endpoint("GET", written)
        assert (found.name, found.path) == ("drop_filters", f"{path}/")


@pytest.mark.parametrize(
    ("path", "host", "quota"),
    [
        ("/api/query/formulas", "query", "query"),
        ("/api/2.0/metrics/list", "query", "query"),
        ("/api/query/custom_events", "query", None),
        ("/api/2.0/annotations", "query", None),
        ("/api/app/projects/{project_id}/webhooks", "query", None),
        ("/api/2.0/nessie/else", "export", None),
    ],
)
def test_unknown_endpoints_are_read_with_get(path: str, host: str, quota: str | None) -> None:
    """Host and quota of an endpoint outside the catalog follow from its path."""
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
def test_requests_that_may_write_are_refused(method: str, path: str) -> None:
    """Only GET is allowed, and POST where the API reads with it."""
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
    """Only API paths are allowed, without parameters or placeholders other than the project."""
    with pytest.raises(ConfigError, match=r"path is .* must be one of Mixpanel's API"):
        find_endpoint("GET", path)


@pytest.mark.parametrize(
    "path",
    [
        "/lookup-tables/../track",
        "/lookup-tables/%2e%2e/track",
        "/lookup-tables/%252e%252e/track",
        "/lookup-tables/..%2ftrack",
        "/lookup-tables\\..\\track",
        "/lookup-tables/..;/track",
        "/lookup-tables-old",
        "/api/../track",
        "/api/query/../../import",
        "/api/query/engage;x=/../../annotations/create",
        "//example.com/api/query/engage",
        "/api/query/engage%3Fa=1",
        "/api/query/engage%0d%0aX: y",
        "/api/query/%25252525252565ngage",
        "/API/QUERY/ENGAGE",
    ],
)
def test_paths_are_judged_as_servers_read_them(path: str) -> None:
    """Whatever dots, slashes and encodings they are written with."""
    with pytest.raises(ConfigError, match=r"path is .* must be one of Mixpanel's API"):
        find_endpoint("GET", path)


@pytest.mark.parametrize(
    "path",
    [
        "/api/2.0/annotations/create",
        "/api/2.0/annotations/Create",
        "/api/2.0/annotations/%63reate",
        "/api/2.0//annotations/./x/../delete",
        "/api/query/annotations/update",
        "/api/query/cohorts/list/../deleteCohort",
        "/api/2.0/nessie/pipeline/jobs/../create",
        "/api/app/projects/1/annotations/create",
        "/api/app/projects/{project_id}/dashboards/bulk-delete",
        "/api/2.0/track",
        "/api/2.0/import",
        "/api/other/thing",
    ],
)
def test_paths_that_name_a_change_are_refused(path: str) -> None:
    """Old addresses change things with GET as well; others are not known to read."""
    with pytest.raises(ConfigError, match=r"which might change the project"):
        find_endpoint("GET", path)


def test_what_is_judged_is_what_is_sent() -> None:
    """Harmless paths are sent in their plain form."""
    assert (
        find_endpoint("GET", "/api//query/./x/../events/names/").path == "/api/query/events/names"
    )
    path = "/api/app/projects/{project_id}/schemas/event/Sign%20up%20%C3%BC"
    assert find_endpoint("GET", path).path == path
    assert find_endpoint("GET", path.replace("Sign", "create")).name == "lexicon_of_name"
