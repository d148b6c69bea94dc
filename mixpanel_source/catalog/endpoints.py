"""Every address at which Mixpanel's API can be read, in one table.

Pure data: what is requested where, which quota it counts against, where the rows are in the reply.
Which tables are loaded from them is in `tables`.

Source: https://developer.mixpanel.com/reference/overview, and the page that each row names.
"""

from __future__ import annotations

from typing import Final

from .endpoint import APP, PIPELINES, QUERY, Endpoint
from .managed_endpoints import MANAGED_ENDPOINTS

QUOTAS: Final = ("query", "export")
"""The hourly quotas, counted separately. The rest of the API has none; the Lexicon allows five
requests a minute to all projects of an organisation together."""

UNMETERED_QUERIES: Final = ("annotations", "custom_events", "workspaces", "project")
"""First path segments below /api/query that count against no quota."""

_DAYS = ("from_date", "to_date")
_MEASURE = ("report", "bucket", "segment", "step", "metric")
_EVENTS = ("type", "unit")

ENDPOINTS: Final = (
    Endpoint(
        "export",
        "/api/2.0/export",
        "raw-event-export",
        required=_DAYS,
        optional=("limit", "event", "where", "time_in_ms"),
        host="export",
        quota="export",
        key=("event_key",),
        incremental=True,
    ),
    Endpoint(
        "engage",
        f"{QUERY}/engage",
        "engage-query",
        optional=(
            "distinct_id",
            "distinct_ids",
            "data_group_id",
            "where",
            "output_properties",
            "session_id",
            "page",
            "page_size",
            "behaviors",
            "as_of_timestamp",
            "filter_by_cohort",
            "include_all_users",
        ),
        method="POST",
        rows="results",
        key=("distinct_id",),
        incremental=True,
    ),
    Endpoint("cohorts", f"{QUERY}/cohorts/list", "cohorts-list", method="POST", key=("id",)),
    Endpoint("funnels", f"{QUERY}/funnels/list", "funnels-list-saved", key=("funnel_id",)),
    Endpoint(
        "funnel_steps",
        f"{QUERY}/funnels",
        "funnels-query",
        required=("funnel_id", *_DAYS),
        optional=("length", "length_unit", "interval", "unit", "on", "where", "limit"),
        rows="data",
        key=_MEASURE,
        incremental=True,
    ),
    Endpoint(
        "insights",
        f"{QUERY}/insights",
        "insights-query",
        required=("bookmark_id",),
        rows="series",
        key=_MEASURE,
    ),
    # known from Mixpanel's own clients
    Endpoint(
        "insights_queries",
        f"{QUERY}/insights",
        "insights-query",
        required=("bookmark",),
        optional=("limit",),
        method="POST",
        rows="series",
        key=_MEASURE,
        sends_json=True,
        documented=False,
    ),
    Endpoint(
        "flows",
        f"{QUERY}/arb_funnels",
        "query-api",
        required=("bookmark",),
        optional=("query_type",),
        method="POST",
        key=("report", "position"),
        sends_json=True,
        documented=False,
    ),
    Endpoint(
        "segmentation",
        f"{QUERY}/segmentation",
        "segmentation-query",
        required=("event", *_DAYS),
        optional=("on", "unit", "interval", "where", "limit", "type", "format"),
        rows="data",
        key=_MEASURE,
        incremental=True,
    ),
    Endpoint(
        "segmentation_numeric",
        f"{QUERY}/segmentation/numeric",
        "segmentation-numeric-query",
        required=("event", *_DAYS, "on"),
        optional=("unit", "where", "type"),
        rows="data",
        key=_MEASURE,
        incremental=True,
    ),
    Endpoint(
        "segmentation_sum",
        f"{QUERY}/segmentation/sum",
        "segmentation-sum-query",
        required=("event", *_DAYS, "on"),
        optional=("unit", "where"),
        rows="results",
        key=_MEASURE,
        incremental=True,
    ),
    Endpoint(
        "segmentation_average",
        f"{QUERY}/segmentation/average",
        "segmentation-query-average",
        required=("event", *_DAYS, "on"),
        optional=("unit", "where"),
        rows="results",
        key=_MEASURE,
        incremental=True,
    ),
    Endpoint(
        "retention",
        f"{QUERY}/retention",
        "retention-query",
        required=_DAYS,
        optional=(
            "retention_type",
            "born_event",
            "event",
            "born_where",
            "where",
            "interval",
            "interval_count",
            "unit",
            "unbounded_retention",
            "on",
            "limit",
        ),
        key=_MEASURE,
        incremental=True,
    ),
    Endpoint(
        "frequency",
        f"{QUERY}/retention/addiction",
        "retention-frequency-query",
        required=(*_DAYS, "unit", "addiction_unit"),
        optional=("event", "where", "on", "limit"),
        rows="data",
        key=_MEASURE,
        incremental=True,
    ),
    Endpoint(
        "event_counts",
        f"{QUERY}/events",
        "list-recent-events",
        required=("event", *_EVENTS),
        optional=("interval", *_DAYS, "format"),
        rows="data",
        key=_MEASURE,
        incremental=True,
    ),
    Endpoint(
        "event_properties",
        f"{QUERY}/events/properties",
        "query-event-properties",
        required=("event", "name", *_EVENTS),
        optional=("values", "interval", *_DAYS, "format", "limit"),
        rows="data",
        key=_MEASURE,
        incremental=True,
    ),
    Endpoint(
        "top_events",
        f"{QUERY}/events/top",
        "query-top-events",
        required=("type",),
        optional=("limit",),
        rows="events",
        key=_MEASURE,
    ),
    Endpoint(
        "event_names",
        f"{QUERY}/events/names",
        "query-months-top-event-names",
        required=("type",),
        optional=("limit",),
        key=("report", "position"),
    ),
    Endpoint(
        "top_properties",
        f"{QUERY}/events/properties/top",
        "query-events-top-properties",
        required=("event",),
        optional=("limit",),
        key=_MEASURE,
    ),
    Endpoint(
        "property_values",
        f"{QUERY}/events/properties/values",
        "query-events-top-property-values",
        required=("event", "name"),
        optional=("limit",),
        key=("report", "position"),
    ),
    Endpoint(
        "activity",
        f"{QUERY}/stream/query",
        "activity-stream-query",
        required=("distinct_ids", *_DAYS),
        rows="results",
        key=("report", "date", "position"),
        incremental=True,
    ),
    Endpoint(
        "jql",
        f"{QUERY}/jql",
        "query-jql",
        required=("script",),
        optional=("params",),
        method="POST",
        key=("report", "position"),
    ),
    Endpoint(
        "annotations",
        f"{APP}/annotations",
        "list-all-annotations-for-project",
        optional=("fromDate", "toDate", "tags"),
        quota=None,
        rows="results",
        key=("id",),
    ),
    Endpoint(
        "annotation",
        f"{APP}/annotations/{{annotation_id}}",
        "get-annotation",
        quota=None,
        rows="results",
    ),
    Endpoint(
        "annotation_tags",
        f"{APP}/annotations/tags",
        "get-annotation-tags",
        quota=None,
        rows="results",
        key=("id",),
    ),
    Endpoint(
        "lexicon",
        f"{APP}/schemas",
        "list-all-schemas-for-project",
        quota=None,
        rows="results",
        key=("entity_type", "entity", "property"),
    ),
    Endpoint(
        "lexicon_of_type",
        f"{APP}/schemas/{{entity_type}}",
        "list-schemas-for-entity",
        optional=("entity_name",),
        quota=None,
        rows="results",
    ),
    Endpoint(
        "lexicon_of_name",
        f"{APP}/schemas/{{entity_type}}/{{name}}",
        "list-schemas-by-entity-and-name",
        quota=None,
    ),
    Endpoint(
        "projects",
        "/api/app/me",
        "overview",
        quota=None,
        rows="results",
        key=("project_id",),
    ),
    Endpoint(
        "data_pipelines",
        f"{PIPELINES}/jobs",
        "list-warehouse-pipeline-jobs",
        host="export",
        quota=None,
        key=("name",),
    ),
    Endpoint(
        "data_pipeline_runs",
        f"{PIPELINES}/status",
        "get-warehouse-pipeline-status",
        required=("name",),
        optional=("summary", "status"),
        host="export",
        quota=None,
        key=("pipeline", "state", "position"),
    ),
    Endpoint(
        "data_pipeline_timeline",
        f"{PIPELINES}/timeline",
        "list-warehouse-pipeline-sync-dates",
        optional=("name",),
        host="export",
        quota=None,
    ),
    Endpoint(
        "lookup_tables",
        "/lookup-tables",
        "list-lookup-tables",
        host="ingestion",
        quota=None,
        rows="results",
        key=("id",),
    ),
    *MANAGED_ENDPOINTS,
)

_BY_NAME: Final = {endpoint.name: endpoint for endpoint in ENDPOINTS}


def endpoint(name: str) -> Endpoint:
    """The endpoint of that name; raises KeyError if there is none."""
    return _BY_NAME[name]
