"""Every path the sandbox answers, and what answers it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import unquote

from .context import World
from .endpoints import app_api, data_pipelines, engage, export, lists
from .messages import Params, Reply, Request
from .reports import (
    activity,
    funnels,
    insights,
    jql,
    rankings,
    retention,
    segmentation,
)

Handler = Callable[[World, Request], Reply]

_GET = frozenset({"GET"})
_GET_OR_POST = frozenset({"GET", "POST"})


@dataclass(frozen=True)
class Route:
    """What answers a path."""

    table: str
    family: str
    """The quota the path counts in."""
    methods: frozenset[str]
    handler: Handler


_QUERIES: dict[str, tuple[str, Handler]] = {
    "cohorts/list": ("cohorts", lists.list_cohorts),
    "engage": ("engage", engage.engage),
    "events": ("event_counts", segmentation.event_counts),
    "events/names": ("event_names", rankings.event_names),
    "events/properties": ("event_properties", segmentation.event_properties),
    "events/properties/top": ("top_properties", rankings.top_properties),
    "events/properties/values": ("property_values", rankings.property_values),
    "events/top": ("top_events", rankings.top_events),
    "funnels": ("funnels", funnels.query_funnel),
    "funnels/list": ("funnels", funnels.list_funnels),
    "insights": ("insights", insights.insights),
    "jql": ("jql", jql.jql),
    "retention": ("retention", retention.retention),
    "retention/addiction": ("frequency", retention.frequency),
    "segmentation": ("segmentation", segmentation.segmentation),
    "segmentation/average": ("segmentation_average", segmentation.segmentation_average),
    "segmentation/numeric": ("segmentation_numeric", segmentation.segmentation_numeric),
    "segmentation/sum": ("segmentation_sum", segmentation.segmentation_sum),
    "stream/query": ("activity", activity.activity),
}
_POSTED = frozenset({"cohorts/list", "engage", "jql"})

_PROJECT = "/api/app/projects/{project_id}"
_PIPELINE = "/api/2.0/nessie/pipeline"
_OTHERS: dict[str, tuple[str, str, Handler]] = {
    "/api/2.0/export": ("export", "export", export.export),
    "/api/app/me": ("projects", "app", app_api.describe_account),
    f"{_PROJECT}/annotations": ("annotations", "app", app_api.list_annotations),
    # before the one with an id, which it fits as well
    f"{_PROJECT}/annotations/tags": ("annotations", "app", app_api.list_annotation_tags),
    f"{_PROJECT}/annotations/{{id}}": ("annotations", "app", app_api.get_annotation),
    f"{_PROJECT}/schemas": ("lexicon", "lexicon", app_api.list_schemas),
    f"{_PROJECT}/schemas/{{entity_type}}": ("lexicon", "lexicon", app_api.list_schemas),
    f"{_PROJECT}/schemas/{{entity_type}}/{{name}}": ("lexicon", "lexicon", app_api.get_schema),
    f"{_PIPELINE}/jobs": ("data_pipelines", "app", data_pipelines.list_pipelines),
    f"{_PIPELINE}/status": ("data_pipelines", "app", data_pipelines.get_pipeline_status),
    f"{_PIPELINE}/timeline": ("data_pipelines", "app", data_pipelines.get_pipeline_timeline),
    "/lookup-tables": ("lookup_tables", "ingestion", data_pipelines.list_lookup_tables),
}

ROUTES: dict[str, Route] = {
    path: Route(table, family, _GET, handler) for path, (table, family, handler) in _OTHERS.items()
} | {
    # both are the same service; older clients know it by the second
    f"{root}/{name}": Route(table, "query", _GET_OR_POST if name in _POSTED else _GET, handler)
    for root in ("/api/query", "/api/2.0")
    for name, (table, handler) in _QUERIES.items()
}
"""Routes by path; a segment in braces stands for any, and names it."""

TABLES = frozenset(route.table for route in ROUTES.values())
"""What routes, and so faults, go by."""

_PATTERNS = [(path.split("/"), route) for path, route in ROUTES.items() if "{" in path]


def find_route(path: str) -> tuple[Route | None, Params]:
    """Return what answers a path and what its segments in braces are, not quoted any more."""
    if path in ROUTES:
        return ROUTES[path], {}
    segments = path.split("/")
    for pattern, route in _PATTERNS:
        captured = _match(pattern, segments)
        if captured is not None:
            return route, captured
    return None, {}


def _match(pattern: list[str], segments: list[str]) -> Params | None:
    if len(pattern) != len(segments):
        return None
    pairs = list(zip(pattern, segments, strict=True))
    if any(wanted != found for wanted, found in pairs if not wanted.startswith("{")):
        return None
    return {wanted[1:-1]: unquote(found) for wanted, found in pairs if wanted.startswith("{")}
