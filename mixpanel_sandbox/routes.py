"""The route table: every path and the endpoint that serves it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import unquote

from .context import Context
from .endpoints import app_api, data_pipelines, engage, export, managed
from .endpoints.lists import serve_list
from .messages import Params, Request, Response
from .reports import (
    activity,
    event_counts,
    frequency,
    funnels,
    inline,
    insights,
    jql,
    rankings,
    retention,
    segmentation,
)
from .writes import (
    chart_annotations,
    events,
    gdpr,
    lookup_tables,
    pipelines,
    profile_updates,
    schemas,
)

Endpoint = Callable[[Context, Request], Response]

_GET = frozenset({"GET"})
_POST = frozenset({"POST"})
_GET_OR_POST = frozenset({"GET", "POST"})


@dataclass(frozen=True)
class Route:
    """A path and the endpoint that serves it."""

    path: str
    """A segment in braces matches any value and passes it on under that name."""
    endpoint: Endpoint
    table: str
    """The table that faults and `Sandbox.unavailable` refer to."""
    family: str
    """The rate limit the path counts towards, if it has one: query, export or lexicon."""
    methods: frozenset[str] = _GET
    writes: bool = False
    is_open: bool = False
    """Whether it takes requests without credentials."""


def _query(
    name: str, endpoint: Endpoint, table: str, *, methods: frozenset[str] = _GET
) -> list[Route]:
    """Return the routes of a query endpoint, which older clients know by a second path."""
    return [
        Route(f"{root}/{name}", endpoint, table, "query", methods)
        for root in ("/api/query", "/api/2.0")
    ]


def _results(name: str) -> Endpoint:
    """Return an endpoint that serves a list of the project in the envelope of the app API."""
    return serve_list(lambda project: getattr(project, name), envelope={"status": "ok"})


def _write(method: str, path: str, endpoint: Endpoint, *, table: str, family: str = "app") -> Route:
    return Route(path, endpoint, table, family, frozenset({method}), writes=True)


def _ingest(path: str, endpoint: Endpoint, table: str) -> Route:
    """Return a route whose requests are authorised by the token in the body alone."""
    return Route(path, endpoint, table, "ingestion", _POST, writes=True, is_open=True)


_PROJECT = "/api/app/projects/{project_id}"
_FLAGS = f"{_PROJECT}/workspaces/{{workspace_id}}/feature-flags"
_EXPERIMENTS = "/api/app/workspaces/{workspace_id}/experiments"
_IMPORTS = f"{_PROJECT}/warehouse-sources/imports"
_DEFINITIONS = f"{_PROJECT}/data-definitions"
_ORGANIZATION = "/api/app/organizations/{organization_id}"
_RETRIEVALS = "/api/app/data-retrievals/v3.0"
_DELETIONS = "/api/app/data-deletions/v3.0"
_PIPELINE = "/api/2.0/nessie/pipeline"

ROUTES: tuple[Route, ...] = (
    Route("/api/2.0/export", export.export, "export", "export"),
    *_query("engage", engage.engage, "engage", methods=_GET_OR_POST),
    # https://developer.mixpanel.com/reference/cohorts-list
    *_query(
        "cohorts/list", serve_list(lambda project: project.cohorts), "cohorts", methods=_GET_OR_POST
    ),
    *_query("stream/query", activity.activity, "activity"),
    # reports
    *_query("events", event_counts.event_counts, "event_counts"),
    *_query("events/names", rankings.event_names, "event_names"),
    *_query("events/properties", event_counts.event_properties, "event_properties"),
    *_query("events/properties/top", rankings.top_properties, "top_properties"),
    *_query("events/properties/values", rankings.property_values, "property_values"),
    *_query("events/top", rankings.top_events, "top_events"),
    *_query("funnels", funnels.query_funnel, "funnels"),
    *_query("funnels/list", funnels.list_funnels, "funnels"),
    *_query("insights", insights.insights, "insights", methods=_GET_OR_POST),
    *_query("arb_funnels", inline.arb_funnels, "flows", methods=_GET_OR_POST),
    *_query("jql", jql.jql, "jql", methods=_GET_OR_POST),
    *_query("retention", retention.retention, "retention"),
    *_query("retention/addiction", frequency.frequency, "frequency"),
    *_query("segmentation", segmentation.segmentation, "segmentation"),
    *_query("segmentation/average", segmentation.segmentation_average, "segmentation_average"),
    *_query("segmentation/numeric", segmentation.segmentation_numeric, "segmentation_numeric"),
    *_query("segmentation/sum", segmentation.segmentation_sum, "segmentation_sum"),
    # the app API
    Route("/api/app/me", app_api.describe_account, "projects", "app"),
    Route(f"{_PROJECT}/annotations", app_api.list_annotations, "annotations", "app"),
    # must precede the route with {id}, which it matches as well
    # https://developer.mixpanel.com/reference/get-annotation-tags
    Route(
        f"{_PROJECT}/annotations/tags",
        serve_list(lambda project: project.annotation_tags),
        "annotations",
        "app",
    ),
    Route(f"{_PROJECT}/annotations/{{id}}", app_api.get_annotation, "annotations", "app"),
    Route(f"{_PROJECT}/schemas", app_api.list_schemas, "lexicon", "lexicon"),
    Route(f"{_PROJECT}/schemas/{{entity_type}}", app_api.list_schemas, "lexicon", "lexicon"),
    Route(f"{_PROJECT}/schemas/{{entity_type}}/{{name}}", app_api.get_schema, "lexicon", "lexicon"),
    # what people manage
    *(
        Route(path, endpoint, table, "app")
        for path, endpoint, table in (
            (_FLAGS, managed.list_feature_flags, "feature_flags"),
            (f"{_FLAGS}/{{id}}", managed.get_one(lambda p: p.feature_flags), "feature_flags"),
            (_EXPERIMENTS, managed.list_experiments, "experiments"),
            (f"{_EXPERIMENTS}/{{id}}", managed.get_one(lambda p: p.experiments), "experiments"),
            (f"{_PROJECT}/service-accounts", _results("service_accounts"), "service_accounts"),
            (
                f"{_ORGANIZATION}/service-accounts",
                managed.list_organization_accounts,
                "service_accounts",
            ),
            (
                f"{_ORGANIZATION}/service-accounts/{{id}}",
                managed.get_organization_account,
                "service_accounts",
            ),
            (_IMPORTS, _results("warehouse_imports"), "warehouse_imports"),
            (
                f"{_IMPORTS}/{{id}}",
                managed.get_one(lambda p: p.warehouse_imports),
                "warehouse_imports",
            ),
            (f"{_IMPORTS}/{{id}}/history", managed.get_import_history, "warehouse_imports"),
            # undocumented
            (f"{_PROJECT}/bookmarks", managed.list_bookmarks, "bookmarks"),
            (f"{_PROJECT}/cohorts", _results("cohorts"), "cohort_definitions"),
            (f"{_PROJECT}/dashboards", _results("dashboards"), "dashboards"),
            (f"{_PROJECT}/alerts/custom", _results("alerts"), "alerts"),
            (f"{_PROJECT}/custom_properties", _results("custom_properties"), "custom_properties"),
            (f"{_DEFINITIONS}/events/drop-filters", _results("drop_filters"), "drop_filters"),
            (f"{_DEFINITIONS}/events", managed.list_event_definitions, "event_definitions"),
            (
                f"{_DEFINITIONS}/properties",
                _results("property_definitions"),
                "property_definitions",
            ),
        )
    ),
    # other hosts
    Route(f"{_PIPELINE}/jobs", data_pipelines.list_pipelines, "data_pipelines", "app"),
    Route(f"{_PIPELINE}/status", data_pipelines.get_status, "data_pipelines", "app"),
    Route(f"{_PIPELINE}/timeline", data_pipelines.get_timeline, "data_pipelines", "app"),
    # https://developer.mixpanel.com/reference/list-lookup-tables
    Route(
        "/lookup-tables",
        serve_list(lambda project: project.lookup_tables, envelope={"code": 200, "status": "OK"}),
        "lookup_tables",
        "ingestion",
    ),
    # writing
    _write("POST", "/import", events.import_events, table="import", family="ingestion"),
    _ingest("/track", events.track_events, "track"),
    _ingest("/engage", profile_updates.update_profiles, "profile_updates"),
    _ingest("/groups", profile_updates.update_groups, "group_updates"),
    _write("PUT", "/lookup-tables/{id}", lookup_tables.replace_table, table="lookup_table"),
    *(
        _write(method, path, endpoint, table="lexicon_changes", family="lexicon")
        for method, path, endpoint in (
            ("POST", f"{_PROJECT}/schemas", schemas.upload_schemas),
            ("DELETE", f"{_PROJECT}/schemas", schemas.delete_schemas),
            ("DELETE", f"{_PROJECT}/schemas/{{entity_type}}", schemas.delete_schemas),
            ("POST", f"{_PROJECT}/schemas/{{entity_type}}/{{name}}", schemas.upload_schema),
            ("DELETE", f"{_PROJECT}/schemas/{{entity_type}}/{{name}}", schemas.delete_schemas),
        )
    ),
    *(
        _write(method, f"{_PROJECT}/annotations{path}", endpoint, table="annotation_changes")
        for method, path, endpoint in (
            ("POST", "", chart_annotations.create_annotation),
            ("POST", "/tags", chart_annotations.create_tag),
            ("PATCH", "/{id}", chart_annotations.patch_annotation),
            ("DELETE", "/{id}", chart_annotations.delete_annotation),
        )
    ),
    *(
        _write("POST", f"{_PIPELINE}/{name}", endpoint, table="pipeline_changes")
        for name, endpoint in (
            ("create", pipelines.create_pipeline),
            ("edit", pipelines.edit_pipeline),
            ("pause", pipelines.pause_pipeline),
            ("resume", pipelines.resume_pipeline),
            ("cancel", pipelines.cancel_pipeline),
        )
    ),
    # persons
    _write("POST", _RETRIEVALS, gdpr.create_retrieval, table="gdpr", family="gdpr"),
    Route(f"{_RETRIEVALS}/{{tracking_id}}", gdpr.get_job, "gdpr_jobs", "gdpr"),
    _write("POST", _DELETIONS, gdpr.create_deletion, table="gdpr", family="gdpr"),
    Route(f"{_DELETIONS}/{{tracking_id}}", gdpr.get_job, "gdpr_jobs", "gdpr"),
    _write(
        "DELETE",
        f"{_DELETIONS}/{{tracking_id}}",
        gdpr.cancel_deletion,
        table="gdpr",
        family="gdpr",
    ),
)

TABLES = frozenset(route.table for route in ROUTES)
"""The tables of all routes."""
WRITTEN_TABLES = frozenset(route.table for route in ROUTES if route.writes)
"""The tables of the routes that write."""

_PATTERNS = [(route.path.split("/"), route) for route in ROUTES]


def find_route(path: str, method: str) -> tuple[Route | None, Params]:
    """Return the route of a path and the unquoted values of its placeholders.

    If no route of the path has the method, one with other methods is returned.
    """
    segments = path.split("/")
    found: tuple[Route | None, Params] = (None, {})
    for pattern, route in _PATTERNS:
        path_params = _match(pattern, segments)
        if path_params is None:
            continue
        if method in route.methods:
            return route, path_params
        found = found if found[0] else (route, path_params)
    return found


def _match(pattern: list[str], segments: list[str]) -> Params | None:
    if len(pattern) != len(segments):
        return None
    pairs = list(zip(pattern, segments, strict=True))
    if any(expected != segment for expected, segment in pairs if not expected.startswith("{")):
        return None
    return {
        expected[1:-1]: unquote(segment) for expected, segment in pairs if expected.startswith("{")
    }
